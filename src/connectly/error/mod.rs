//! Refusals: what Connectly says when it does not do something, and what that means.
//!
//! The error of an HTTP answer and the error of a failed status have the same shape. Codes come first, since they are
//! the most precise: `codes` is the one table of them, `answer` the one place that classifies an answer.

mod answer;
pub mod codes;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use answer::{Doubt, SendAnswer, Unreached};
pub use codes::{advice, meaning, retryable};

/// Connectly's account of an error, as it is stored and shown.
///
/// It reads any JSON and never fails: Connectly's own spelling, the stored one, a gateway's (numeric `code`, `details`
/// as an array), or a bare string. Texts from outside can hold phone numbers, so `Debug` output has none of them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(from = "Value")]
#[schema(description = "Connectly's account of an error.")]
pub struct ErrorDetail {
    /// The code, as in `ERROR_CODE_MESSAGE_TEXT_EMPTY`; an open set, and a number when a gateway made the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The type, as in `ERROR_TYPE_INVALID_REQUEST`; an open set.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// What happened, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What Connectly's support asks for: a number beyond 63 bits, so kept as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// A heading meant for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// An error with what we make of its code.
#[derive(Serialize, ToSchema)]
pub struct ShownError<'a> {
    #[serde(flatten)]
    detail: &'a ErrorDetail,
    /// Whether the same message may well succeed later with nobody changing anything.
    retryable: bool,
    /// What the code means; absent when it is not a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<&'static str>,
    /// What to do about it; absent when the code is not a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// Characters kept of one text: enough for a sentence or two, small enough to store with every failure.
const LONGEST_TEXT: usize = 500;

impl ErrorDetail {
    /// What an HTTP body says, be it JSON, a proxy's page, plain text or nothing.
    pub fn from_body(body: &[u8]) -> Self {
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            return Self::from(value);
        }
        let text = String::from_utf8_lossy(body);
        // A page's markup says nothing that its HTTP status does not.
        if text.trim_start().starts_with('<') { Self::default() } else { Self::from_message(&text) }
    }

    /// An error that has only words.
    pub fn from_message(message: &str) -> Self {
        Self { message: tidy(message), ..Self::default() }
    }

    /// What it means, in a sentence, when the code is known.
    pub fn meaning(&self) -> Option<&'static str> {
        self.code.as_deref().and_then(meaning)
    }

    /// What to do about it, in a sentence, when the code is known.
    pub fn advice(&self) -> Option<&'static str> {
        self.code.as_deref().and_then(advice)
    }

    /// Whether the same message may well succeed later with nobody changing anything.
    pub fn retryable(&self) -> bool {
        self.code.as_deref().is_some_and(retryable)
    }

    /// The error as events show it: with what we make of its code, which is not stored, so that old errors gain from what
    /// is learned later.
    pub fn shown(&self) -> ShownError<'_> {
        ShownError {
            detail: self,
            retryable: self.retryable(),
            meaning: self.meaning(),
            advice: self.advice(),
        }
    }

    /// Whether it says that the 24-hour window is closed.
    pub fn closes_window(&self) -> bool {
        let row = self.code.as_deref().and_then(codes::find);
        row.is_some_and(|row| row.judgement == codes::Judgement::WindowClosed)
    }

    /// Whether it says that the customer wants no messages.
    pub fn opts_out(&self) -> bool {
        let row = self.code.as_deref().and_then(codes::find);
        row.is_some_and(|row| row.judgement == codes::Judgement::OptedOut)
    }

    /// The code for a log line or a metric: one of the known ones, else `other`, or `none`. The set is closed, so
    /// nothing that came from outside shows.
    pub fn known_code(&self) -> &'static str {
        self.code.as_deref().map_or("none", |code| codes::find(code).map_or("other", |row| row.code))
    }

    fn from_object(object: &Map<String, Value>) -> Self {
        let text = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key).and_then(scalar));
        Self {
            code: text(&["code"]),
            error_type: text(&["type"]),
            message: text(&["message", "userMessage", "user_message"]),
            trace_id: text(&["cntTraceId", "cnt_trace_id", "trace_id"]),
            title: text(&["userTitle", "user_title", "title"]),
        }
    }
}

impl From<Value> for ErrorDetail {
    fn from(value: Value) -> Self {
        match value {
            // Some gateways wrap: {"error": {...}} or {"error": "words"}.
            Value::Object(mut object) => match object.remove("error") {
                Some(inner @ (Value::Object(_) | Value::String(_))) => Self::from(inner),
                _ => Self::from_object(&object),
            },
            Value::String(text) => Self::from_message(&text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Self::default(),
        }
    }
}

impl std::fmt::Debug for ErrorDetail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ErrorDetail").field("code", &self.known_code()).finish_non_exhaustive()
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => tidy(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text from outside in a form that can be stored and printed: one line, of bounded length, absent when empty.
fn tidy(text: &str) -> Option<String> {
    let line: String =
        text.trim().chars().take(LONGEST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (!line.is_empty()).then_some(line)
}
