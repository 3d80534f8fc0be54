//! The program that gets the events.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Response, StatusCode, Url, header};

use crate::cli::http::{REQUEST_TIMEOUT, client, root_cause};
use crate::cli::list::TEXT_WIDTH;
use crate::cli::terminal::clip;
use crate::clock::Clock;
use crate::connectly::signature::{HEADER, Key};

/// As much of an answer is read, in bytes: enough for a sentence about what is wrong.
const ANSWER_BYTES: usize = 4 << 10;

/// A program that takes webhooks.
#[derive(Debug)]
pub(super) struct Program {
    http: Client,
    url: Url,
    clock: Clock,
}

/// What became of one event.
#[derive(Debug)]
pub(super) enum Fate {
    /// The program answered.
    Answered {
        /// Its status.
        status: StatusCode,
        /// How the answer begins.
        said: String,
        /// From the request to the answer.
        took: Duration,
    },
    /// It did not, for this reason.
    Unanswered {
        /// What the system said.
        reason: String,
        /// From the request until it was given up.
        took: Duration,
    },
    /// There was nothing to send, for this reason.
    NotSent(String),
}

impl Program {
    /// The program at an address. Nothing is sent yet.
    pub(super) fn new(url: Url, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self { http: client()?, url, clock })
    }

    /// Sends a body as Connectly does, once.
    pub(super) async fn post(&self, body: Bytes, key: &Key) -> Fate {
        let watch = self.clock.stopwatch();
        let answer = self.exchange(body, key).await;
        let took = watch.elapsed();
        match answer {
            Ok((status, said)) => Fate::Answered { status, said, took },
            Err(error) => Fate::Unanswered { reason: root_cause(&error.without_url()), took },
        }
    }

    async fn exchange(&self, body: Bytes, key: &Key) -> reqwest::Result<(StatusCode, String)> {
        let request = self.http.post(self.url.clone()).timeout(REQUEST_TIMEOUT);
        let request = request
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(HEADER, key.sign(&body))
            .body(body);
        let response = request.send().await?;
        Ok((response.status(), beginning(response).await?))
    }
}

async fn beginning(mut response: Response) -> reqwest::Result<String> {
    let mut said = Vec::new();
    while said.len() < ANSWER_BYTES
        && let Some(piece) = response.chunk().await?
    {
        said.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

impl Fate {
    /// The answer's status or why there is none, the time it took, and what to say beside it: of an answer that Connectly
    /// would be content with, nothing.
    pub(super) fn cells(&self) -> [String; 3] {
        let milliseconds = |took: &Duration| format!("{} ms", took.as_millis());
        match self {
            Self::Answered { status, said, took } => {
                let said = if status.is_success() { "" } else { said.trim() };
                [status.as_u16().to_string(), milliseconds(took), clip(said, TEXT_WIDTH)]
            }
            Self::Unanswered { reason, took } => ["no answer".into(), milliseconds(took), reason.clone()],
            Self::NotSent(reason) => ["not sent".into(), String::new(), reason.clone()],
        }
    }
}
