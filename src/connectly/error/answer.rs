//! What an answer to a send means for the message: sent, surely not sent, or not known.
//!
//! There is no idempotency key, so the question that matters is whether Connectly may have sent the message. Whatever
//! leaves that open is [`SendAnswer::Unknown`] and is never sent again on our own initiative.

use std::time::Duration;

use serde_json::Value;

use super::ErrorDetail;
use super::codes::{Judgement, find};
use crate::connectly::kind::SendKind;

/// The one outcome of one attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendAnswer {
    /// Connectly took it and will send it.
    Accepted {
        /// Connectly's id of the message, as it was spelled.
        provider_message_id: String,
    },
    /// Too many requests: surely not processed, to be tried again.
    RateLimited {
        /// How long Connectly asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The request never left: surely not processed, to be tried again.
    NotSent {
        /// How far it came.
        why: Unreached,
    },
    /// The API key was not accepted: all of the account's sends wait for a person.
    Unauthorized(ErrorDetail),
    /// The 24-hour window is closed: never tried again as it is.
    WindowClosed(ErrorDetail),
    /// The customer opted out.
    OptedOut(ErrorDetail),
    /// A definite no.
    Refused(ErrorDetail),
    /// It may or may not have been sent: never tried again on our own initiative.
    Unknown {
        /// What left it open.
        why: Doubt,
        /// What the answer said, if there was one that said anything.
        error: Option<ErrorDetail>,
    },
}

/// How a request came not to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// The host name did not resolve.
    #[error("the host name did not resolve")]
    Name,
    /// Nobody answered in time.
    #[error("timed out while connecting")]
    TimedOut,
    /// The connection was refused, or TLS was not agreed on.
    #[error("could not connect")]
    Refused,
}

/// What leaves the fate of a message open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// An HTTP status after which the message may have been sent.
    #[error("answered with HTTP status {0}")]
    Status(u16),
    /// A success that does not name the message.
    #[error("answered with HTTP status {0} and no message id")]
    NoId(u16),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended before the answer.
    #[error("the connection was lost before the answer")]
    Lost,
}

impl SendAnswer {
    /// What an HTTP answer to a send means: its code decides, else its type, else its status.
    pub fn from_response(kind: SendKind, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        if (200..300).contains(&status) {
            return accepted(body).unwrap_or(Self::Unknown { why: Doubt::NoId(status), error: None });
        }
        let error = ErrorDetail::from_body(body);
        let verdict = by_code(&error, status)
            .or_else(|| by_type(kind, &error, status))
            .unwrap_or_else(|| by_status(status));
        match verdict {
            // A template needs no window, so nothing else can be sent in its place.
            Verdict::WindowClosed if kind == SendKind::Template => Self::Refused(error),
            Verdict::WindowClosed => Self::WindowClosed(error),
            Verdict::OptedOut => Self::OptedOut(error),
            Verdict::Unauthorized => Self::Unauthorized(error),
            Verdict::RateLimited => Self::RateLimited { retry_after },
            Verdict::Refused => Self::Refused(error.or_words(status)),
            Verdict::Unknown => {
                let error = (error != ErrorDetail::default()).then_some(error);
                Self::Unknown { why: Doubt::Status(status), error }
            }
        }
    }

    /// What it means that no answer came. Only a failure to connect proves that nothing left.
    pub(crate) fn from_failure(failure: &reqwest::Error) -> Self {
        let why = if failure.is_dns() {
            Unreached::Name
        } else if failure.is_timeout() {
            Unreached::TimedOut
        } else {
            Unreached::Refused
        };
        if failure.is_connect() {
            return Self::NotSent { why };
        }
        let why = if failure.is_timeout() { Doubt::TimedOut } else { Doubt::Lost };
        Self::Unknown { why, error: None }
    }
}

enum Verdict {
    WindowClosed,
    OptedOut,
    Unauthorized,
    RateLimited,
    Refused,
    Unknown,
}

/// A known code is believed whatever the status: the closed window has been seen as 400 and may come as 504.
fn by_code(error: &ErrorDetail, status: u16) -> Option<Verdict> {
    match find(error.code.as_deref()?)?.judgement {
        Judgement::WindowClosed => Some(Verdict::WindowClosed),
        Judgement::OptedOut => Some(Verdict::OptedOut),
        Judgement::Refused => Some(Verdict::Refused),
        Judgement::Unspecified => (status >= 500).then_some(Verdict::Unknown),
    }
}

/// The closed window comes as `DEADLINE_EXCEEDED` in Connectly's pages and as `FAILED_PRECONDITION` in production, so
/// without a code either means it, on a session message. 401 and 429 say more than any type beside them.
fn by_type(kind: SendKind, error: &ErrorDetail, status: u16) -> Option<Verdict> {
    let says_code = error.code.as_deref().is_some_and(|code| code != "ERROR_CODE_UNSPECIFIED");
    match error.error_type.as_deref()? {
        _ if matches!(status, 401 | 429) => None,
        "ERROR_TYPE_AUTHENTICATION" => Some(Verdict::Unauthorized),
        "ERROR_TYPE_INVALID_REQUEST" => Some(Verdict::Refused),
        "ERROR_TYPE_DEADLINE_EXCEEDED" | "ERROR_TYPE_FAILED_PRECONDITION"
            if !says_code && kind == SendKind::Session =>
        {
            Some(Verdict::WindowClosed)
        }
        _ => None,
    }
}

fn by_status(status: u16) -> Verdict {
    match status {
        401 => Verdict::Unauthorized,
        429 => Verdict::RateLimited,
        // A proxy's 408 may stand for an answer that it stopped waiting for.
        408 => Verdict::Unknown,
        // Redirects that ask for the same request elsewhere: the base URL is wrong, nothing was processed.
        301 | 302 | 307 | 308 | 400..=499 => Verdict::Refused,
        _ => Verdict::Unknown,
    }
}

fn accepted(body: &[u8]) -> Option<SendAnswer> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let provider_message_id = match value.get("id")? {
        Value::String(id) if !id.trim().is_empty() => id.trim().to_owned(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    Some(SendAnswer::Accepted { provider_message_id })
}

impl ErrorDetail {
    /// The same, with the HTTP status as its words when it came without any.
    fn or_words(self, status: u16) -> Self {
        let message = self.message.or_else(|| {
            Some(match status {
                300..=399 => format!("HTTP status {status}: the base URL answers with a redirect"),
                _ => format!("HTTP status {status}"),
            })
        });
        Self { message, ..self }
    }
}
