//! Why there is no answer to show: a server's refusal (a problem document, RFC 9457), or none at all.

use std::fmt;

use reqwest::StatusCode;
use serde_json::Value;

use super::missing::missing;

/// A refusal. It prints like `404 not found: no event with this id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The answer's status.
    pub status: StatusCode,
    title: String,
    detail: Option<String>,
}

impl Problem {
    /// Reads an answer's body. What is no problem document leaves the status and its usual name.
    pub fn read(status: StatusCode, body: &[u8]) -> Self {
        Self::of(status, &serde_json::from_slice(body).unwrap_or_default())
    }

    /// The problem in a document that was read already.
    pub fn of(status: StatusCode, document: &Value) -> Self {
        let text = |key| document.get(key).and_then(Value::as_str).map(str::to_owned);
        let usual = || status.canonical_reason().unwrap_or("unexpected answer").to_lowercase();
        Self { status, title: text("title").unwrap_or_else(usual), detail: text("detail") }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.status.as_u16(), self.title)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(formatter, ": {detail}"))
    }
}

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No connection.
    #[error(
        "cannot reach {url} ({reason}): is the server running? start one with `switchboard dev` or `switchboard serve`"
    )]
    Unreachable {
        /// What was tried.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// The connection broke, or the answer took too long.
    #[error("no answer from {url}: {reason}")]
    Interrupted {
        /// What was asked.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The server answered, and said no.
    #[error("{0}")]
    Refused(Problem),
    /// The answer is none of ours.
    #[error("the answer of {url} cannot be read: is it the admin address of a Switchboard?")]
    Strange {
        /// What was asked.
        url: String,
    },
}

impl AdminError {
    /// The same, said of what was asked for: a path is nothing that a person has typed.
    #[must_use]
    pub fn about(self, path: &[&str]) -> Self {
        match self {
            Self::Refused(problem) if problem.status == StatusCode::NOT_FOUND => {
                let detail = missing(path).or(problem.detail);
                Self::Refused(Problem { detail, ..problem })
            }
            other => other,
        }
    }

    /// Whether what was asked for is at fault: the same will be refused again.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Refused(problem) => {
                matches!(problem.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::Strange { .. } => false,
        }
    }

    /// Whether asking again may help: the server is restarting, or the way to it is broken.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Refused(problem) => problem.status.is_server_error(),
            Self::Strange { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_one_line() {
        let body = br#"{"type": "about:blank", "title": "not found", "status": 404, "detail": "no event with this id"}"#;
        let problem = Problem::read(StatusCode::NOT_FOUND, body);
        assert_eq!(problem.to_string(), "404 not found: no event with this id");
        assert_eq!(Problem::read(StatusCode::BAD_GATEWAY, b"<html>").to_string(), "502 bad gateway");
    }
}
