//! The public listener: deliveries come in, nothing but the event's id goes out (P12).
//!
//! What a delivery passes on its way stands in `webhook`, in that order. This module does not know what accepting means:
//! it hands verified bytes to an [`Accept`] and answers 200 only when that says they are kept (P1).

mod accept;
mod body;
mod budget;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;

pub use self::accept::{Accept, Accepted, Refused};
use self::body::Intake;
pub use self::body::Limits;
use crate::clock::Clock;
use crate::connectly::signature::Key;
use crate::http::frame;
use crate::telemetry::Metrics;

/// What the public listener works with.
#[derive(Clone)]
pub struct PublicState {
    /// The keys of each account, by the account's name.
    pub accounts: Arc<HashMap<String, Vec<Key>>>,
    /// Where verified deliveries go.
    pub accept: Arc<dyn Accept>,
    /// How much is read, and for how long.
    pub limits: Limits,
    /// Measures how long an answer takes.
    pub clock: Clock,
    /// Counts answers and refusals.
    pub metrics: Arc<Metrics>,
}

/// The webhook and a liveness path; everything else is 404 or 405.
pub fn router(state: PublicState) -> Router {
    let door = webhook::Door { intake: Intake::new(state.limits), state };
    frame::guarded(frame::framed(webhook::router(door).merge(frame::alive())))
}
