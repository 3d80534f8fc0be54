//! Checking replies before they are queued: what WhatsApp would refuse never leaves.

use crate::connectly::mark;
use crate::connectly::message::{Message, callback_data};
use crate::connectly::phone;
use crate::connectly::template::Template;
use crate::model::outcome::Reply;

/// Checks the replies of an outcome and puts numbers into normal form. The error names the field, the limit and what was
/// found, never the text.
pub fn check(mut replies: Vec<Reply>) -> Result<Vec<Reply>, String> {
    for (index, reply) in replies.iter_mut().enumerate() {
        check_one(reply).map_err(|problem| format!("replies[{index}]: {problem}"))?;
    }
    Ok(replies)
}

/// Checks one reply.
pub fn check_one(reply: &mut Reply) -> Result<(), String> {
    Message::from_value(&reply.message).map_err(|invalid| invalid.to_string())?;
    if let Some(data) = &reply.callback_data {
        let value = data.value();
        if value.get(mark::KEY).is_some() {
            return Err(format!("callback_data.{}: this key is Switchboard's own", mark::KEY));
        }
        callback_data::validate(&value, "callback_data").map_err(|invalid| invalid.to_string())?;
    }
    if let Some(from) = &reply.from {
        let number = phone::normalize(from)
            .ok_or("from: not a phone number in international form, like +15550100002")?;
        reply.from = Some(number);
    }
    if let Some(fallback) = &reply.fallback {
        Template::from_value(fallback, "fallback").map_err(|invalid| invalid.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(reply: Reply) -> String {
        check(vec![reply]).unwrap_err()
    }

    #[test]
    fn a_good_reply_passes_with_its_number_in_normal_form() {
        let replies = check(vec![Reply::text("hi").from_number("1 (555) 010.0002")]).unwrap();
        assert_eq!(replies[0].from.as_deref(), Some("+15550100002"));
    }

    #[test]
    fn a_bad_reply_is_told_by_field_and_limit() {
        assert!(problem(Reply::text("x".repeat(4097))).starts_with("replies[0]: message.text"));
        assert!(problem(Reply::message(json!({ "txt": "hi" }))).contains("txt"));
        let marked = Reply::text("hi").with_callback_data(&json!({ "switchboard": 1 }));
        assert!(problem(marked).contains("callback_data.switchboard"));
        let large = Reply::text("hi").with_callback_data(&json!("x".repeat(1024)));
        assert!(problem(large).contains("1024"));
        assert!(problem(Reply::text("hi").from_number("shop")).contains("from"));
    }
}
