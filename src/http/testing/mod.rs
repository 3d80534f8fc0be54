//! What the tests of this module share: requests, readers of responses, an admin listener, and the things it shows.

mod samples;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

pub(super) use self::samples::{
    conversation, conversation_id, count, customer, customer_id, event, event_id, event_with_id, job, job_id,
    message, message_id, state,
};
use super::admin::{self, AdminState, RouteInfo, Token};
use crate::clock::Clock;
use crate::connectly::message::Strictness;
use crate::ingest::Signals;
use crate::ingest::replay::Replayer;
use crate::model::retention::Retention;
use crate::routing::{Route, Routes};
pub(super) use crate::store::testing::{FakeStore, Ping};
use crate::telemetry::Metrics;

/// The admin token of the tests.
pub(super) const TOKEN: &str = "test-token";

/// An admin listener on a store in memory, and what a test may want to move.
pub(super) struct Admin {
    pub(super) router: Router,
    pub(super) store: Arc<FakeStore>,
    pub(super) ready: watch::Sender<bool>,
    pub(super) committed: watch::Sender<u64>,
    pub(super) shutdown: CancellationToken,
    pub(super) clock: Clock,
    sends: Arc<Notify>,
}

impl Admin {
    /// Whether the loop that sends was called since this was last asked.
    pub(super) fn has_called_for_sends(&self) -> bool {
        self.sends.notified().now_or_never().is_some()
    }
}

/// An admin listener whose store was prepared.
pub(super) fn admin(prepare: impl FnOnce(&mut FakeStore)) -> Admin {
    let mut store = FakeStore::default();
    prepare(&mut store);
    let store = Arc::new(store);
    let (ready, is_ready) = watch::channel(true);
    let (committed, has_committed) = watch::channel(0);
    let (shutdown, clock, sends) = (CancellationToken::new(), Clock::system(), Arc::<Notify>::default());
    let as_store = || Arc::clone(&store) as Arc<dyn crate::store::Store>;
    let signals = Signals { committed: watch::Sender::new(0), work: Arc::default(), sends: Arc::default() };
    let greeter = Route::new("greeter", &["message.received".to_owned()], None, true).unwrap();
    let routes = Arc::new(Routes::new(vec![greeter]));
    let state = AdminState {
        store: as_store(),
        replayer: Replayer::new(as_store(), routes, clock.clone(), signals),
        token: Token::new(&SecretString::from(TOKEN)),
        hosts: Arc::from(["switchboard.example".to_owned()]),
        routes: Arc::from([route()]),
        ready: is_ready,
        committed: has_committed,
        shutdown: shutdown.clone(),
        clock: clock.clone(),
        window_margin: Duration::from_mins(1),
        accounts: Arc::from(["default".to_owned()]),
        strictness: Strictness::Enforce,
        sends: Arc::clone(&sends),
        retention: Retention { bodies: Duration::from_hours(24), events: Duration::from_hours(240) },
        metrics: Arc::new(Metrics::new()),
    };
    Admin { router: admin::router(state), store, ready, committed, shutdown, clock, sends }
}

fn route() -> RouteInfo {
    RouteInfo {
        name: "greeter".to_owned(),
        on: vec!["message.received".to_owned()],
        when: None,
        handler: "greet".to_owned(),
        ordering: "conversation".to_owned(),
    }
}

/// Sends one request through a router.
pub(super) async fn call(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

/// A request as a person at this machine with the token would make it.
pub(super) fn request(method: Method, path: &str) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path).header("host", "localhost:8081");
    builder.header("authorization", format!("Bearer {TOKEN}")).body(Body::empty()).unwrap()
}

/// [`request`] with `GET`.
pub(super) fn get(path: &str) -> Request<Body> {
    request(Method::GET, path)
}

/// One header of a response; empty when it is not there.
pub(super) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The body as text.
pub(super) async fn read_text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The body as JSON.
pub(super) async fn read_json(response: Response) -> Value {
    serde_json::from_str(&read_text(response).await).unwrap()
}

/// The problem document of an answer that must have this status.
pub(super) async fn assert_refused(response: Response, status: u16) -> Value {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let problem = read_json(response).await;
    assert_eq!(problem["status"], status);
    problem
}
