//! The admin listener: what is stored, and what may be done about it.
//!
//! Every request passes `gate`: its Host header must name this machine or be listed, and everything but health and the
//! front page needs the token. One file per family of endpoints; each turns a query into a filter, asks the store, and
//! answers. Nothing here decides anything about a message or a job: that is the store's and the model's. What can be asked
//! is described beside each handler and served as a `document`.

mod body;
mod conversations;
pub mod cursor;
mod customers;
mod document;
mod event_routes;
mod events;
mod events_stream;
mod gate;
mod health;
mod jobs;
mod messages;
mod metrics;
mod page;
mod path;
mod pauses;
mod purge;
mod query;
mod replays;
mod retries;
mod routes;
mod states;
mod stats;
mod submissions;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

pub use self::gate::Token;
pub use self::routes::RouteInfo;
use crate::clock::Clock;
use crate::connectly::message::Strictness;
use crate::http::frame;
use crate::ingest::replay::Replayer;
use crate::model::retention::Retention;
use crate::store::Store;
use crate::telemetry::Metrics;

/// What the admin listener works with.
#[derive(Clone)]
pub struct AdminState {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// Delivers old events once more.
    pub replayer: Replayer,
    /// What callers must show.
    pub token: Token,
    /// Host names that are answered besides loopback ones, without ports.
    pub hosts: Arc<[String]>,
    /// The effective routes, in the configuration's order.
    pub routes: Arc<[RouteInfo]>,
    /// Whether the service has started and is not stopping.
    pub ready: watch::Receiver<bool>,
    /// Changes whenever this process commits events; streams look for news then.
    pub committed: watch::Receiver<u64>,
    /// Ends the streams.
    pub shutdown: CancellationToken,
    /// Tells streams which events are recent, and which windows are open.
    pub clock: Clock,
    /// Kept before a window's end.
    pub window_margin: Duration,
    /// The accounts that messages can be sent for.
    pub accounts: Arc<[String]>,
    /// What is done about WhatsApp's limits that Connectly does not state.
    pub strictness: Strictness,
    /// Called when there may be messages to send.
    pub sends: Arc<Notify>,
    /// How long things are kept.
    pub retention: Retention,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
}

/// Health and the front page for everybody on this machine, the rest behind the token.
pub fn router(state: AdminState) -> Router {
    let hosts = Arc::clone(&state.hosts);
    let open = Router::from(open()).merge(document::page::router()).with_state(state.clone());
    let router = frame::framed(open.merge(guarded(state)))
        .layer(from_fn_with_state(hosts, gate::check_host))
        .layer(from_fn(gate::set_headers));
    frame::guarded(router)
}

/// What everybody on this machine may ask.
fn open() -> OpenApiRouter<AdminState> {
    health::router().merge(frame::alive()).merge(document::router())
}

/// What the token is needed for.
fn behind_token() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default()
        .merge(events::router())
        .merge(event_routes::router())
        .merge(events_stream::router())
        .merge(messages::router())
        .merge(submissions::router())
        .merge(conversations::router())
        .merge(states::router())
        .merge(customers::router())
        .merge(jobs::router())
        .merge(replays::router())
        .merge(retries::router())
        .merge(routes::router())
        .merge(stats::router())
        .merge(pauses::router())
        .merge(purge::router())
        .merge(metrics::router())
}

/// Unknown paths of the API are behind the token too, so that only who may ask learns what exists.
fn guarded(state: AdminState) -> Router {
    let token = state.token.clone();
    Router::from(behind_token())
        .route("/api/v1", any(frame::not_found))
        .route("/api/v1/", any(frame::not_found))
        .route("/api/v1/{*path}", any(frame::not_found))
        .method_not_allowed_fallback(frame::method_not_allowed)
        .with_state(state)
        .layer(from_fn_with_state(token, gate::check_token))
}
