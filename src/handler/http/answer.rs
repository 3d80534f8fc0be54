//! What an answer means: the one table of statuses, and the one reading of a body.
//!
//! What is wrong with a body is told by its field, never by its text: the reason is stored and shown, and an answer holds
//! what a customer would have read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::json::JsonText;
use crate::model::outcome::{Effect, HandlerError, Outcome, Reply, StateChange};

/// What an answer may hold.
const KEYS: &str = "replies, state, effects";
/// What a reply may hold.
const REPLY_KEYS: &str = "message, callback_data, from, fallback";

/// An object's members, each as it was written.
type Members = BTreeMap<String, Box<RawValue>>;

/// What a status that is no success leads to: those that say that the request itself is at fault park the job, all others
/// may mend themselves.
pub fn refusal(status: u16, retry_after: Option<Duration>) -> HandlerError {
    let why = match status {
        300..=399 => format!("the handler answered {status}, and redirects are not followed"),
        _ => format!("the handler answered {status}"),
    };
    match (status, retry_after) {
        (400 | 410 | 413 | 422, _) => HandlerError::fail(why),
        (_, Some(delay)) => HandlerError::retry_after(delay, why),
        (_, None) => HandlerError::retry(why),
    }
}

/// Reads the body of a success; nothing at all is an outcome without replies. The error completes a sentence that begins
/// with "the handler's answer:".
pub fn read(body: &[u8]) -> Result<Outcome, String> {
    if body.trim_ascii().is_empty() {
        return Ok(Outcome::ignored());
    }
    let raw: Box<RawValue> = serde_json::from_slice(body)
        .map_err(|error| format!("is not JSON (line {}, column {})", error.line(), error.column()))?;
    let mut outcome = Outcome::ignored();
    for (key, value) in members(&raw).ok_or("must be an object, or nothing")? {
        match key.as_str() {
            "replies" => outcome.replies = replies(&value)?,
            "state" => outcome.state = state(&value)?,
            "effects" => outcome.effects = effects(&value)?,
            _ => return Err(format!("`{}` is not a known key: it takes {KEYS}", shown(&key))),
        }
    }
    Ok(outcome)
}

fn replies(value: &RawValue) -> Result<Vec<Reply>, String> {
    let items: Vec<Box<RawValue>> = unless_null(value).ok_or("replies must be a list")?;
    items.iter().enumerate().map(|(index, item)| reply(index, item)).collect()
}

fn reply(index: usize, value: &RawValue) -> Result<Reply, String> {
    let at = |key: &str| format!("replies[{index}].{key}");
    let members = members(value).ok_or_else(|| format!("replies[{index}] must be an object"))?;
    let mut reply = Reply::message(Value::Null);
    for (key, value) in members {
        match key.as_str() {
            "message" => reply.message = object(&value, &at("message"))?.unwrap_or_default(),
            // Null is a value here: it is echoed as null.
            "callback_data" => {
                reply.callback_data = Some(JsonText::of(&tree(&value, &at("callback_data"))?));
            }
            "from" => {
                reply.from = parse(&value)
                    .ok_or_else(|| format!("{} must be a phone number in quotes", at("from")))?;
            }
            "fallback" => reply.fallback = object(&value, &at("fallback"))?,
            _ => {
                let key = shown(&key);
                return Err(format!("{} is not a known key: a reply takes {REPLY_KEYS}", at(&key)));
            }
        }
    }
    if reply.message.is_null() {
        return Err(format!("{} is required", at("message")));
    }
    Ok(reply)
}

fn state(value: &RawValue) -> Result<StateChange, String> {
    match tree(value, "state")? {
        Value::Null => Ok(StateChange::Clear),
        state => Ok(StateChange::Set(state)),
    }
}

fn effects(value: &RawValue) -> Result<Vec<Effect>, String> {
    let items: Vec<Box<RawValue>> = unless_null(value).ok_or("effects must be a list")?;
    let read = |(index, item): (usize, Box<RawValue>)| {
        let text = parse::<String>(&item);
        let effect = text.as_deref().and_then(Effect::parse);
        effect.ok_or_else(|| format!("effects[{index}] must be {}", Effect::TAKES))
    };
    items.into_iter().enumerate().map(read).collect()
}

fn object(value: &RawValue, path: &str) -> Result<Option<Value>, String> {
    match tree(value, path)? {
        Value::Null => Ok(None),
        object @ Value::Object(_) => Ok(Some(object)),
        _ => Err(format!("{path} must be an object")),
    }
}

/// JSON that is kept as a value. What is JSON and no value has a text cut in the middle of a character, a number beyond all
/// bounds, or too many levels.
fn tree(value: &RawValue, path: &str) -> Result<Value, String> {
    serde_json::from_str(value.get()).map_err(|error| {
        // The parser's own words: they tell what and where, and repeat nothing of the text.
        format!("{path} cannot be kept: {error}")
    })
}

fn members(value: &RawValue) -> Option<Members> {
    parse(value)
}

fn parse<'a, T: serde::Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

