//! Rules from the configuration: the first one that matches answers, from a template.

use minijinja::Environment;
use serde_json::Value;

use super::{Handler, reply};
use crate::config::{MatchConfig, Problems, RouteConfig, RuleConfig};
use crate::connectly::message::Strictness;
use crate::model::context::Context;
use crate::model::event::Event;
use crate::model::json::JsonText;
use crate::model::outcome::{Effect, HandlerError, HandlerResult, Outcome, Reply};
use crate::model::template;

/// The longest text one template may make, in bytes: far above any WhatsApp limit, far below what would hurt.
const LONGEST_TEXT: usize = 64 * 1024;

/// A handler made of rules.
pub struct Rules {
    rules: Vec<Rule>,
    templates: Environment<'static>,
}

struct Rule {
    matches: Condition,
    effects: Vec<Effect>,
    reply: Option<Value>,
    callback_data: Option<Value>,
    fallback: Option<Value>,
}

/// What a message must be like; every part that is given must hold.
struct Condition {
    any: bool,
    texts: Vec<String>,
    keywords: Vec<String>,
}

impl Rules {
    /// Makes the rules of a route; what is wrong with any of them is told by its key.
    pub fn new(route: &RouteConfig, strictness: Strictness) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let mut templates = template::engine();
        let mut rules = Vec::new();
        for (index, config) in route.rules.iter().enumerate() {
            let key = |part: &str| {
                let name = config.name.clone().unwrap_or_else(|| index.to_string());
                route.key(&format!("rules.{name}.{part}"))
            };
            let values = [
                ("reply", &config.reply),
                ("callback_data", &config.callback_data),
                ("fallback", &config.fallback),
            ];
            for (part, value) in values {
                let added = value.as_ref().map_or(Ok(()), |value| add_templates(&mut templates, value));
                added.unwrap_or_else(|message| problems.add(key(part), message));
            }
            if let Err(message) = check_plain(config, strictness) {
                problems.add(key("reply"), message);
            }
            match config.effects.iter().map(|effect| effect_of(effect)).collect::<Result<Vec<_>, _>>() {
                Ok(effects) => rules.push(Rule::new(config, effects)),
                Err(message) => problems.add(key("effects"), message),
            }
        }
        if problems.is_empty() { Ok(Self { rules, templates }) } else { Err(problems) }
    }

    fn outcome(&self, rule: &Rule, event: &Event, context: &Context) -> HandlerResult {
        let mut outcome = Outcome { effects: rule.effects.clone(), ..Outcome::default() };
        let Some(message) = &rule.reply else {
            return Ok(outcome);
        };
        let data = minijinja::context! {
            event => template::value_of(event.to_value()),
            message => template::value_of(serde_json::to_value(&context.message).unwrap_or_default()),
            state => template::value_of(context.state.clone().unwrap_or_default()),
            first_contact => context.first_contact,
        };
        let render = |value: &Value| self.render(value, &data).map_err(HandlerError::fail);
        outcome.replies.push(Reply {
            message: render(message)?,
            callback_data: rule.callback_data.as_ref().map(render).transpose()?.as_ref().map(JsonText::of),
            from: None,
            fallback: rule.fallback.as_ref().map(render).transpose()?,
        });
        Ok(outcome)
    }

    /// The value with every text in it rendered.
    fn render(&self, value: &Value, data: &minijinja::Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(source) => {
                let template =
                    self.templates.get_template(source).map_err(|error| template::reason(&error))?;
                let text = template
                    .render(data)
                    .map_err(|error| format!("the template failed: {}", template::reason(&error)))?;
                if text.len() > LONGEST_TEXT {
                    return Err(format!(
                        "the template made {} bytes, the limit is {LONGEST_TEXT}",
                        text.len()
                    ));
                }
                Value::String(text)
            }
            Value::Array(items) => {
                items.iter().map(|item| self.render(item, data)).collect::<Result<_, _>>()?
            }
            Value::Object(members) => {
                let rendered =
                    members.iter().map(|(key, value)| Ok((key.clone(), self.render(value, data)?)));
                Value::Object(rendered.collect::<Result<_, String>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }
}

impl Handler for Rules {
    async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        let text = event.content().and_then(|content| content.text.as_deref()).unwrap_or_default();
        match self.rules.iter().find(|rule| rule.matches.holds(text)) {
            Some(rule) => self.outcome(rule, event, context),
            None => Ok(Outcome::ignored()),
        }
    }
}

