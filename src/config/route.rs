//! `[[routes]]`: which events go to which handler.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;

use super::broker::{self, BrokerConfig};
use super::rule::{self, RuleConfig};
use super::section::Section;
use super::shown;
use super::value::{NAME, is_name};

/// What `on` may name: the eight types of events, all about messages, and all.
const EVENT_PATTERNS: &[&str] = &[
    "message.received",
    "message.echo",
    "message.sent",
    "message.delivered",
    "message.read",
    "message.failed",
    "report.completed",
    "unknown",
    "message.*",
    "*",
];

/// The keys that mean something to the handler `http` only; a broker has a `url` of its own kind.
const HTTP_KEYS: &[&str] = &["url", "secrets", "secrets_file", "headers", "allow_private"];

/// Which events go to which handler, and how often it is tried.
#[derive(Debug, Clone, Serialize)]
pub struct RouteConfig {
    /// Unique, 1 to 64 of the letters a-z, 0-9, `-` and `_`.
    pub name: String,
    /// Types of events, `message.*` or `*`; at least one.
    pub on: Vec<String>,
    /// An expression over the event's JSON that must hold as well.
    pub when: Option<String>,
    /// `http`, `rules`, `nats`, or the name of a registered handler.
    pub handler: String,
    /// Where the handler `http` posts to.
    pub url: Option<String>,
    /// What the handler `http` signs with, each of them; empty for no signature.
    #[serde(serialize_with = "shown::secrets", skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretString>,
    /// What the handler `http` sends besides its own headers; secret, since they may authorise it.
    #[serde(serialize_with = "shown::headers", skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretString>,
    /// Whether `url` may point to a private or loopback address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
    /// Which events of this route wait for each other.
    pub ordering: RouteOrdering,
    /// The time that the handler has for one event.
    #[serde(serialize_with = "shown::duration")]
    pub timeout: Duration,
    /// The most events of this route that are handled at a time.
    pub concurrency: usize,
    /// How often, and for how long, a failing event is tried again.
    pub retry: RetryConfig,
    /// What the handler `rules` goes through; the first that matches acts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleConfig>,
    /// Where a handler that is a broker publishes to; nothing for any other handler.
    #[serde(flatten)]
    pub broker: Option<BrokerConfig>,
}

/// Which events of a route wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteOrdering {
    /// Those of one conversation: they run one at a time, in order.
    Conversation,
    /// None.
    None,
}

/// When to give up on a failing event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RetryConfig {
    /// The most attempts, the first included.
    pub attempts: u32,
    /// The longest time from the first attempt to the last.
    #[serde(serialize_with = "shown::duration")]
    pub max_age: Duration,
}

impl Default for RouteConfig {
    /// What a route has that says nothing: all but a name, events and a handler.
    fn default() -> Self {
        Self {
            name: String::new(),
            on: Vec::new(),
            when: None,
            handler: String::new(),
            url: None,
            secrets: Vec::new(),
            headers: BTreeMap::new(),
            allow_private: false,
            ordering: RouteOrdering::Conversation,
            timeout: Duration::from_secs(30),
            concurrency: 32,
            retry: RetryConfig::default(),
            rules: Vec::new(),
            broker: None,
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { attempts: 8, max_age: Duration::from_mins(10) }
    }
}

impl RouteConfig {
    /// The dotted path of one of this route's settings, for problems found later.
    pub fn key(&self, setting: &str) -> String {
        format!("routes.{}.{setting}", self.name)
    }

    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let name = read_name(section);
        let on = read_on(section);
        let when = section.text("when");
        let handler = read_handler(section);
        let orderings = [("conversation", RouteOrdering::Conversation), ("none", RouteOrdering::None)];
        let timeouts = Duration::from_millis(100)..=Duration::from_hours(1);
        let url = if broker::is_broker(&handler) { None } else { section.endpoint("url") };
        Self {
            name,
            on,
            when,
            url,
            secrets: section.secrets("secrets", "secrets_file").unwrap_or_default(),
            headers: section.headers("headers"),
            allow_private: section.boolean("allow_private").unwrap_or(default.allow_private),
            ordering: section.choice("ordering", &orderings).unwrap_or(default.ordering),
            timeout: section.duration("timeout", timeouts).unwrap_or(default.timeout),
            concurrency: section.integer("concurrency", 1..=4096).unwrap_or(default.concurrency),
            retry: section.section("retry", RetryConfig::read),
            rules: rule::read_all(section),
            broker: BrokerConfig::read(section, &handler),
            handler,
        }
    }
}

impl RetryConfig {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let ages = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
        Self {
            attempts: section.integer("attempts", 1..=100).unwrap_or(default.attempts),
            max_age: section.duration("max_age", ages).unwrap_or(default.max_age),
        }
    }
}

/// All routes, in the order of the file.
pub(super) fn read_all(root: &mut Section<'_>) -> Vec<RouteConfig> {
    let routes = root.sections("routes", RouteConfig::read);
    let mut seen = BTreeSet::new();
    for route in &routes {
        if !route.name.is_empty() && !seen.insert(&route.name) {
            root.problem(&route.key("name"), "another route has this name, expected a unique one");
        }
    }
    routes
}

fn read_name(section: &mut Section<'_>) -> String {
    section.require("name", NAME);
    section.parsed("name", NAME, |text| is_name(text).then(|| text.to_owned())).unwrap_or_default()
}

fn read_on(section: &mut Section<'_>) -> Vec<String> {
    let expected = format!("some of {}", EVENT_PATTERNS.join(", "));
    section.require("on", &expected);
    let Some(on) = section.texts("on") else {
        return Vec::new();
    };
    if on.is_empty() {
        section.problem("on", format!("found an empty list, expected {expected}"));
    }
    for pattern in on.iter().filter(|pattern| !EVENT_PATTERNS.contains(&pattern.as_str())) {
        section.problem("on", format!("found {pattern:?}, expected {expected}"));
    }
    on
}

/// The handler's name, and whether the route's other keys go with it.
fn read_handler(section: &mut Section<'_>) -> String {
    section.require("handler", "`rules` or the name of a registered handler");
    let has_rules =
        section.peek("rules").is_some_and(|rules| rules.as_array().is_none_or(|rules| !rules.is_empty()));
    let Some(handler) = section.text("handler") else {
        return String::new();
    };
    if handler == "http" {
        section.require("url", "where to post events to");
    } else {
        for key in HTTP_KEYS.iter().filter(|key| section.peek(key).is_some()) {
            match *key {
                "url" if broker::is_broker(&handler) => {}
                "url" => section.problem(key, "means something with handler = \"http\" or \"nats\" only"),
                _ => section.problem(key, "means something with handler = \"http\" only"),
            }
        }
    }
    match (handler == "rules", has_rules) {
        (true, false) => section.problem("rules", "missing, expected at least one [[routes.rules]]"),
        (false, true) => section.problem("rules", "means something with handler = \"rules\" only"),
        (true, true) | (false, false) => {}
    }
    handler
}
