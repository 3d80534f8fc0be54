//! Checking replies before they are queued: what WhatsApp would refuse never leaves.

use crate::connectly::message::{Invalid, Strictness};
use crate::model::outcome::Reply;
use crate::model::outgoing;

/// The most replies to one event: a conversation gets no more than 20 in a minute by default, and one handler's mistake must
/// not fill the queue.
const MOST_REPLIES: usize = 20;

/// Checks the replies of an outcome and puts numbers into normal form. The error, and each warning, names the field, the
/// limit and what was found, never the text.
pub fn check(mut replies: Vec<Reply>, strictness: Strictness) -> Result<(Vec<Reply>, Vec<String>), String> {
    if replies.len() > MOST_REPLIES {
        return Err(format!("replies: there are {}, at most {MOST_REPLIES} are allowed", replies.len()));
    }
    let mut warnings = Vec::new();
    for (index, reply) in replies.iter_mut().enumerate() {
        let told = |invalid: Invalid| format!("replies[{index}]: {invalid}");
        warnings.extend(check_one(reply, strictness).map_err(told)?.into_iter().map(told));
    }
    Ok((replies, warnings))
}

/// Checks one reply.
pub fn check_one(reply: &mut Reply, strictness: Strictness) -> Result<Vec<Invalid>, Invalid> {
    let mut warnings = outgoing::message(&reply.message, strictness)?;
    if let Some(data) = &reply.callback_data {
        outgoing::callback_data(data)?;
    }
    if let Some(from) = &reply.from {
        reply.from = Some(outgoing::number(from, "from")?);
    }
    if let Some(fallback) = &reply.fallback {
        warnings.extend(outgoing::template(fallback, "fallback", strictness)?);
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(reply: Reply) -> String {
        check(vec![reply], Strictness::Enforce).unwrap_err()
    }

    #[test]
    fn a_good_reply_passes_with_its_number_in_normal_form() {
        let reply = Reply::text("hi").from_number("1 (555) 010.0002");
        let (replies, warnings) = check(vec![reply], Strictness::Enforce).unwrap();
        assert!(warnings.is_empty());
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

    #[test]
    fn more_replies_than_can_leave_are_refused_together() {
        let check = |count| check(vec![Reply::text("hi"); count], Strictness::Warn);
        assert_eq!(check(20).unwrap().0.len(), 20);
        assert_eq!(check(21).unwrap_err(), "replies: there are 21, at most 20 are allowed");
    }

    #[test]
    fn a_limit_that_only_whatsapp_states_can_be_a_warning() {
        let long = Reply::text("x".repeat(4097));
        let (replies, warnings) = check(vec![Reply::text("hi"), long], Strictness::Warn).unwrap();
        assert_eq!(replies.len(), 2);
        assert_eq!(warnings, ["replies[1]: message.text has 4097 characters, at most 4096 are allowed"]);
    }
}