/// The value, or an empty one for null.
fn unless_null<'a, T: serde::Deserialize<'a> + Default>(value: &'a RawValue) -> Option<T> {
    parse::<Option<T>>(value).map(Option::unwrap_or_default)
}

/// The longest part of an unknown key that is repeated: enough to recognise it.
const SHOWN_CHARACTERS: usize = 40;

/// A key that somebody made up, fit to be shown.
fn shown(key: &str) -> String {
    key.chars().filter(|character| !character.is_control()).take(SHOWN_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Retry;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(answer: &Value) -> String {
        read(answer.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn a_whole_answer_is_read() {
        let answer = json!({
            "replies": [
                {"message": {"text": "hi"}, "callback_data": null, "from": "+15550100003",
                 "fallback": {"template": "again", "language": "en"}},
                {"message": {"text": "there"}}
            ],
            "state": {"step": 2},
            "effects": ["opt_out", "opt_in", "mute:2h"]
        });
        let outcome = read(answer.to_string().as_bytes()).unwrap();
        assert_eq!(outcome.replies.len(), 2);
        assert_eq!(outcome.replies[0].callback_data, JsonText::parse("null".to_owned()));
        assert_eq!(outcome.replies[1].callback_data, None);
        assert_eq!(outcome.state, StateChange::Set(json!({"step": 2})));
        assert_eq!(outcome.effects, [Effect::OptOut, Effect::OptIn, Effect::Mute(Duration::from_hours(2))]);
    }

    #[test]
    fn an_absent_state_stays_and_null_clears_it() {
        assert_eq!(read(b"").unwrap(), Outcome::ignored());
        assert_eq!(read(b"{}").unwrap().state, StateChange::Keep);
        assert_eq!(read(br#"{"state": null, "replies": null}"#).unwrap().state, StateChange::Clear);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_field_and_without_its_text() {
        assert!(read(b"{\"replies\": [").unwrap_err().starts_with("is not JSON (line 1"));
        assert_eq!(told(&json!([])), "must be an object, or nothing");
        assert_eq!(
            told(&json!({"reply": 1})),
            "`reply` is not a known key: it takes replies, state, effects"
        );
        assert_eq!(told(&json!({"replies": {"secret": 1}})), "replies must be a list");
        assert_eq!(told(&json!({"replies": ["secret"]})), "replies[0] must be an object");
        assert_eq!(told(&json!({"replies": [{}]})), "replies[0].message is required");
        assert!(
            told(&json!({"replies": [{"message": "secret"}]}))
                .starts_with("replies[0].message must be an object")
        );
        assert!(
            told(&json!({"replies": [{"message": {}, "txt": 1}]}))
                .starts_with("replies[0].txt is not a known key")
        );
        assert!(
            told(&json!({"replies": [{"message": {}, "from": 1555}]})).starts_with("replies[0].from must be")
        );
        assert!(told(&json!({"effects": ["opt_in", "mute"]})).starts_with("effects[1] must be"));
    }

    #[test]
    fn what_is_json_and_no_value_is_refused_with_its_field() {
        let told = |key: &str, value: &str| {
            let reply =
                if key == "message" { String::new() } else { r#""message": {"text": "hi"}, "#.to_owned() };
            let answer = format!(r#"{{"replies": [{{{reply}"{key}": {value}}}]}}"#);
            read(answer.as_bytes()).unwrap_err()
        };
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for value in [r#"{"order": "12345", "q": "cut \ud83d"}"#, r#"{"n": 1e400}"#, &deep] {
            let why = told("callback_data", value);
            assert!(why.starts_with("replies[0].callback_data cannot be kept: "), "{why}");
        }
        assert!(told("callback_data", &deep).contains("recursion limit"));
        let why = told("message", r#"{"text": "caf\ud83d"}"#);
        assert!(why.starts_with("replies[0].message cannot be kept: ") && !why.contains("caf"), "{why}");
        let why = read(br#"{"state": {"n": 1e400}}"#).unwrap_err();
        assert!(why.starts_with("state cannot be kept: number out of range"), "{why}");
    }

    #[test]
    fn callback_data_is_kept_as_it_comes_back() {
        let answer = br#"{"replies": [{"message": {"text": "hi"}, "callback_data": [1,  2]}]}"#;
        let outcome = read(answer).unwrap();
        assert_eq!(outcome.replies[0].callback_data, JsonText::parse("[1,2]".to_owned()));
    }

    #[test]
    fn each_status_has_one_meaning() {
        let retry = |status, after| refusal(status, after).retry;
        for status in [400, 410, 413, 422] {
            assert_eq!(retry(status, Some(Duration::from_secs(1))), Retry::Never, "{status}");
        }
        for status in [301, 302, 401, 403, 404, 409, 429, 500, 502, 503, 504] {
            assert_eq!(retry(status, None), Retry::Backoff, "{status}");
        }
        assert_eq!(retry(503, Some(Duration::from_secs(7))), Retry::After(Duration::from_secs(7)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body);
        }
    }
}
