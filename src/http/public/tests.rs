//! The public listener from outside.

use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::Notify;
use tower::ServiceExt as _;
use ulid::Ulid;

use super::*;
use crate::connectly::signature::{HEADER, Verified};
use crate::http::testing::{call, get, header, read_json, read_text, request};
use crate::model::id::EventId;

const BODY: &str = r#"{"text":"hi"}"#;
const ID: EventId = EventId::new(Ulid(7));

/// Notes what reached it, and answers as it is told.
#[derive(Default)]
struct Door {
    seen: Mutex<Vec<(String, Bytes)>>,
    /// `None` panics.
    answers: Mutex<Option<Result<Accepted, Refused>>>,
    /// When set, it waits for this between noting and answering.
    gate: Option<Notify>,
    finished: Notify,
}

#[async_trait::async_trait]
impl Accept for Door {
    async fn accept(&self, account: &str, body: Verified) -> Result<Accepted, Refused> {
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        self.seen.lock().unwrap().push((account.to_owned(), body.bytes().clone()));
        self.finished.notify_one();
        let answer = *self.answers.lock().unwrap();
        answer.expect("the customer's number is +15550100001")
    }
}

struct Listener {
    router: Router,
    door: Arc<Door>,
    metrics: Arc<Metrics>,
}

fn key(secret: &str) -> Key {
    Key::new(&SecretString::from(secret))
}

fn listener(answer: Option<Result<Accepted, Refused>>, gate: Option<Notify>) -> Listener {
    let door = Arc::new(Door { answers: Mutex::new(answer), gate, ..Door::default() });
    let accounts =
        [("default".to_owned(), vec![key("new"), key("old")]), ("shop".to_owned(), vec![key("shop")])];
    let metrics = Arc::new(Metrics::new());
    let state = PublicState {
        accounts: Arc::new(accounts.into_iter().collect()),
        accept: Arc::clone(&door) as Arc<dyn Accept>,
        limits: Limits { body: 64, bodies_in_flight: 100, read_timeout: Duration::from_secs(10) },
        clock: Clock::system(),
        metrics: Arc::clone(&metrics),
    };
    Listener { router: router(state), door, metrics }
}

fn accepting() -> Listener {
    listener(Some(Ok(Accepted { id: ID, duplicate: false })), None)
}

fn delivery(path: &str, signature: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut builder = Request::builder().method(Method::POST).uri(path).header("content-type", "text/plain");
    if let Some(signature) = signature {
        builder = builder.header(HEADER, signature);
    }
    builder.body(body.into()).unwrap()
}

fn signed(path: &str, secret: &str) -> Request<Body> {
    delivery(path, Some(&key(secret).sign(BODY.as_bytes())), BODY)
}

async fn assert_problem(response: Response, status: u16, kind: &str) {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    assert_eq!(read_json(response).await["type"], kind);
}

fn nothing_seen(listener: &Listener) -> bool {
    listener.door.seen.lock().unwrap().is_empty()
}

