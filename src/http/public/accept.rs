//! The seam between the webhook and whatever keeps what it received.

use async_trait::async_trait;

use crate::connectly::signature::Verified;
use crate::ingest::{Ingest, IngestError};
use crate::model::id::EventId;

/// Keeps verified deliveries.
#[async_trait]
pub trait Accept: Send + Sync + 'static {
    /// Keeps a delivery: after `Ok` it is on disk, and a 200 may be sent (P1). After an error it may or may not be; the
    /// sender comes again.
    async fn accept(&self, account: &str, body: Verified) -> Result<Accepted, Refused>;
}

/// What became of a delivery that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The event: for a repeat the first one.
    pub id: EventId,
    /// Whether it repeats an earlier delivery.
    pub duplicate: bool,
}

/// Why a delivery is not kept. Both are answered 503, so that the sender comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too much is waiting to be committed.
    Full,
    /// The store cannot be reached, and there is no spool.
    Unavailable,
}

#[async_trait]
impl Accept for Ingest {
    async fn accept(&self, account: &str, body: Verified) -> Result<Accepted, Refused> {
        let kept = Self::accept(self, account, body).await;
        kept.map(|receipt| Accepted { id: receipt.id, duplicate: receipt.duplicate }).map_err(|error| {
            match error {
                IngestError::Full => Refused::Full,
                IngestError::Unavailable => Refused::Unavailable,
            }
        })
    }
}
