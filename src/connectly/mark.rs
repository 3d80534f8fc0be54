//! The mark we leave in `callbackData`, by which a status finds its message even when the send's answer was lost.
//!
//! Connectly has no idempotency key; what it echoes is `callbackData`. So each message carries our id under the key
//! `switchboard` when there is room, and decoding takes it out again before anything else sees it.

use std::borrow::Cow;

use ulid::Ulid;

use super::event::json::Object;
use super::ids::parse_ulid;

/// The key that is ours. Callers may not set it.
pub const KEY: &str = "switchboard";

/// The most bytes of compact JSON that Connectly accepts as `callbackData` (SEED 003, 004).
pub const CALLBACK_DATA_LIMIT: usize = 1024;

/// The callback data to send for a message: with the mark when it is absent or an object with room, else as it is.
///
/// `callback_data` is JSON text.
pub fn apply(callback_data: Option<&str>, message: Ulid) -> Option<String> {
    let mark = format!("\"{KEY}\":\"{message}\"");
    let Some(given) = callback_data else {
        return Some(format!("{{{mark}}}"));
    };
    let marked = given.trim().strip_prefix('{').map(|rest| {
        let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
        format!("{{{mark}{comma}{rest}")
    });
    Some(marked.filter(|marked| marked.len() <= CALLBACK_DATA_LIMIT).unwrap_or_else(|| given.to_owned()))
}

/// Takes the mark out of echoed callback data: what is left (nothing, when only the mark was there), and the message it
/// names. Data that we did not mark comes back as it is.
pub fn strip(callback_data: &str) -> (Option<Cow<'_, str>>, Option<Ulid>) {
    let unmarked = (Some(Cow::Borrowed(callback_data)), None);
    if !callback_data.contains(KEY) {
        return unmarked;
    }
    let Some(object) = Object::parse(callback_data) else {
        return unmarked;
    };
    let Some(message) = object.text(&[KEY]).and_then(|text| parse_ulid(&text)) else {
        return unmarked;
    };
    (object.without(KEY).map(Cow::Owned), Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(given: Option<&str>) -> (Option<String>, Option<Ulid>) {
        let applied = apply(given, Ulid(7)).unwrap();
        let (rest, mark) = strip(&applied);
        (rest.map(Cow::into_owned), mark)
    }

    #[test]
    fn what_the_caller_gave_comes_back() {
        assert_eq!(round_trip(None), (None, Some(Ulid(7))));
        for object in [r#"{"order_id":"12345"}"#, r#"{"a":[1,{"b":1e400}],"c":null}"#] {
            assert_eq!(round_trip(Some(object)), (Some(object.to_owned()), Some(Ulid(7))));
        }
        for unmarkable in ["null", "7", "\"text\"", "[1]"] {
            assert_eq!(round_trip(Some(unmarkable)), (Some(unmarkable.to_owned()), None));
        }
    }

    #[test]
    fn an_object_without_room_is_sent_as_it_is() {
        let full = format!("{{\"a\":\"{}\"}}", "x".repeat(CALLBACK_DATA_LIMIT - 8));
        assert_eq!(full.len(), CALLBACK_DATA_LIMIT);
        assert_eq!(round_trip(Some(&full)), (Some(full.clone()), None));
    }

    #[test]
    fn a_foreign_value_under_our_key_is_left_alone() {
        let foreign = r#"{"switchboard":"theirs"}"#;
        assert_eq!(strip(foreign), (Some(Cow::Borrowed(foreign)), None));
    }
}
