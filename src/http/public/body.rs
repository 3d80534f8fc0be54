//! Reading a delivery's bytes under three limits: length, time, and the memory that all of them take together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;

use super::budget::{Arriving, Budget};
use crate::http::problem::Problem;

/// How much is read, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest body, in bytes.
    pub body: usize,
    /// The most bytes of bodies that are held at once, from their first byte until they are committed.
    pub bodies_in_flight: usize,
    /// How long a body may take to arrive.
    pub read_timeout: Duration,
}

impl Default for Limits {
    /// 1 MiB, far above what Connectly sends (callback data included); 64 such bodies; 10 seconds, in which even a phone's
    /// uplink carries one.
    fn default() -> Self {
        Self { body: 1 << 20, bodies_in_flight: 64 << 20, read_timeout: Duration::from_secs(10) }
    }
}

/// The one place where bodies are read, so that the memory they take is counted over all requests.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    limits: Limits,
    budget: Arc<Budget>,
}

/// A body and its share of the memory, which is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    /// Kept by whoever keeps the bytes.
    pub(super) share: OwnedSemaphorePermit,
}

impl Intake {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, budget: Budget::new(limits.bodies_in_flight) }
    }

    /// The whole body, or the first limit that it breaks.
    pub(super) async fn read(&self, body: Body) -> Result<Held, Problem> {
        if body.size_hint().lower() > self.limits.body as u64 {
            return Err(Problem::body_too_large());
        }
        let arriving = self.budget.begin();
        tokio::select! {
            read = tokio::time::timeout(self.limits.read_timeout, self.collect(body, &arriving)) =>
                read.map_err(|_elapsed| Problem::body_too_slow())?,
            () = arriving.gave_way() => Err(Problem::busy()),
        }
    }

    /// Memory is counted as it is filled, not as it is announced: whoever announces a long body and sends nothing would
    /// otherwise keep everybody else out.
    async fn collect(&self, body: Body, arriving: &Arriving) -> Result<Held, Problem> {
        let mut bytes = BytesMut::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_error| Problem::unreadable_body())?;
            if bytes.len() + chunk.len() > self.limits.body {
                return Err(Problem::body_too_large());
            }
            arriving.take(chunk.len()).ok_or_else(Problem::busy)?;
            bytes.extend_from_slice(&chunk);
        }
        let share = arriving.complete().ok_or_else(Problem::busy)?;
        Ok(Held { bytes: bytes.freeze(), share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    const LIMITS: Limits = Limits { body: 10, bodies_in_flight: 15, read_timeout: Duration::from_secs(5) };

    fn chunked(chunks: &[&'static str]) -> Body {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())))
            .collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
        let intake = Intake::new(LIMITS);
        assert_eq!(intake.read(chunked(&["12345", "67890"])).await.unwrap().bytes, "1234567890");
        for too_long in [chunked(&["12345", "678901"]), Body::from("12345678901")] {
            assert_eq!(intake.read(too_long).await.unwrap_err(), Problem::body_too_large());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let never =
            stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]).chain(stream::pending());
        let intake = Intake::new(LIMITS);
        assert_eq!(intake.read(Body::from_stream(never)).await.unwrap_err(), Problem::body_too_slow());
        assert_eq!(intake.budget.left(), LIMITS.bodies_in_flight);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_refused() {
        let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
        let refused = Intake::new(LIMITS).read(Body::from_stream(broken)).await.unwrap_err();
        assert_eq!(refused, Problem::unreadable_body());
    }

    #[tokio::test]
    async fn memory_is_shared_by_all_and_given_back() {
        let intake = Intake::new(LIMITS);
        let first = intake.read(Body::from("1234567890")).await.unwrap();
        assert_eq!(intake.read(chunked(&["12345", "6"])).await.unwrap_err(), Problem::busy());
        let second = intake.read(Body::from("12345")).await.unwrap();
        assert_eq!(intake.budget.left(), 0);
        drop((first.share, second.share));
        assert!(intake.read(Body::from("1234567890")).await.is_ok());
    }
}
