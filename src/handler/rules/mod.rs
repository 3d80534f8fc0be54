//! Rules from the configuration: the first one that matches acts.
//!
//! A `condition` says what a message must be like, `texts` are what is answered, `hours` when the business is open.
//! While a person talks with the customer, rules keep quiet: after a `mute` effect, and after an echo of something that was
//! written from elsewhere. Effects count all the same, whoever opts out is told so, and the rule that hands the conversation
//! back answers.
//!
//! To add something to match: its key in `config::MatchConfig`, and its part in `condition`.

mod condition;
mod hours;
mod texts;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use self::condition::{Condition, Seen};
use self::hours::Hours;
use self::texts::Texts;
use super::Handler;
use crate::config::{HoursConfig, Problems, RouteConfig, RouteOrdering, RuleConfig};
use crate::connectly::message::{Invalid, Message, Strictness};
use crate::connectly::template::Template;
use crate::model::context::Context;
use crate::model::event::Event;
use crate::model::json::JsonText;
use crate::model::outcome::{Effect, HandlerError, HandlerResult, Once, Outcome, Reply};
use crate::model::{outgoing, template};

/// What rules need to know of the rest of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct RulesSettings<'a> {
    /// What is done about WhatsApp's limits that Connectly does not state.
    pub strictness: Strictness,
    /// When the business is open.
    pub hours: Option<&'a HoursConfig>,
    /// How long rules keep quiet after somebody of the business wrote from elsewhere.
    pub echo_mutes: Duration,
    /// How long before its end a window counts as closed.
    pub window_margin: Duration,
}

/// A handler made of rules.
pub struct Rules {
    list: Vec<Rule>,
    texts: Texts,
    hours: Option<Hours>,
    echo_mutes: Duration,
    window_margin: Duration,
}

struct Rule {
    /// What it is called in logs.
    name: String,
    matches: Condition,
    effects: Vec<Effect>,
    reply: Option<Value>,
    callback_data: Option<Value>,
    fallback: Option<Value>,
    once: Option<Once>,
}

impl Rule {
    /// Whether it answers although a person talks with the customer: it opts them out, or hands the conversation back.
    fn answers_always(&self) -> bool {
        self.effects.contains(&Effect::OptOut) || self.effects.contains(&Effect::HAND_BACK)
    }
}

impl Rules {
    /// Makes the rules of a route; what is wrong with any of them is told by its key.
    pub fn new(route: &RouteConfig, settings: &RulesSettings<'_>) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let hours = settings.hours.map(Hours::new).transpose();
        let hours = hours.map_err(|message| problems.add("hours.time_zone", message)).unwrap_or_default();
        let mut made = Self {
            list: Vec::new(),
            texts: Texts::new(),
            hours,
            echo_mutes: settings.echo_mutes,
            window_margin: settings.window_margin,
        };
        for (index, config) in route.rules.iter().enumerate() {
            let named = config.name.clone().unwrap_or_else(|| index.to_string());
            let mut wrong = |part: &str, message: String| {
                problems.add(route.key(&format!("rules.{named}.{part}")), message);
            };
            if config.once_per.is_some() && route.ordering == RouteOrdering::None {
                wrong("once_per", "needs `ordering = \"conversation\"`".to_owned());
            }
            if config.matches.hours.is_some() && settings.hours.is_none() {
                wrong(
                    "match.hours",
                    "needs a section [hours] that says when the business is open".to_owned(),
                );
            }
            made.take(config, named.clone(), settings.strictness, &mut wrong);
        }
        if problems.is_empty() { Ok(made) } else { Err(problems) }
    }

    fn take(
        &mut self,
        config: &RuleConfig,
        name: String,
        strictness: Strictness,
        wrong: &mut impl FnMut(&str, String),
    ) {
        let values = [
            ("reply", &config.reply),
            ("callback_data", &config.callback_data),
            ("fallback", &config.fallback),
        ];
        for (part, value) in values {
            let added = value.as_ref().map_or(Ok(()), |value| self.texts.add(value));
            added.unwrap_or_else(|message| wrong(part, message));
        }
        if let Err((part, invalid)) = check(config, strictness) {
            wrong(part, invalid.to_string());
        }
        let effects = config.effects.iter().filter_map(|effect| Effect::parse(effect)).collect();
        match Condition::new(&config.matches) {
            Ok(matches) => self.list.push(Rule {
                matches,
                effects,
                reply: config.reply.clone(),
                callback_data: config.callback_data.clone(),
                fallback: config.fallback.clone(),
                once: config.once_per.map(|per| Once { name: name.clone(), per }),
                name,
            }),
            Err(message) => wrong("match.regex", message),
        }
    }