impl Rule {
    fn new(config: &RuleConfig, effects: Vec<Effect>) -> Self {
        Self {
            matches: Condition::new(&config.matches),
            effects,
            reply: config.reply.clone(),
            callback_data: config.callback_data.clone(),
            fallback: config.fallback.clone(),
        }
    }
}

impl Condition {
    fn new(config: &MatchConfig) -> Self {
        let fold = |texts: &[String]| texts.iter().map(|text| fold(text)).collect();
        Self { any: config.any, texts: fold(&config.text), keywords: fold(&config.keyword) }
    }

    fn holds(&self, text: &str) -> bool {
        let folded = fold(text);
        let whole = self.texts.is_empty() || self.texts.contains(&folded);
        let word = self.keywords.is_empty() || self.keywords.iter().any(|keyword| has_word(&folded, keyword));
        let asks = self.any || !self.texts.is_empty() || !self.keywords.is_empty();
        asks && whole && word
    }
}

/// Case and surrounding space make no difference.
fn fold(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Whether a keyword stands in a text as a word of its own, or several in a row.
fn has_word(text: &str, keyword: &str) -> bool {
    let inside = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
    text.match_indices(keyword).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let after = text[start + found.len()..].chars().next();
        !keyword.is_empty() && !inside(before) && !inside(after)
    })
}

/// Compiles every text of a value; a template is known by its own source.
fn add_templates(templates: &mut Environment<'static>, value: &Value) -> Result<(), String> {
    match value {
        Value::String(source) => templates
            .add_template_owned(source.clone(), source.clone())
            .map_err(|error| format!("the template does not parse: {}", template::reason(&error))),
        Value::Array(items) => items.iter().try_for_each(|item| add_templates(templates, item)),
        Value::Object(members) => members.values().try_for_each(|value| add_templates(templates, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Checks a reply that has no template in it; the others are checked when they are made.
fn check_plain(config: &RuleConfig, strictness: Strictness) -> Result<(), String> {
    let Some(message) = &config.reply else {
        return Ok(());
    };
    let plain = |value: &Value| !value.to_string().contains("{{") && !value.to_string().contains("{%");
    if !plain(message) || !config.fallback.iter().chain(&config.callback_data).all(plain) {
        return Ok(());
    }
    let callback_data = config.callback_data.as_ref().map(JsonText::of);
    let mut reply =
        Reply { message: message.clone(), callback_data, from: None, fallback: config.fallback.clone() };
    reply::check_one(&mut reply, strictness).map(|_warnings| ()).map_err(|invalid| invalid.to_string())
}

fn effect_of(text: &str) -> Result<Effect, String> {
    match text {
        "opt_out" => Ok(Effect::OptOut),
        "opt_in" => Ok(Effect::OptIn),
        _ if text.starts_with("mute:") => Err(format!("`{text}` is not available in this release")),
        _ => Err(format!("`{text}` is neither opt_out nor opt_in")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(texts: &[&str], keywords: &[&str]) -> Condition {
        let fold = |list: &[&str]| list.iter().map(|text| fold(text)).collect();
        Condition { any: false, texts: fold(texts), keywords: fold(keywords) }
    }

    #[test]
    fn text_is_the_whole_message() {
        let stop = condition(&["STOP"], &[]);
        assert!(stop.holds(" stop "));
        assert!(!stop.holds("please stop"));
    }

    #[test]
    fn a_keyword_is_a_whole_word_anywhere() {
        let price = condition(&[], &["price", "how much"]);
        for text in ["price", "The PRICE?", "what is the price, please", "how much is it"] {
            assert!(price.holds(text), "{text}");
        }
        for text in ["priceless", "enterprice", "how  much", ""] {
            assert!(!price.holds(text), "{text}");
        }
    }

    #[test]
    fn every_part_that_is_given_must_hold() {
        let both = condition(&["price list"], &["price"]);
        assert!(both.holds("Price list"));
        assert!(!both.holds("price"));
        assert!(!condition(&[], &[]).holds("anything"));
    }

    #[test]
    fn effects_are_read() {
        assert_eq!(effect_of("opt_out"), Ok(Effect::OptOut));
        assert!(effect_of("mute:2h").unwrap_err().contains("not available"));
        assert!(effect_of("dance").is_err());
    }
}
