//! Which routes an event goes to. Pure: an event in, matches out.
//!
//! A route names the types it wants and, optionally, an expression over the event's JSON. Matching happens before the
//! event is stored, so the ids that storing gives (`conversation_id`, `customer.id`, `message_id`) are still undefined.

use std::fmt;
use std::sync::LazyLock;

use minijinja::{Environment, Expression};

use crate::model::event::{Event, EventType};
use crate::model::template;

/// The engine every `when` is compiled with.
static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(template::engine);

/// The routes of a service, in the order they were configured.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
}

/// Which events go to one handler.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Whether its jobs run in lanes.
    pub ordered: bool,
    on: Vec<EventType>,
    when: Option<Condition>,
}

/// Why a route cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// A type nobody sends.
    #[error("`{0}` is no event type: use one of the eight types, `message.*` or `*`")]
    UnknownType(String),
    /// An expression that does not parse.
    #[error("the expression does not parse: {0}")]
    When(String),
}

/// One route that an event goes to.
#[derive(Debug)]
pub struct Match<'a> {
    /// The route.
    pub route: &'a Route,
    /// Set when its `when` failed: the job waits for a person, with this reason.
    pub failed: Option<String>,
}

struct Condition {
    expression: Expression<'static, 'static>,
}

impl fmt::Debug for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Condition(..)")
    }
}

impl Route {
    /// Makes a route from its configured parts.
    pub fn new(name: &str, on: &[String], when: Option<&str>, ordered: bool) -> Result<Self, RouteError> {
        let mut types = Vec::new();
        for pattern in on {
            let matching = EventType::of_pattern(pattern);
            if matching.is_empty() {
                return Err(RouteError::UnknownType(pattern.clone()));
            }
            types.extend(matching);
        }
        let when = when.map(Condition::compile).transpose()?;
        Ok(Self { name: name.to_owned(), ordered, on: types, when })
    }
}

impl Condition {
    fn compile(source: &str) -> Result<Self, RouteError> {
        let expression = ENGINE.compile_expression_owned(source.to_owned());
        // A configured expression is the operator's own text, so its error may quote it.
        expression.map(|expression| Self { expression }).map_err(|error| RouteError::When(error.to_string()))
    }

    fn holds(&self, event: &minijinja::Value) -> Result<bool, String> {
        let holds = self.expression.eval(minijinja::context! { event => event });
        holds
            .map(|value| value.is_true())
            .map_err(|error| format!("`when` failed: {}", template::reason(&error)))
    }
}

impl Routes {
    /// Takes routes in the order they were configured.
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes }
    }

    /// The routes.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The routes an event goes to. A `when` that fails counts as a match that needs a person.
    pub fn matches(&self, event: &Event) -> Vec<Match<'_>> {
        let kind = event.event_type();
        // Built at most once per event, and only when some expression asks.
        let value = LazyLock::new(|| template::value_of(event.to_value()));
        let judge = |route: &'_ Route| match &route.when {
            None => Some(None),
            Some(condition) => match condition.holds(&value) {
                Ok(holds) => holds.then_some(None),
                Err(reason) => Some(Some(reason)),
            },
        };
        let of_type = self.routes.iter().filter(|route| route.on.contains(&kind));
        of_type.filter_map(|route| judge(route).map(|failed| Match { route, failed })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectly::event::decode;
    use crate::model::id::EventId;
    use jiff::Timestamp;
    use ulid::Ulid;

    fn event(body: &str) -> Event {
        Event::arriving(EventId::new(Ulid(1)), "default", Timestamp::UNIX_EPOCH, &decode(body.as_bytes()))
    }

    fn failed() -> Event {
        event(
            r#"{"callbackData":{"order_id":"12345"},"sender":{"id":"+15550100002"},"recipient":{"id":"+15550100001"},
                "statusUpdate":{"id":"01K00000000000000000000001","status":"delivery_failed"}}"#,
        )
    }

    fn matched(on: &[&str], when: Option<&str>, event: &Event) -> Vec<Option<String>> {
        let on: Vec<String> = on.iter().map(ToString::to_string).collect();
        let routes = Routes::new(vec![Route::new("r", &on, when, true).unwrap()]);
        routes.matches(event).into_iter().map(|found| found.failed).collect()
    }

    #[test]
    fn types_and_their_patterns_match() {
        let event = failed();
        for on in ["message.failed", "message.*", "*"] {
            assert_eq!(matched(&[on], None, &event), [None], "{on}");
        }
        for on in ["message.received", "report.completed"] {
            assert!(matched(&[on], None, &event).is_empty(), "{on}");
        }
    }

    #[test]
    fn a_pattern_that_names_nothing_is_refused() {
        for on in ["message", "message.x", "mess*", "message.rec*", ""] {
            let error = Route::new("r", &[on.to_owned()], None, true).unwrap_err();
            assert_eq!(error, RouteError::UnknownType(on.to_owned()));
        }
    }

    #[test]
    fn an_expression_sees_the_events_json() {
        let event = failed();
        let holds = |when| matched(&["*"], Some(when), &event) == [None];
        assert!(holds("event.callback_data.order_id is defined"));
        assert!(holds("event.callback_data.order_id == '12345' and event.status == 'failed'"));
        assert!(!holds("event.callback_data.other.deeper is defined"));
        assert!(!holds("event.no.such.field"));
    }

    #[test]
    fn an_expression_that_fails_is_a_match_for_a_person() {
        let reasons = matched(&["*"], Some("range(1000000000)|list|length > 1"), &failed());
        assert_eq!(reasons.len(), 1);
        assert!(reasons[0].as_deref().unwrap().starts_with("`when` failed"));
        assert!(matches!(Route::new("r", &["*".into()], Some("event."), true), Err(RouteError::When(_))));
    }
}
