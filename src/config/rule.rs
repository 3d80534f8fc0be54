//! `[[routes.rules]]`: answers that need no program.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::section::{Section, describe};
use super::shown;
use super::units::parse_duration;

/// The most letters of a rule's name.
const NAME_LETTERS: usize = 64;
/// What `callback_data` may not hold: the key of our own mark.
const RESERVED: &str = "switchboard";
/// What a `match` takes.
const CONDITIONS: &str = "at least one of any, text, keyword, regex, button, first_contact, hours";

/// What to do with an event that matches.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RuleConfig {
    /// Unique in its route.
    pub name: Option<String>,
    /// What must hold.
    #[serde(rename = "match")]
    pub matches: MatchConfig,
    /// Connectly's `message` object, whose texts are templates.
    pub reply: Option<Json>,
    /// What the reply's statuses carry back to us.
    pub callback_data: Option<Json>,
    /// The template that is sent when the window is closed: `template`, `language`, `parameters`.
    pub fallback: Option<Json>,
    /// `opt_out`, `opt_in`, or `mute:` and a duration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<String>,
    /// The time in which a conversation gets at most one answer.
    #[serde(serialize_with = "shown::optional_duration")]
    pub once_per: Option<Duration>,
}

/// What must hold for a rule to act: everything that is given.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MatchConfig {
    /// Always holds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub any: bool,
    /// Whole texts, case and surrounding space ignored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// Whole words anywhere in the text, case ignored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keyword: Vec<String>,
    /// An expression that the text matches.
    pub regex: Option<String>,
    /// A button's payload, or its text if there is none.
    pub button: Option<String>,
    /// Whether this is the customer's first inbound in the conversation.
    pub first_contact: Option<bool>,
    /// `inside` or `outside` the opening hours.
    pub hours: Option<String>,
}

impl RuleConfig {
    fn read(section: &mut Section<'_>) -> Self {
        let expected = "a name of 1 to 64 letters";
        let name = section.parsed("name", expected, |text| {
            (1..=NAME_LETTERS).contains(&text.chars().count()).then(|| text.to_owned())
        });
        section.require("match", CONDITIONS);
        let conditions = section.peek("match").and_then(Value::as_table);
        if conditions.is_some_and(Table::is_empty) {
            section.problem("match", format!("found an empty table, expected {CONDITIONS}"));
        }
        let matches = section.section("match", MatchConfig::read);
        for key in ["callback_data", "fallback"] {
            if section.peek(key).is_some() && section.peek("reply").is_none() {
                section.problem(key, "means something beside `reply` only");
            }
        }
        let once_per = section.duration("once_per", Duration::from_secs(1)..=Duration::from_hours(365 * 24));
        if once_per.is_some() && name.is_none() {
            section.problem("name", "missing, expected one beside `once_per`: uses are counted by it");
        }
        Self {
            name,
            matches,
            reply: read_reply(section),
            callback_data: read_callback_data(section),
            fallback: section.optional_section("fallback", read_fallback),
            effects: read_effects(section),
            once_per,
        }
    }
}

impl MatchConfig {
    fn read(section: &mut Section<'_>) -> Self {
        let any = section.boolean("any");
        if any == Some(false) {
            section.problem("any", "found false, which never holds; expected true");
        }
        let hours = [("inside", "inside"), ("outside", "outside")];
        Self {
            any: any.unwrap_or_default(),
            text: patterns(section, "text"),
            keyword: patterns(section, "keyword"),
            regex: section.text("regex"),
            button: section.text("button"),
            first_contact: section.boolean("first_contact"),
            hours: section.choice("hours", &hours).map(str::to_owned),
        }
    }
}

/// The rules of one route, in the order of the file.
pub(super) fn read_all(route: &mut Section<'_>) -> Vec<RuleConfig> {
    let rules = route.sections("rules", RuleConfig::read);
    let mut seen = BTreeSet::new();
    for name in rules.iter().filter_map(|rule| rule.name.as_ref()) {
        if !seen.insert(name) {
            let key = format!("rules.{name}.name");
            route.problem(&key, "another rule of this route has this name, expected a unique one");
        }
    }
    rules
}

fn patterns(section: &mut Section<'_>, key: &'static str) -> Vec<String> {
    let patterns = section.texts(key);
    if patterns.as_ref().is_some_and(Vec::is_empty) {
        section.problem(key, "found an empty list, expected at least one string");
    }
    patterns.unwrap_or_default()
}

fn read_reply(section: &mut Section<'_>) -> Option<Json> {
    match section.in_file("reply")? {
        Value::Table(table) if !table.is_empty() => Some(json(Value::Table(table))),
        other => {
            let found = describe(&other);
            section
                .problem("reply", format!("found {found}, expected a message such as {{ text = \"...\" }}"));
            None
        }
    }
}

fn read_callback_data(section: &mut Section<'_>) -> Option<Json> {
    let value = section.in_file("callback_data")?;
    if value.get(RESERVED).is_some() {
        section
            .problem("callback_data", format!("holds the key `{RESERVED}`, which is kept for our own mark"));
    }
    Some(json(value))
}

fn read_fallback(section: &mut Section<'_>) -> Json {
    let mut fallback = serde_json::Map::new();
    for (key, expected) in [("template", "a template's name"), ("language", "a language such as \"en\"")] {
        section.require(key, expected);
        if let Some(text) = section.text(key) {
            fallback.insert(key.to_owned(), Json::from(text));
        }
    }
    match section.in_file("parameters") {
        None => {}
        Some(Value::Array(parameters)) => {
            fallback.insert("parameters".to_owned(), json(Value::Array(parameters)));
        }
        Some(other) => {
            let found = describe(&other);
            section.problem("parameters", format!("found {found}, expected a list"));
        }
    }
    Json::Object(fallback)
}

fn read_effects(section: &mut Section<'_>) -> Vec<String> {
    let effects = section.texts("effects").unwrap_or_default();
    for effect in effects.iter().filter(|effect| !is_effect(effect)) {
        let expected = "\"opt_out\", \"opt_in\" or \"mute:\" and a duration";
        section.problem("effects", format!("found {effect:?}, expected {expected}"));
    }
    effects
}

fn is_effect(text: &str) -> bool {
    match text.strip_prefix("mute:") {
        Some(duration) => parse_duration(duration).is_some(),
        None => matches!(text, "opt_out" | "opt_in"),
    }
}

/// The same value as JSON; a date becomes its text.
fn json(value: Value) -> Json {
    match value {
        Value::String(text) => Json::from(text),
        Value::Integer(number) => Json::from(number),
        Value::Float(number) => Json::from(number),
        Value::Boolean(boolean) => Json::from(boolean),
        Value::Datetime(date) => Json::from(date.to_string()),
        Value::Array(items) => items.into_iter().map(json).collect(),
        Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}
