//! The HTTP client that posts webhooks, in the manner of Connectly's own.

use std::time::Duration;

use reqwest::redirect::Policy;
use serde_json::Value;

use super::delivery::Answer;

/// What Connectly's sample request calls itself.
const USER_AGENT: &str = "go-resty/2.6.0 (https://github.com/go-resty/resty)";
/// How long a connection may take. Connectly's limits are not documented; these suit a desk.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole delivery may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The bytes of an answer that are kept: our own answer has less than a hundred.
const ANSWER_BYTES: usize = 64 * 1024;

/// A client with limits, that follows no redirect and asks no proxy.
pub(super) fn build() -> reqwest::Result<reqwest::Client> {
    install_crypto();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(Policy::none())
        .no_proxy()
        .build()
}

/// Sends a request and reads as much of its answer as is kept.
pub(super) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    match exchange(request).await {
        Ok(answer) => answer,
        Err(error) => Answer::Unanswered { error: why(&error) },
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = ANSWER_BYTES - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == ANSWER_BYTES {
            break;
        }
    }
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
    Ok(Answer::Answered { status, body })
}

/// Why there is no answer, without the address, which may hold a secret.
fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "the endpoint took too long"
    } else if error.is_connect() {
        "the endpoint cannot be reached"
    } else if error.is_builder() {
        "the webhook address is not a URL"
    } else {
        "the connection broke off"
    }
}

/// Chooses the crypto provider for TLS, which `reqwest` leaves to the program. Another choice made before stands.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
