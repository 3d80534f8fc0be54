//! Which routes an event goes to. Pure: an event in, matches out.
//!
//! A route names the types it wants and, optionally, an expression over the event's JSON. Matching happens before the
//! event is stored, so the ids that storing gives (`conversation_id`, `customer.id`, `message_id`) are still undefined.

use std::collections::BTreeMap;
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
    /// The places of the routes that take each type, so that an event asks only those.
    of_type: [Vec<usize>; EventType::ALL.len()],
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
    /// An expression that names what nobody knows.
    #[error("the expression cannot work: {0}")]
    Unknown(String),
}

/// Whether an event goes to a route, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Matched,
    /// The route does not take its type.
    OtherType,
    /// The route's `when` is false.
    NotMatched,
    /// The route's `when` failed: the event goes there, and its job waits for a person, with this reason.
    Failed(String),
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
        let expression = expression.map_err(|error| RouteError::When(error.to_string()))?;
        let unknown =
            |name: &&String| *name != "event" && ENGINE.globals().all(|(global, _)| global != *name);
        if let Some(unknown) = expression.undeclared_variables(false).iter().filter(unknown).min() {
            return Err(RouteError::Unknown(format!(
                "`{unknown}` is not known, an expression sees `event` only"
            )));
        }
        if let Some(unknown) = template::unknown_in_expression(&ENGINE, source) {
            return Err(RouteError::Unknown(unknown));
        }
        match expression.eval(()) {
            Err(error) if template::is_never_known(error.kind()) => {
                Err(RouteError::Unknown(error.to_string()))
            }
            Ok(_) | Err(_) => Ok(Self { expression }),
        }
    }

    fn judge(&self, event: &minijinja::Value) -> Verdict {
        match self.expression.eval(event) {
            Ok(value) if value.is_true() => Verdict::Matched,
            Ok(_) => Verdict::NotMatched,
            Err(error) => Verdict::Failed(format!("`when` failed: {}", template::reason(&error))),
        }
    }
}

impl Routes {
    /// Takes routes in the order they were configured.
    pub fn new(routes: Vec<Route>) -> Self {
        let taking = |kind: EventType| {
            let routes = routes.iter().enumerate().filter(|(_, route)| route.on.contains(&kind));
            routes.map(|(place, _)| place).collect()
        };
        let of_type = EventType::ALL.map(taking);
        Self { routes, of_type }
    }

    /// The routes.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Judges the routes that take the event's type, each with its place in the configuration. The others are not looked at.
    pub fn judge(&self, event: &Event) -> impl Iterator<Item = (usize, &Route, Verdict)> {
        let kind = event.event_type();
        let places = EventType::ALL.iter().position(|known| *known == kind).map(|index| &self.of_type[index]);
        let mut seen = None;
        let routes =
            places.into_iter().flatten().filter_map(|place| Some((*place, self.routes.get(*place)?)));
        routes.map(move |(place, route)| {
            let verdict = match &route.when {
                None => Verdict::Matched,
                // Built at most once per event, and only when some expression asks.
                Some(condition) => condition.judge(seen.get_or_insert_with(|| sight(event))),
            };
            (place, route, verdict)
        })
    }

    /// Judges every route, for who wants to know why.
    pub fn explain(&self, event: &Event) -> Vec<(&Route, Verdict)> {
        let judged: BTreeMap<usize, Verdict> =
            self.judge(event).map(|(place, _, verdict)| (place, verdict)).collect();
        let explain = |(place, route)| (route, judged.get(&place).cloned().unwrap_or(Verdict::OtherType));
        self.routes.iter().enumerate().map(explain).collect()
    }
}

/// What expressions see.
fn sight(event: &Event) -> minijinja::Value {
    minijinja::context! { event => template::value_of(event.to_value()) }
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
        let goes = |(_, _, verdict)| match verdict {
            Verdict::Matched => Some(None),
            Verdict::Failed(reason) => Some(Some(reason)),
            Verdict::NotMatched | Verdict::OtherType => None,
        };
        routes.judge(event).filter_map(goes).collect()
    }

    #[test]
    fn every_route_is_explained_in_the_order_of_the_configuration() {
        let route = |name, on: &str, when| Route::new(name, &[on.to_owned()], when, true).unwrap();
        let routes = Routes::new(vec![
            route("a", "message.received", None),
            route("b", "message.*", Some("event.status == 'read'")),
            route("c", "*", Some("event.status == 'failed'")),
        ]);
        let event = failed();
        let told: Vec<_> = routes
            .explain(&event)
            .into_iter()
            .map(|(route, verdict)| (route.name.as_str(), verdict))
            .collect();
        assert_eq!(told, [("a", Verdict::OtherType), ("b", Verdict::NotMatched), ("c", Verdict::Matched)]);
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

    #[test]
    fn a_name_that_nobody_knows_is_found_where_nothing_is_evaluated() {
        for when in [
            "evnt.status == 'read'",
            "event.status|uper == 'READ'",
            "event.status is redd",
            "event.type == 'message.failed' and event.error.code|uper == 'X'",
            "event.type == 'message.failed' and event.status is redd",
            "event.type == 'message.failed' and upper(event.error.code) == 'X'",
            "event.type == 'message.failed' and [event.error.code, event.id|uper]",
            "event.content.text.lower() == 'stop'",
            "event.type == 'message.received' and event.content.text.lower() == 'stop'",
        ] {
            let error = Route::new("r", &["*".into()], Some(when), true).unwrap_err();
            assert!(matches!(error, RouteError::Unknown(_)), "{when}: {error}");
        }
        for when in
            ["event.id is string and event.id|upper|lower is in ['a']", "range(3)|list is divisibleby(2)"]
        {
            assert!(Route::new("r", &["*".into()], Some(when), true).is_ok(), "{when}");
        }
    }
}