    fn act(&self, rule: &Rule, event: &Event, context: &Context) -> HandlerResult {
        let mut outcome = Outcome {
            effects: rule.effects.clone(),
            once: rule.once.clone(),
            note: Some(format!("rule `{}` matched", rule.name)),
            ..Outcome::default()
        };
        let Some(message) = &rule.reply else {
            return Ok(outcome);
        };
        if self.is_quiet(context) && !rule.answers_always() {
            outcome.note =
                Some(format!("rule `{}` matched and kept quiet: a person has taken over", rule.name));
            return Ok(outcome);
        }
        let data = data(event, context, self.window_margin);
        let render = |value: &Value| self.texts.render(value, &data).map_err(HandlerError::fail);
        outcome.replies.push(Reply {
            message: render(message)?,
            callback_data: rule.callback_data.as_ref().map(render).transpose()?.as_ref().map(JsonText::of),
            from: None,
            fallback: rule.fallback.as_ref().map(render).transpose()?,
        });
        Ok(outcome)
    }

    /// Whether a person talks with the customer.
    fn is_quiet(&self, context: &Context) -> bool {
        let person = context.person_answered_at.map(|at| at.saturating_add(self.echo_mutes));
        context.is_muted() || person.is_some_and(|until| until.unwrap_or(Timestamp::MAX) > context.now)
    }
}

impl Handler for Rules {
    async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        let open = self.hours.as_ref().is_some_and(|hours| hours.are_open(context.now));
        let seen = Seen::of(event, context.first_contact, open);
        match self.list.iter().find(|rule| rule.matches.holds(&seen)) {
            Some(rule) => self.act(rule, event, context),
            None => Ok(Outcome { note: Some("no rule matched".to_owned()), ..Outcome::default() }),
        }
    }
}

/// What templates see; `texts::VARIABLES` has the same names.
fn data(event: &Event, context: &Context, window_margin: Duration) -> minijinja::Value {
    let json = |value: Option<Value>| template::value_of(value.unwrap_or_default());
    let message = |message: &Option<crate::model::message::Message>| {
        json(message.as_ref().and_then(|message| serde_json::to_value(message).ok()))
    };
    let conversation = context.conversation.as_ref().map(|conversation| {
        serde_json::to_value(conversation.view(context.now, window_margin)).unwrap_or_default()
    });
    minijinja::context! {
        event => template::value_of(event.to_value()),
        conversation => json(conversation),
        message => message(&context.message),
        latest_message => message(&context.latest_message),
        state => json(context.state.clone()),
        first_contact => context.first_contact,
        now => context.now.to_string(),
    }
}

/// Checks what can be told of a reply before it is made: its shape, and every value that is no template.
fn check(config: &RuleConfig, strictness: Strictness) -> Result<(), (&'static str, Invalid)> {
    let Some(message) = &config.reply else {
        return Ok(());
    };
    let judge = |problems: Result<Vec<Invalid>, Invalid>, open: &BTreeSet<String>| {
        let known = |invalid: &Invalid| !open.contains(&invalid.field);
        match problems {
            Err(invalid) => {
                if known(&invalid) {
                    Err(invalid)
                } else {
                    Ok(())
                }
            }
            Ok(problems) => strictness.judge(problems.into_iter().filter(known).collect()).map(drop),
        }
    };
    let mut open = BTreeSet::new();
    texts::templated(message, "message", &mut open);
    judge(Message::parse(message).map(|message| message.problems()), &open).map_err(|it| ("reply", it))?;
    if let Some(fallback) = &config.fallback {
        texts::templated(fallback, "fallback", &mut open);
        let problems = Template::parse(fallback, "fallback").map(|template| template.problems("fallback"));
        judge(problems, &open).map_err(|it| ("fallback", it))?;
    }
    if let Some(data) = &config.callback_data {
        outgoing::callback_data(&JsonText::of(data)).map_err(|it| ("callback_data", it))?;
    }
    Ok(())
}
