//! Sending a simulated event, and telling what became of it.

use reqwest::{StatusCode, header};
use serde_json::Value;

use crate::cli::endpoint::Endpoint;
use crate::cli::http::{REQUEST_TIMEOUT, client, root_cause};
use crate::cli::problem::Problem;
use crate::cli::terminal::Terminal;
use crate::connectly::signature::{HEADER, Key};

/// A request that makes an event.
#[derive(Debug)]
pub struct Delivery {
    url: String,
    body: Vec<u8>,
    by: Sender,
}

/// Who delivers to the webhook.
#[derive(Debug)]
enum Sender {
    /// We do, with this signature.
    Us { signature: String },
    /// The emulator, which answers with what the webhook answered it.
    Emulator,
}

impl Delivery {
    /// A body for the webhook, signed.
    pub fn signed(webhook: &Endpoint, body: Vec<u8>) -> Self {
        let signature = Key::new(&webhook.secret).sign(&body);
        Self { url: webhook.url.clone(), body, by: Sender::Us { signature } }
    }

    /// A request to the emulator to let a customer act.
    pub fn through_emulator(emulator: &str, request: &Value) -> Self {
        let url = format!("{}/_emulator/inbound", emulator.trim_end_matches('/'));
        Self { url, body: super::json(request), by: Sender::Emulator }
    }

    /// Sends it and prints the event's id; an answer other than 200 is an error.
    pub async fn send(self, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        let through_emulator = matches!(self.by, Sender::Emulator);
        let (status, answer) = self.exchange().await?;
        let (status, answer) = match through_emulator {
            true if status.is_success() => relayed(&answer)?,
            true => anyhow::bail!("the emulator answered {}", refusal(status, &answer)),
            false => (status, answer),
        };
        anyhow::ensure!(status == StatusCode::OK, "the webhook answered {}", Problem::of(status, &answer));
        let Some(id) = answer.get("id").and_then(Value::as_str) else {
            anyhow::bail!("the webhook answered 200 without an event's id: is it a Switchboard?");
        };
        let duplicate = answer.get("duplicate").and_then(Value::as_bool).unwrap_or(false);
        Ok(terminal.line(&format!("event {id}{}", if duplicate { " (duplicate)" } else { "" }))?)
    }

    async fn exchange(self) -> anyhow::Result<(StatusCode, Value)> {
        let request = client()?.post(&self.url).timeout(REQUEST_TIMEOUT).body(self.body);
        let request = match self.by {
            Sender::Us { signature } => {
                request.header(header::CONTENT_TYPE, "text/plain; charset=utf-8").header(HEADER, signature)
            }
            Sender::Emulator => request.header(header::CONTENT_TYPE, "application/json"),
        };
        let url = self.url;
        let lost = |error: reqwest::Error| {
            let reason = root_cause(&error);
            if error.is_connect() {
                anyhow::anyhow!("cannot reach {url} ({reason}): is the server running?")
            } else {
                anyhow::anyhow!("no answer from {url}: {reason}")
            }
        };
        let response = request.send().await.map_err(&lost)?;
        let status = response.status();
        let body = response.bytes().await.map_err(lost)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// Why the emulator makes nobody act: it says so under `error`.
fn refusal(status: StatusCode, answer: &Value) -> String {
    let problem = Problem::of(status, answer).to_string();
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => format!("{problem}: {error}"),
        None => problem,
    }
}

/// What the webhook answered, as the emulator tells it: the body may be JSON, or a text that holds it.
fn relayed(answer: &Value) -> anyhow::Result<(StatusCode, Value)> {
    if answer.get("webhook").is_some_and(Value::is_null) {
        anyhow::bail!("nobody is registered for it: `switchboard webhooks list` shows who is for what");
    }
    let status = answer.pointer("/webhook/status").and_then(Value::as_u64);
    let status = status
        .and_then(|status| u16::try_from(status).ok())
        .and_then(|status| StatusCode::from_u16(status).ok());
    let Some(status) = status else {
        anyhow::bail!("the emulator could not reach the webhook");
    };
    let body = answer.pointer("/webhook/body").cloned().unwrap_or_default();
    let parsed = body.as_str().map(|text| serde_json::from_str(text).unwrap_or_default());
    Ok((status, parsed.unwrap_or(body)))
}
