//! A delivery on its way into the store, and what became of it.

use bytes::Bytes;
use jiff::Timestamp;

use crate::connectly::event::{Decoded, decode};
use crate::model::dedupe::{BodyHash, DedupeKey, body_hash};
use crate::model::id::EventId;

/// A verified delivery with everything the store needs to know of it.
#[derive(Clone)]
pub struct Arrival {
    /// Made when the request arrived.
    pub id: EventId,
    /// The account it was delivered to.
    pub account: String,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// The signed bytes.
    pub body: Bytes,
    /// Their digest.
    pub body_hash: BodyHash,
    /// What makes a repeat of it.
    pub key: DedupeKey,
    /// What it says.
    pub decoded: Decoded,
    /// The routes it matched: one job each.
    pub routes: Vec<RouteMatch>,
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Arrival({})", self.id)
    }
}

/// A route that an event matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteMatch {
    /// The route's name.
    pub route: String,
    /// Whether its jobs run in lanes.
    pub ordered: bool,
    /// Set when its `when` failed: the job is parked with this reason.
    pub failed: Option<String>,
}

/// What became of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The event's id: for a repeat that of the first.
    pub id: EventId,
    /// Whether its key was known before.
    pub duplicate: bool,
    /// The jobs it made.
    pub jobs: u32,
}

impl Arrival {
    /// Reads a verified body. No routes yet.
    pub fn read(id: EventId, account: String, received_at: Timestamp, body: Bytes) -> Self {
        let decoded = decode(&body);
        let body_hash = body_hash(&body);
        let key = DedupeKey::of(&decoded, &body_hash);
        Self { id, account, received_at, body, body_hash, key, decoded, routes: Vec::new() }
    }

    /// The same delivery with nothing read from it: how a body that the store refuses is kept all the same.
    #[must_use]
    pub fn opaque(&self) -> Self {
        let decoded = decode(b"");
        let key = DedupeKey::of(&decoded, &self.body_hash);
        Self { key, decoded, routes: Vec::new(), ..self.clone() }
    }
}
