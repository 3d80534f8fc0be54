//! What a connection is used for: the requests on it, as its router sees them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio_util::sync::WaitForCancellationFutureOwned;
use tower::Service;

use super::slots::Slot;

/// The requests of one connection.
pub(super) struct Requests {
    slot: Slot,
    in_progress: AtomicUsize,
    changes: AtomicU64,
}

impl Requests {
    /// None so far.
    pub(super) const fn new(slot: Slot) -> Self {
        Self { slot, in_progress: AtomicUsize::new(0), changes: AtomicU64::new(0) }
    }

    /// How often a request has begun or ended.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether there is one that has begun and is not answered.
    pub(super) fn in_progress(&self) -> bool {
        self.in_progress.load(Ordering::Acquire) > 0
    }

    /// Waits until the connection has to make room for another.
    pub(super) fn sent_away(&self) -> WaitForCancellationFutureOwned {
        self.slot.sent_away()
    }

    /// Counts that the connection is closed by us, and why.
    pub(super) fn cut(&self, reason: &'static str) {
        self.slot.cut(reason);
    }

    fn begin(self: &Arc<Self>) -> InProgress {
        self.in_progress.fetch_add(1, Ordering::AcqRel);
        self.note();
        InProgress(Arc::clone(self))
    }

    fn note(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.slot.used();
    }
}

/// One request, from its head until it is answered or given up.
struct InProgress(Arc<Requests>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::AcqRel);
        self.0.note();
    }
}

/// The service of one connection, with its requests noted.
#[derive(Clone)]
pub(super) struct Noted<Inner> {
    inner: Inner,
    requests: Arc<Requests>,
}

impl<Inner> Noted<Inner> {
    pub(super) const fn new(inner: Inner, requests: Arc<Requests>) -> Self {
        Self { inner, requests }
    }
}

impl<Inner, Request> Service<Request> for Noted<Inner>
where
    Inner: Service<Request>,
    Inner::Future: Send + 'static,
{
    type Response = Inner::Response;
    type Error = Inner::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Inner::Response, Inner::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let in_progress = self.requests.begin();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(in_progress);
            answer
        })
    }
}
