//! Every answer that is not the one asked for: an RFC 9457 problem document.
//!
//! Its `type` is stable and is what programs should look at; `title` belongs to the type, `detail` to this answer. Nothing
//! internal is in it: what a store says of itself is logged here, once, and not passed on.
//!
//! To add a kind: its row in `kind` and its constructor here.

mod kind;

use std::borrow::Cow;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use self::kind::Kind;
use crate::connectly::message::Invalid;
use crate::store::StoreError;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// The longest made-up parameter name that is repeated to the caller, in bytes.
const LONGEST_NAME: usize = 64;
/// So many digits could be somebody's phone number.
const SHORTEST_NUMBER: usize = 5;

/// Why a request was not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: &'static Kind,
    detail: Cow<'static, str>,
    parameter: Option<String>,
}

/// Why a request was not answered with what it asked for, as RFC 9457 has it. An unknown path is answered with one too (404),
/// and so is a method that a path does not have (405, with the methods that it has in `Allow`).
#[derive(Serialize, ToSchema)]
pub(super) struct Document<'a> {
    /// What kind of problem it is. It is stable: programs should look at this.
    #[schema(pattern = "^/problems/[a-z-]+$")]
    r#type: &'a str,
    /// The kind, for people.
    title: &'a str,
    /// The status code.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, for people.
    detail: &'a str,
    /// The parameter, or the field of the body, that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
}

impl Problem {
    /// 400: a parameter has a value it does not take; `takes` says what it does.
    pub fn parameter(name: &str, takes: &str) -> Self {
        let detail = Cow::Owned(format!("`{name}` takes {takes}"));
        Self { kind: &kind::INVALID_PARAMETER, detail, parameter: Some(name.to_owned()) }
    }

    /// 400: a parameter that this path does not have. Only a name that looks like one is repeated.
    pub fn unknown_parameter(name: &str, known: &[&str]) -> Self {
        let takes = if known.is_empty() { "no parameters".to_owned() } else { known.join(", ") };
        let detail = Cow::Owned(format!("this path takes {takes}"));
        Self { detail, ..Self::of_parameter(&kind::UNKNOWN_PARAMETER, name) }
    }

    /// 400: a parameter is there more than once.
    pub fn repeated_parameter(name: &str) -> Self {
        Self::of_parameter(&kind::REPEATED_PARAMETER, name)
    }

    /// 400: the request's body is not what the endpoint takes.
    pub fn invalid_body(takes: &'static str) -> Self {
        Self { detail: Cow::Borrowed(takes), ..Self::of(&kind::INVALID_BODY) }
    }

    /// 400: the request's body cannot be read as JSON, or is of another type. Of what was sent only the place is told.
    pub fn no_json(error: &serde_json::Error, takes: &'static str) -> Self {
        if error.is_data() {
            return Self::invalid_body(takes);
        }
        let (line, column) = (error.line(), error.column());
        let detail = format!("it cannot be read as JSON at line {line}, column {column}; {takes}");
        Self { detail: Cow::Owned(detail), ..Self::of(&kind::INVALID_BODY) }
    }

    /// 400: the body ended before it was complete.
    pub const fn unreadable_body() -> Self {
        Self::of(&kind::UNREADABLE_BODY)
    }

    /// 401: a delivery that carries no signature we believe. One text for every reason, so that nobody can probe.
    pub const fn signature() -> Self {
        Self::of(&kind::INVALID_SIGNATURE)
    }

    /// 401: no token, or the wrong one.
    pub const fn token() -> Self {
        Self::of(&kind::INVALID_TOKEN)
    }

    /// 404: there is no such path, or no such thing.
    pub const fn not_found() -> Self {
        Self::of(&kind::NOT_FOUND)
    }

    /// 405: the path is known, the method is not. The router adds `Allow`.
    pub const fn method_not_allowed() -> Self {
        Self::of(&kind::METHOD_NOT_ALLOWED)
    }

    /// 408: the body did not arrive in time.
    pub const fn body_too_slow() -> Self {
        Self::of(&kind::BODY_TOO_SLOW)
    }

    /// 409: the thing is not in a state that allows this.
    pub fn conflict(detail: &'static str) -> Self {
        Self { detail: Cow::Borrowed(detail), ..Self::of(&kind::CONFLICT) }
    }

    /// 410: the event is known, its bytes are no longer kept.
    pub const fn body_purged() -> Self {
        Self::of(&kind::BODY_PURGED)
    }

    /// 413: the body is longer than the limit.
    pub const fn body_too_large() -> Self {
        Self::of(&kind::BODY_TOO_LARGE)
    }

    /// 422: a field of the body is missing or has a value it does not take; `takes` says what it does.
    pub fn field(name: &str, takes: &str) -> Self {
        let detail = Cow::Owned(format!("`{name}` takes {takes}"));
        Self { kind: &kind::INVALID_FIELD, detail, parameter: Some(name.to_owned()) }
    }

    /// 422: a field is no text, number or truth value. Only a name that looks like one is repeated.
    pub fn plain_field(name: &str) -> Self {
        let detail = Cow::Borrowed("the field takes a text, a number, true or false");
        Self { detail, ..Self::of_parameter(&kind::INVALID_FIELD, name) }
    }

    /// 422: a field names a thing that there is not. Only what looks like a name is repeated.
    pub fn unknown_name(field: &str, name: &str, known: &[&str]) -> Self {
        let name = if is_speakable(name) { format!("`{name}`") } else { "something".to_owned() };
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let detail = Cow::Owned(format!("`{field}` names {name}, which is unknown; known are: {known}"));
        Self { kind: &kind::INVALID_FIELD, detail, parameter: Some(field.to_owned()) }
    }

