//! Questions about the account: one request, one attempt, and the one table of what its answer means.
//!
//! Unlike a send, such a request may be made again: it reads, or it leads to the same state once more. Whether to do so is
//! the caller's business here as well.

use std::time::Duration;

use reqwest::header::CONTENT_LENGTH;
use reqwest::{Method, Url};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Client, read, retry_after};
use crate::connectly::error::{Doubt, ErrorDetail, SendAnswer, Unreached};

/// The most of an answer that is read, in bytes: a business may have hundreds of templates of some thousand bytes each.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// Why Connectly did not do what it was asked, or why that is not known. Connectly's words are repeated, the API key never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// 401 or 403, or an error of type `ERROR_TYPE_AUTHENTICATION`.
    #[error("Connectly refuses the API key (status {status}){}", told(.detail))]
    Key {
        /// The HTTP status.
        status: u16,
        /// What Connectly says.
        detail: ErrorDetail,
    },
    /// 404: no such business, or no such id.
    #[error("Connectly knows no such business or id (status 404): check business_id and base_url{}", told(.0))]
    NotFound(ErrorDetail),
    /// 409: what is to be made is there already.
    #[error("Connectly has it already (status 409){}", told(.0))]
    Conflict(ErrorDetail),
    /// 429: surely not done.
    #[error("Connectly takes no more requests for now (status 429): try again {}", later(*.0))]
    RateLimited(Option<Duration>),
    /// Any other definite no.
    #[error("Connectly refuses it (status {status}){}", told(.detail))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What Connectly says.
        detail: ErrorDetail,
    },
    /// Connectly's own failure, or a status that says nothing.
    #[error("Connectly answers with status {status}: try again later{}", told(.detail))]
    Failed {
        /// The HTTP status.
        status: u16,
        /// What Connectly says.
        detail: ErrorDetail,
    },
    /// A success whose body is not the documented one.
    #[error("Connectly answers with status {0} and not with what it documents: check base_url")]
    Unreadable(u16),
    /// No connection: surely not done.
    #[error("Connectly cannot be reached: {0}")]
    Unreached(Unreached),
    /// No answer: a change may have been made.
    #[error("Connectly does not answer: {0}")]
    Lost(Doubt),
}

/// A success.
pub(super) struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The body as JSON that `take` makes something of.
    pub(super) fn read<T>(&self, take: impl FnOnce(&Value) -> Option<T>) -> Result<T, CallError> {
        let value = serde_json::from_slice(&self.body).ok();
        value.as_ref().and_then(take).ok_or(CallError::Unreadable(self.status))
    }
}

impl Client {
    /// Makes one request and classifies its answer.
    pub(super) async fn call(
        &self,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, CallError> {
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            // Said also of an empty one: there are proxies that refuse a POST without (411).
            request = request.header(CONTENT_LENGTH, body.len()).body(body);
        }
        let response = request.send().await.map_err(|failure| unanswered(&failure))?;
        let (status, wait) = (response.status(), retry_after(response.headers()));
        let body = match read(response, ANSWER_LIMIT).await {
            Ok(body) => body,
            Err(failure) if status.is_success() => return Err(unanswered(&failure)),
            // The status has said what matters.
            Err(_) => Vec::new(),
        };
        if status.is_success() {
            return Ok(Answer { status: status.as_u16(), body });
        }
        Err(refusal(status.as_u16(), wait, self.without_key(ErrorDetail::from_body(&body))))
    }

    /// A URL below the business's own. The parts are escaped.
    pub(super) fn below(&self, path: &[&str]) -> Url {
        let mut url = self.business_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        url
    }

    /// The same, should a server repeat in its words the key that it was shown.
    fn without_key(&self, mut detail: ErrorDetail) -> ErrorDetail {
        let key = self.api_key.expose_secret();
        let texts = [
            &mut detail.code,
            &mut detail.error_type,
            &mut detail.message,
            &mut detail.trace_id,
            &mut detail.title,
        ];
        for text in texts.into_iter().flatten() {
            *text = text.replace(key, "***");
        }
        detail
    }
}

/// What an answer that is no success means.
fn refusal(status: u16, retry_after: Option<Duration>, detail: ErrorDetail) -> CallError {
    let authentication = detail.error_type.as_deref() == Some("ERROR_TYPE_AUTHENTICATION");
    match status {
        401 | 403 => CallError::Key { status, detail },
        404 => CallError::NotFound(detail),
        409 => CallError::Conflict(detail),
        429 => CallError::RateLimited(retry_after),
        _ if authentication => CallError::Key { status, detail },
        // A proxy's 408 stands for an answer that it stopped waiting for.
        408 => CallError::Failed { status, detail },
        400..=499 => CallError::Refused { status, detail },
        300..=399 => {
            let detail = ErrorDetail::from_message("the base URL answers with a redirect");
            CallError::Refused { status, detail }
        }
        _ => CallError::Failed { status, detail },
    }
}

fn unanswered(failure: &reqwest::Error) -> CallError {
    match SendAnswer::from_failure(failure) {
        SendAnswer::NotSent { why } => CallError::Unreached(why),
        SendAnswer::Unknown { why, .. } => CallError::Lost(why),
        _ => CallError::Lost(Doubt::Lost),
    }
}

/// Connectly's words, code and trace id, as far as there are any, to be put behind a sentence.
fn told(detail: &ErrorDetail) -> String {
    let message = detail.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let named = [
        detail.code.clone(),
        detail.error_type.clone(),
        detail.trace_id.as_ref().map(|trace_id| format!("trace id {trace_id}")),
    ];
    let named: Vec<String> = named.into_iter().flatten().collect();
    if named.is_empty() { message } else { format!("{message} ({})", named.join(", ")) }
}

fn later(wait: Option<Duration>) -> String {
    wait.map_or_else(|| "later".to_owned(), |wait| format!("in {} s", wait.as_secs()))
}
