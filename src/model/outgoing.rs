//! Checking what is to be sent before it is queued: what would surely be refused never leaves.
//!
//! Each check names the field at fault, the limit and what was found, never the text. What breaks a rule of WhatsApp's that
//! Connectly does not state is refused, or let through with a warning ([`Strictness`]).

use serde_json::Value;

use super::json::JsonText;
use crate::connectly::mark;
use crate::connectly::message::{Invalid, Message, Problem, Strictness, callback_data};
use crate::connectly::phone;
use crate::connectly::template::Template;

/// Free-form content, as Connectly's `message` object.
pub fn message(value: &Value, strictness: Strictness) -> Result<Vec<Invalid>, Invalid> {
    strictness.judge(Message::parse(value)?.problems())
}

/// A template, written at `path`.
pub fn template(value: &Value, path: &str, strictness: Strictness) -> Result<Vec<Invalid>, Invalid> {
    strictness.judge(Template::parse(value, path)?.problems(path))
}

/// Of JSON that is no value.
const UNREADABLE: &str =
    "must be JSON without half characters, numbers beyond all bounds, and more than 127 levels";

/// What is echoed. The key of our own mark is not the caller's to set.
pub fn callback_data(data: &JsonText) -> Result<(), Invalid> {
    let unreadable = |_| Invalid::new("callback_data".to_owned(), Problem::Rule(UNREADABLE));
    let value: Value = data.read().map_err(unreadable)?;
    if value.get(mark::KEY).is_some() {
        let field = format!("callback_data.{}", mark::KEY);
        return Err(Invalid::new(field, Problem::Rule("is Switchboard's own key: choose another")));
    }
    callback_data::validate(&value, "callback_data")
}

/// A number of the business, in normal form.
pub fn number(text: &str, field: &str) -> Result<String, Invalid> {
    let rule = "must be a phone number in international form, like +15550100002";
    phone::normalize(text).ok_or_else(|| Invalid::new(field, Problem::Rule(rule)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_only_whatsapp_forbids_is_refused_or_warned_of() {
        let long = json!({"text": "x".repeat(4097)});
        let refused = message(&long, Strictness::Enforce).unwrap_err();
        assert_eq!(refused.to_string(), "message.text has 4097 characters, at most 4096 are allowed");
        assert_eq!(message(&long, Strictness::Warn).unwrap(), [refused]);
        let titled = json!({"name": "a", "language": "en", "parameters": [{"name": "header_text", "value": "x".repeat(61)}]});
        assert!(template(&titled, "template", Strictness::Enforce).is_err());
        assert_eq!(template(&titled, "template", Strictness::Warn).unwrap().len(), 1);
    }

    #[test]
    fn what_connectly_forbids_is_refused_always() {
        let attachment = json!({"type": "image", "url": "https://example.com/i.jpg"});
        let buttons: Vec<_> = (0..4).map(|n| json!({"id": n.to_string(), "text": n.to_string()})).collect();
        for forbidden in [
            json!({}),
            json!({"text": ""}),
            json!({"txt": "hi"}),
            json!({"attachments": [attachment, attachment]}),
            json!({"text": "Which?", "replyButtonMessage": {"buttons": buttons}}),
        ] {
            assert!(message(&forbidden, Strictness::Warn).is_err(), "{forbidden}");
        }
        let unknown = json!({"name": "a", "language": "en", "parameters": [{"name": "var1", "value": "x"}]});
        assert!(template(&unknown, "template", Strictness::Warn).is_err());
        assert!(callback_data(&JsonText::of(&json!("x".repeat(1023)))).is_err());
        assert!(callback_data(&JsonText::of(&json!("x".repeat(1022)))).is_ok());
        let half_a_character = JsonText::parse(r#"{"q": "\ud83d"}"#.to_owned()).unwrap();
        assert!(callback_data(&half_a_character).is_err(), "it would leave as null");
    }
}