#[tokio::test]
async fn a_signed_delivery_is_answered_with_its_events_id() {
    let listener = accepting();
    for (path, secret) in [
        ("/webhooks/connectly", "new"),
        ("/webhooks/connectly/default", "old"),
        ("/webhooks/connectly/shop", "shop"),
    ] {
        let response = call(&listener.router, signed(path, secret)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(read_text(response).await, r#"{"id":"00000000000000000000000007","duplicate":false}"#);
    }
    let seen = listener.door.seen.lock().unwrap();
    let accounts: Vec<_> = seen.iter().map(|(account, body)| (account.as_str(), body.as_ref())).collect();
    assert_eq!(
        accounts,
        [("default", BODY.as_bytes()), ("default", BODY.as_bytes()), ("shop", BODY.as_bytes())]
    );
}

#[tokio::test]
async fn a_repeat_is_answered_as_one() {
    let listener = listener(Some(Ok(Accepted { id: ID, duplicate: true })), None);
    let response = call(&listener.router, signed("/webhooks/connectly", "new")).await;
    assert_eq!(read_json(response).await, json!({ "id": ID, "duplicate": true }));
}

#[tokio::test]
async fn every_rejection_looks_the_same_and_only_its_reason_is_counted() {
    let default = "/webhooks/connectly";
    let good = key("new").sign(BODY.as_bytes());
    let table = [
        ("missing", delivery(default, None, BODY)),
        ("malformed", delivery(default, Some("AAAA"), BODY)),
        ("mismatch", delivery(default, Some(&key("shop").sign(BODY.as_bytes())), BODY)),
        ("mismatch", delivery(default, Some(&good), "{}")),
        ("unknown_account", signed("/webhooks/connectly/nobody", "new")),
        ("unknown_account", signed("/webhooks/connectly/%ff", "new")),
    ];
    let mut bodies = Vec::new();
    for (reason, request) in table {
        let listener = accepting();
        let response = call(&listener.router, request).await;
        assert_eq!(response.status(), 401, "{reason}");
        bodies.push(read_text(response).await);
        assert!(nothing_seen(&listener), "{reason}");
        let counted = format!("switchboard_rejected_signatures_total{{reason=\"{reason}\"}} 1");
        assert!(listener.metrics.render(&[]).unwrap().contains(&counted), "{reason}");
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let listener = accepting();
    let response = call(&listener.router, delivery("/webhooks/connectly", None, "x".repeat(65))).await;
    assert_problem(response, 413, "/problems/body-too-large").await;
    assert!(nothing_seen(&listener));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_in_time_is_408() {
    let listener = accepting();
    let never = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]).chain(stream::pending());
    let response =
        call(&listener.router, delivery("/webhooks/connectly", None, Body::from_stream(never))).await;
    assert_problem(response, 408, "/problems/body-too-slow").await;
}

/// The first is complete and waits to be kept: what it holds is nobody else's.
#[tokio::test]
async fn too_many_bytes_in_flight_are_503() {
    let listener = listener(Some(Ok(Accepted { id: ID, duplicate: false })), Some(Notify::new()));
    let body = "x".repeat(60);
    let request = delivery("/webhooks/connectly", Some(&key("new").sign(body.as_bytes())), body);
    let mut first = Box::pin(call(&listener.router, request));
    assert!(first.as_mut().now_or_never().is_none(), "it waits to be kept");
    let second = call(&listener.router, delivery("/webhooks/connectly", None, "x".repeat(50))).await;
    assert_eq!(header(&second, "retry-after"), "1");
    assert_problem(second, 503, "/problems/busy").await;
    listener.door.gate.as_ref().unwrap().notify_one();
    assert_eq!(first.await.status(), 200);
    let third = call(&listener.router, delivery("/webhooks/connectly", None, "x".repeat(50))).await;
    assert_eq!(third.status(), 401);
}

#[tokio::test]
async fn a_body_that_is_still_arriving_gives_way() {
    let listener = accepting();
    let half = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 60]))]).chain(stream::pending());
    let mut slow =
        Box::pin(call(&listener.router, delivery("/webhooks/connectly", None, Body::from_stream(half))));
    assert!(slow.as_mut().now_or_never().is_none(), "it waits for the rest");
    let body = "x".repeat(50);
    let request = delivery("/webhooks/connectly", Some(&key("new").sign(body.as_bytes())), body);
    assert_eq!(call(&listener.router, request).await.status(), 200);
    assert_problem(slow.await, 503, "/problems/busy").await;
}

#[tokio::test]
async fn what_is_not_kept_is_503_with_retry_after() {
    for (refused, kind) in
        [(Refused::Full, "/problems/busy"), (Refused::Unavailable, "/problems/unavailable")]
    {
        let listener = listener(Some(Err(refused)), None);
        let response = call(&listener.router, signed("/webhooks/connectly", "new")).await;
        assert!(!header(&response, "retry-after").is_empty());
        assert_problem(response, 503, kind).await;
    }
}

#[tokio::test]
async fn a_panic_while_keeping_is_a_500_without_its_message() {
    let listener = listener(None, None);
    let response = call(&listener.router, signed("/webhooks/connectly", "new")).await;
    assert_eq!(response.status(), 500);
    assert!(!read_text(response).await.contains("15550100001"));
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_the_commit() {
    let listener = listener(Some(Ok(Accepted { id: ID, duplicate: false })), Some(Notify::new()));
    let mut waiting = Box::pin(listener.router.clone().oneshot(signed("/webhooks/connectly", "new")));
    assert!(waiting.as_mut().now_or_never().is_none(), "it waits for the commit");
    drop(waiting);
    assert!(nothing_seen(&listener));
    listener.door.gate.as_ref().unwrap().notify_one();
    listener.door.finished.notified().await;
    assert!(!nothing_seen(&listener));
}

/// P12: the public listener serves the webhook and a liveness path, nothing else.
#[tokio::test]
async fn p12_nothing_else_is_served() {
    let listener = accepting();
    assert_eq!(call(&listener.router, get("/livez")).await.status(), 200);
    for path in
        ["/", "/readyz", "/metrics", "/api/v1/events", "/webhooks/connectly/", "/webhooks/connectly/a/b"]
    {
        assert_problem(call(&listener.router, get(path)).await, 404, "/problems/not-found").await;
    }
    let table = [
        (Method::GET, "/webhooks/connectly", "POST"),
        (Method::PUT, "/webhooks/connectly/shop", "POST"),
        (Method::POST, "/livez", "GET,HEAD"),
    ];
    for (method, path, allow) in table {
        let response = call(&listener.router, request(method, path)).await;
        assert_eq!(header(&response, "allow"), allow);
        assert_problem(response, 405, "/problems/method-not-allowed").await;
    }
}

#[tokio::test]
async fn answers_are_counted_by_status() {
    let listener = accepting();
    call(&listener.router, signed("/webhooks/connectly", "new")).await;
    call(&listener.router, delivery("/webhooks/connectly", None, BODY)).await;
    let text = listener.metrics.render(&[]).unwrap();
    assert!(text.contains("switchboard_webhook_answers_total{status=\"200\"} 1"), "{text}");
    assert!(text.contains("switchboard_webhook_answers_total{status=\"401\"} 1"), "{text}");
    assert!(text.contains("switchboard_webhook_seconds_count 2"), "{text}");
}
