//! What a send carries: free-form content, or a template.
//!
//! A message's `content` is Connectly's `message` object, or `{"template": {...}}`; its fallback is a template too.

use serde_json::{Value, json};

use super::message::SendKind;
use crate::connectly::message::{Invalid, Message};
use crate::connectly::template::Template;

/// The key under which a template stands in a message's content.
pub const TEMPLATE: &str = "template";

/// What a send carries, as types.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Free-form, for an open window.
    Session(Box<Message>),
    /// Approved beforehand, for any time.
    Template(Template),
}

impl Payload {
    /// Reads a message's stored content. It was checked when it was queued, so limits are not looked at again.
    pub fn of_content(content: &Value) -> Result<Self, Invalid> {
        match content.get(TEMPLATE) {
            Some(template) => Template::parse(template, TEMPLATE).map(Self::Template),
            None => Message::parse(content).map(Box::new).map(Self::Session),
        }
    }

    /// Reads a message's stored fallback.
    pub fn of_fallback(fallback: &Value) -> Result<Self, Invalid> {
        Template::parse(fallback, "fallback").map(Self::Template)
    }

    /// Which of the two.
    pub const fn kind(&self) -> SendKind {
        match self {
            Self::Session(_) => SendKind::Session,
            Self::Template(_) => SendKind::Template,
        }
    }
}

/// A template as a message's content.
pub fn content_of(template: &Value) -> Value {
    json!({ TEMPLATE: template })
}

/// Which kind of send a message's content makes.
pub fn kind_of(content: &Value) -> SendKind {
    if content.get(TEMPLATE).is_some() { SendKind::Template } else { SendKind::Session }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_read_back_as_what_it_was() {
        let template = json!({"name": "reopen", "language": "en"});
        let read = Payload::of_content(&content_of(&template)).unwrap();
        assert_eq!(read, Payload::Template(Template::new("reopen", "en")));
        assert_eq!(kind_of(&content_of(&template)), SendKind::Template);
        let text = json!({"text": "hi"});
        assert_eq!(Payload::of_content(&text).unwrap(), Payload::Session(Box::new(Message::text("hi"))));
        assert_eq!(kind_of(&text), SendKind::Session);
    }

    #[test]
    fn what_is_over_a_limit_was_let_through_when_it_was_queued() {
        let long = json!({"text": "x".repeat(5000)});
        assert_eq!(Payload::of_content(&long).unwrap().kind(), SendKind::Session);
    }
}
