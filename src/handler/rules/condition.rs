//! What must hold for a rule to act.

use regex::{Regex, RegexBuilder};

use crate::config::MatchConfig;
use crate::connectly::event::content::ContentKind;
use crate::model::event::Event;

/// The most memory that one compiled expression may take, in bytes: no expression of a rule's size comes near.
const REGEX_BYTES: usize = 1024 * 1024;

/// What a message must be like; every part that is given must hold.
pub(super) struct Condition {
    any: bool,
    texts: Vec<String>,
    keywords: Vec<String>,
    regex: Option<Regex>,
    button: Option<String>,
    first_contact: Option<bool>,
    /// Whether the business must be open, or must be closed.
    open: Option<bool>,
}

/// What conditions look at.
pub(super) struct Seen<'a> {
    text: &'a str,
    folded: String,
    /// The payload of what was picked, or its label.
    button: Option<&'a str>,
    first_contact: bool,
    open: bool,
}

impl<'a> Seen<'a> {
    pub(super) fn of(event: &'a Event, first_contact: bool, open: bool) -> Self {
        let content = event.content();
        let text = content.and_then(|content| content.text.as_deref()).unwrap_or_default();
        let picked = content
            .filter(|content| matches!(content.kind, ContentKind::ButtonReply | ContentKind::ListReply));
        let button = picked.and_then(|content| content.payload.as_deref().or(content.text.as_deref()));
        Self { text, folded: fold(text), button, first_contact, open }
    }
}

impl Condition {
    /// Takes the configured parts; what does not compile is told with its key.
    pub(super) fn new(config: &MatchConfig) -> Result<Self, String> {
        let fold = |texts: &[String]| texts.iter().map(|text| fold(text)).collect();
        let compile = |source: &String| {
            let built = RegexBuilder::new(source).size_limit(REGEX_BYTES).build();
            built.map_err(|error| format!("the expression does not compile: {}", last_line(&error)))
        };
        Ok(Self {
            any: config.any,
            texts: fold(&config.text),
            keywords: fold(&config.keyword),
            regex: config.regex.as_ref().map(compile).transpose()?,
            button: config.button.clone(),
            first_contact: config.first_contact,
            open: config.hours.as_ref().map(|hours| hours == "inside"),
        })
    }

    pub(super) fn holds(&self, seen: &Seen<'_>) -> bool {
        let parts = [
            self.any.then_some(true),
            (!self.texts.is_empty()).then(|| self.texts.contains(&seen.folded)),
            (!self.keywords.is_empty())
                .then(|| self.keywords.iter().any(|keyword| has_word(&seen.folded, keyword))),
            self.regex.as_ref().map(|regex| regex.is_match(seen.text)),
            self.button.as_ref().map(|button| seen.button == Some(button)),
            self.first_contact.map(|first| first == seen.first_contact),
            self.open.map(|open| open == seen.open),
        ];
        let mut given = parts.into_iter().flatten().peekable();
        given.peek().is_some() && given.all(|holds| holds)
    }
}

/// What is wrong with an expression; the lines above draw where.
fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Seen<'_> {
        Seen { text, folded: fold(text), button: None, first_contact: false, open: true }
    }

    fn holds(config: &MatchConfig, seen: &Seen<'_>) -> bool {
        Condition::new(config).unwrap().holds(seen)
    }

    fn words(texts: &[&str], keywords: &[&str]) -> MatchConfig {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        MatchConfig { text: owned(texts), keyword: owned(keywords), ..MatchConfig::default() }
    }

    #[test]
    fn text_is_the_whole_message() {
        assert!(holds(&words(&["STOP"], &[]), &seen(" stop ")));
        assert!(!holds(&words(&["STOP"], &[]), &seen("please stop")));
    }

    #[test]
    fn a_keyword_is_a_whole_word_anywhere() {
        let price = || words(&[], &["price", "how much"]);
        for text in ["price", "The PRICE?", "what is the price, please", "how much is it"] {
            assert!(holds(&price(), &seen(text)), "{text}");
        }
        for text in ["priceless", "enterprice", "how  much", ""] {
            assert!(!holds(&price(), &seen(text)), "{text}");
        }
    }

    #[test]
    fn an_expression_looks_at_the_text_as_it_was_written() {
        let order = || MatchConfig { regex: Some(r"(?i)order \d+".to_owned()), ..MatchConfig::default() };
        assert!(holds(&order(), &seen("where is ORDER 12345?")));
        assert!(!holds(&order(), &seen("order")));
        let broken = MatchConfig { regex: Some("(".to_owned()), ..MatchConfig::default() };
        assert!(Condition::new(&broken).is_err());
        let huge = MatchConfig { regex: Some(r"(\w{1000}){1000}".to_owned()), ..MatchConfig::default() };
        assert!(Condition::new(&huge).is_err());
    }

    #[test]
    fn a_button_is_its_payload_and_other_words_are_no_button() {
        let confirm = || MatchConfig { button: Some("confirm".to_owned()), ..MatchConfig::default() };
        assert!(holds(&confirm(), &Seen { button: Some("confirm"), ..seen("Yes, please") }));
        assert!(!holds(&confirm(), &seen("confirm")));
    }

    #[test]
    fn first_contact_and_hours_hold_either_way() {
        let first = |first| MatchConfig { first_contact: Some(first), ..MatchConfig::default() };
        assert!(holds(&first(false), &seen("hi")) && !holds(&first(true), &seen("hi")));
        let hours = |side: &str| MatchConfig { hours: Some(side.to_owned()), ..MatchConfig::default() };
        assert!(holds(&hours("inside"), &seen("hi")) && !holds(&hours("outside"), &seen("hi")));
        assert!(holds(&hours("outside"), &Seen { open: false, ..seen("hi") }));
    }

    #[test]
    fn every_part_that_is_given_must_hold() {
        assert!(holds(&words(&["price list"], &["price"]), &seen("Price list")));
        assert!(!holds(&words(&["price list"], &["price"]), &seen("price")));
        assert!(!holds(&MatchConfig::default(), &seen("anything")));
        assert!(holds(&MatchConfig { any: true, ..MatchConfig::default() }, &seen("")));
        assert!(!holds(
            &MatchConfig { any: true, first_contact: Some(true), ..MatchConfig::default() },
            &seen("")
        ));
    }
}
