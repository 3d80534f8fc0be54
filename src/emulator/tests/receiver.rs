//! A webhook endpoint that believes only what is signed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use secrecy::SecretString;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::WEBHOOK_SECRET;
use crate::connectly::signature::{HEADER, Key, verify};

/// Keeps every delivery and answers as it was told, 200 when it was not.
pub(super) struct Receiver {
    url: String,
    seen: Arc<Mutex<Seen>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    bodies: Vec<Bytes>,
    answers: VecDeque<StatusCode>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let router = Router::new().route("/webhooks", post(receive)).with_state(seen.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, server }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Answers the next deliveries with these statuses.
    pub(super) fn answer(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.seen.lock().unwrap().answers.extend(statuses);
    }

    /// The bodies since the last look, refused ones included.
    pub(super) fn take_raw(&self) -> Vec<String> {
        let bodies = std::mem::take(&mut self.seen.lock().unwrap().bodies);
        bodies.iter().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect()
    }

    pub(super) fn take(&self) -> Vec<Value> {
        self.take_raw().iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(
    State(seen): State<Arc<Mutex<Seen>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let key = Key::new(&SecretString::from(WEBHOOK_SECRET));
    let header = headers.get(HEADER).map(axum::http::HeaderValue::as_bytes);
    if headers["content-type"] != "text/plain; charset=utf-8" || verify(&[key], header, body.clone()).is_err()
    {
        return (StatusCode::UNAUTHORIZED, "");
    }
    let mut seen = seen.lock().unwrap();
    seen.bodies.push(body);
    let status = seen.answers.pop_front().unwrap_or(StatusCode::OK);
    (status, r#"{"id": "event-1", "duplicate": false}"#)
}
