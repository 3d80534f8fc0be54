//! What an event is published under: a template over the event, and what a broker takes as a subject.
//!
//! Values stand in the subject as they are: the dots of `message.received` make tokens on purpose. A value with which the
//! subject cannot be published parks the job, since escaping it would send the event where nobody listens.

use std::fmt;
use std::sync::Arc;

use minijinja::value::Object;
use minijinja::{Environment, ErrorKind, Value, context};

use crate::config::BrokerConfig;
use crate::model::event::{Event, EventType};
use crate::model::template;

/// The name that the template is known by; it has no ending, so that nothing is escaped.
const NAME: &str = "subject";
/// What stands for a value that only an event has, until there is one. No subject has it in it otherwise.
const UNKNOWN: &str = "\u{fffc}";

/// Says what is wrong with a subject, without repeating it.
pub(super) type Check = fn(&str) -> Result<(), &'static str>;

/// Makes subjects.
pub(super) struct Subject {
    templates: Environment<'static>,
    check: Check,
    /// What it makes of each type of the route, as far as that is known without an event.
    of_types: Vec<String>,
}

impl Subject {
    /// Compiles the template of a route and tries it on each type of `on`. The error says what is wrong with it.
    pub(super) fn new(broker: &BrokerConfig, on: &[String], check: Check) -> Result<Self, String> {
        let mut templates = template::engine();
        templates
            .add_template_owned(NAME, broker.subject.clone())
            .map_err(|error| format!("the template does not parse: {}", template::reason(&error)))?;
        let mut subject = Self { templates, check, of_types: Vec::new() };
        for kind in on.iter().flat_map(|pattern| EventType::of_pattern(pattern)) {
            let made = subject.try_on(kind)?;
            if !subject.of_types.contains(&made) {
                subject.of_types.push(made);
            }
        }
        Ok(subject)
    }

    /// The subject of an event, which the broker takes. The error says why there is none, and quotes no value.
    pub(super) fn of(&self, event: &Event) -> Result<String, String> {
        let subject = render(&self.templates, template::value_of(event.to_value()))
            .map_err(|error| format!("the subject's template failed: {}", template::reason(&error)))?;
        (self.check)(&subject).map_err(|told| format!("the subject that the template made {told}"))?;
        Ok(subject)
    }

    /// What the route may publish under, with `*` for each token that depends on the event, and `>` where everything does.
    pub(super) fn patterns(&self) -> Vec<String> {
        let token = |token: &str| if token.contains(UNKNOWN) { "*".to_owned() } else { token.to_owned() };
        let pattern = |subject: &String| match subject.as_str() {
            UNKNOWN => ">".to_owned(),
            subject => subject.split('.').map(token).collect::<Vec<_>>().join("."),
        };
        self.of_types.iter().map(pattern).collect()
    }

    /// What the template makes of a type when nothing else is known. What fails for that reason alone is no problem.
    fn try_on(&self, kind: EventType) -> Result<String, String> {
        match render(&self.templates, Value::from_object(Sample(Some(kind)))) {
            Ok(subject) => {
                (self.check)(&subject).map_err(|told| format!("what it makes of {kind} {told}"))?;
                Ok(subject)
            }
            Err(error) if matches!(error.kind(), ErrorKind::InvalidOperation | ErrorKind::UndefinedError) => {
                Ok(UNKNOWN.to_owned())
            }
            // The template is the operator's own and the sample nobody's, so the error may quote both.
            Err(error) => Err(format!("the template fails: {error}")),
        }
    }
}

fn render(templates: &Environment<'_>, event: Value) -> Result<String, minijinja::Error> {
    templates.get_template(NAME)?.render(context! { event })
}

/// An event of which nothing is known but its type; or, without one, anything at all that it may hold.
#[derive(Debug)]
struct Sample(Option<EventType>);

impl Object for Sample {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match (self.0, key.as_str()) {
            (Some(kind), Some("type")) => Some(Value::from(kind.as_str())),
            _ => Some(Value::from_object(Self(None))),
        }
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::brokers::nats::check_subject;

    fn subject(template: &str, on: &[&str]) -> Result<Subject, String> {
        let broker = BrokerConfig {
            url: String::new(),
            servers: Vec::new(),
            login: None,
            subject: template.to_owned(),
            credentials_file: None,
        };
        Subject::new(&broker, &on.iter().map(|&on| on.to_owned()).collect::<Vec<_>>(), check_subject)
    }

    fn patterns(template: &str, on: &[&str]) -> Vec<String> {
        subject(template, on).unwrap().patterns()
    }

    fn told(template: &str) -> String {
        subject(template, &["message.read"]).err().unwrap()
    }

    #[test]
    fn what_is_known_without_an_event_is_made_of_the_types() {
        assert_eq!(
            patterns("a.{{ event.type }}", &["message.read", "unknown"]),
            ["a.message.read", "a.unknown"]
        );
        assert_eq!(patterns("connectly", &["*"]), ["connectly"]);
        assert_eq!(patterns("{{ event.account }}.in-{{ event.callback_data.region }}", &["*"]), ["*.*"]);
        assert_eq!(patterns("a.{{ event.callback_data.region | upper }}", &["unknown"]), ["a.*"]);
    }

    #[test]
    fn a_template_that_could_never_make_a_subject_is_refused() {
        assert!(told("a.{{ event.type").starts_with("the template does not parse: syntax error"));
        assert!(told("a.{{ event.type | shout }}").contains("unknown filter"));
        assert!(told("{% for i in range(99999) %}a{% endfor %}").contains("fuel"));
        for (template, reason) in [
            ("a. b", "has a space"),
            ("a..{{ event.type }}", "empty token"),
            ("{{ event.type }}.", "empty token"),
            ("{# nothing #}", "is empty"),
            ("a.*.{{ event.account }}", "wildcard"),
            ("$JS.API.{{ event.type }}", "begins with $"),
        ] {
            assert!(told(template).contains(reason), "{template}: {}", told(template));
        }
    }
}