    /// 422: a field that the body of this path does not have. Only a name that looks like one is repeated.
    pub fn unknown_field(name: &str, known: &[&str]) -> Self {
        let problem = Self::of_parameter(&kind::UNKNOWN_FIELD, name);
        let not = problem.parameter.as_ref().map_or_else(String::new, |name| format!(", and not `{name}`"));
        Self { detail: Cow::Owned(format!("the body takes {}{not}", known.join(", "))), ..problem }
    }

    /// 422: a field has a value that Connectly or WhatsApp would not take.
    pub fn invalid(invalid: &Invalid) -> Self {
        let (detail, parameter) = (Cow::Owned(invalid.to_string()), Some(invalid.field.clone()));
        Self { kind: &kind::INVALID_FIELD, detail, parameter }
    }

    /// 422: the `Idempotency-Key` came before, with another body.
    pub const fn key_reused() -> Self {
        Self::of(&kind::KEY_REUSED)
    }

    /// 421: the Host header names something this listener does not answer for.
    pub const fn unknown_host() -> Self {
        Self::of(&kind::UNKNOWN_HOST)
    }

    /// 500: a mistake of ours. It says nothing of it.
    pub const fn internal() -> Self {
        Self::of(&kind::INTERNAL)
    }

    /// 503: too much is under way.
    pub const fn busy() -> Self {
        Self::of(&kind::BUSY)
    }

    /// 503: the store cannot be reached.
    pub const fn unavailable() -> Self {
        Self::of(&kind::UNAVAILABLE)
    }

    /// 503: starting, stopping, or without a store.
    pub const fn not_ready() -> Self {
        Self::of(&kind::NOT_READY)
    }

    /// The status code it is answered with.
    pub const fn status(&self) -> StatusCode {
        self.kind.status
    }

    /// What stands in the answer, in this order.
    pub(super) fn document(&self) -> Document<'_> {
        Document {
            r#type: self.kind.name,
            title: self.kind.title,
            status: self.kind.status.as_u16(),
            detail: &self.detail,
            parameter: self.parameter.as_deref(),
        }
    }

    /// A header that goes with the answer.
    pub(super) const fn header(&self) -> Option<(&'static str, &'static str)> {
        self.kind.header
    }

    const fn of(kind: &'static Kind) -> Self {
        Self { kind, detail: Cow::Borrowed(kind.detail), parameter: None }
    }

    fn of_parameter(kind: &'static Kind, name: &str) -> Self {
        Self { parameter: is_speakable(name).then(|| name.to_owned()), ..Self::of(kind) }
    }
}

/// What the store's errors mean outside. This is where they are logged.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(detail) => Self::conflict(detail),
            StoreError::Unavailable(_) | StoreError::Contention(_) => {
                tracing::warn!(%error, "a request could not be answered");
                Self::unavailable()
            }
            StoreError::Data(_)
            | StoreError::MissingPartition
            | StoreError::Url
            | StoreError::Locked(_)
            | StoreError::Schema(_)
            | StoreError::Internal(_) => {
                tracing::error!(%error, "a request could not be answered");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A struct of texts and a number always serializes; an empty body would still carry the status.
        let body = serde_json::to_vec(&self.document()).unwrap_or_default();
        let mut response = (self.kind.status, [(CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if let Some((name, value)) = self.header() {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Whether a name that a caller made up may stand in an answer: short, and neither a number nor a text (P11).
fn is_speakable(name: &str) -> bool {
    let is_word = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let digits = name.chars().filter(char::is_ascii_digit).count();
    let is_short = (1..=LONGEST_NAME).contains(&name.len()) && digits < SHORTEST_NUMBER;
    is_short && name.chars().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{header, read_json};

    #[tokio::test]
    async fn a_document_has_the_members_of_the_rfc() {
        let response = Problem::parameter("limit", "a number from 1 to 200").into_response();
        assert_eq!(header(&response, "content-type"), MEDIA_TYPE);
        insta::assert_json_snapshot!(read_json(response).await, @r#"
        {
          "detail": "`limit` takes a number from 1 to 200",
          "parameter": "limit",
          "status": 400,
          "title": "A parameter is not valid",
          "type": "/problems/invalid-parameter"
        }
        "#);
    }

    #[test]
    fn only_what_looks_like_a_name_is_repeated() {
        let named = |name: &str| Problem::unknown_parameter(name, &["limit"]).parameter;
        assert_eq!(named("callback_data.order").as_deref(), Some("callback_data.order"));
        for other in ["", "15550100001", "<b>", "a b", &"a".repeat(65)] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn the_store_is_told_of_by_meaning_only() {
        let secret = || "row of +15550100001".to_owned();
        let table = [
            (StoreError::Unavailable(secret()), 503, Some("5")),
            (StoreError::Contention(secret()), 503, Some("5")),
            (StoreError::Conflict("the job is not parked"), 409, None),
            (StoreError::Data(secret()), 500, None),
            (StoreError::Schema(secret()), 500, None),
            (StoreError::Locked(secret()), 500, None),
            (StoreError::Internal(secret()), 500, None),
            (StoreError::Url, 500, None),
        ];
        for (error, status, retry_after) in table {
            let response = Problem::from(error).into_response();
            assert_eq!(response.status().as_u16(), status);
            let found = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(found.as_deref(), retry_after);
            assert!(!read_json(response).await.to_string().contains("15550100001"));
        }
    }
}
