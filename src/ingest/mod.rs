//! Verified bytes in, a committed event out.
//!
//! Deliveries that arrive while a group is being written form the next group, so a busy server commits many at once and
//! an idle one commits a single request at once: there is no timer. What waits is bounded in bytes.
//!
//! It answers nobody and runs no handler: accepting and working meet in what was committed, and in [`handover`].

pub mod handover;
pub mod replay;
pub mod slots;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::connectly::signature::Verified;
use crate::model::event::Event;
use crate::model::id::EventId;
use crate::routing::{Routes, Verdict};
use crate::store::Store;
use crate::store::arrival::{Arrival, Receipt, RouteMatch};
use crate::telemetry::{Metrics, RouteCounts};
use handover::Handover;
use writer::Writer;

/// Bytes counted for a delivery beside its body: what its decoded form and its place in the queue take.
const OVERHEAD: usize = 1024;
/// The most deliveries that wait, whatever their size: memory for the queue itself.
const QUEUE: usize = 16 * 1024;

/// How long a delivery waits for its commit before it is told to come again. It may be committed all the same; its repeat
/// finds that out.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes deliveries in. Clones share one queue.
#[derive(Clone)]
pub struct Ingest {
    queue: mpsc::Sender<Waiting>,
    budget: Arc<Semaphore>,
    routes: Arc<Routes>,
    /// One per route, in the same order.
    counts: Arc<[RouteCounts]>,
    clock: Clock,
}

/// Why a delivery was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// More bytes are waiting than may be.
    #[error("too much is waiting to be committed")]
    Full,
    /// It could not be committed, or nobody knows whether it was; a repeat settles it.
    #[error("the store is unavailable")]
    Unavailable,
}

/// What ingest tells the rest of the house.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Counts committed events, for those who show them.
    pub committed: watch::Sender<u64>,
    /// Called when a commit made jobs.
    pub work: Arc<Notify>,
    /// Called when there may be messages to send.
    pub sends: Arc<Notify>,
}

/// A delivery between its request and its commit.
struct Waiting {
    arrival: Arrival,
    answer: oneshot::Sender<Result<Receipt, IngestError>>,
    /// Returned when the delivery has been answered.
    share: OwnedSemaphorePermit,
}

impl Ingest {
    /// Starts the writer. It ends when the last `Ingest` is dropped and everything taken is committed.
    pub fn start(
        store: Arc<dyn Store>,
        routes: Arc<Routes>,
        clock: Clock,
        metrics: Arc<Metrics>,
        signals: Signals,
        handover: Handover,
        budget_bytes: usize,
    ) -> (Self, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let budget = Arc::new(Semaphore::new(budget_bytes.min(Semaphore::MAX_PERMITS)));
        let counts = routes.iter().map(|route| metrics.route_counts(&route.name)).collect();
        let writer = Writer::new(store, clock.clone(), metrics, signals, handover);
        let task = tokio::spawn(writer.run(waiting));
        (Self { queue, budget, routes, counts, clock }, task)
    }

    /// Keeps a delivery: after `Ok` it is committed. It answers within ten seconds, whatever the store does. Dropping the future changes nothing of that.
    pub async fn accept(&self, account: &str, body: Verified) -> Result<Receipt, IngestError> {
        let size = u32::try_from(body.bytes().len() + OVERHEAD).unwrap_or(u32::MAX);
        let budget = Arc::clone(&self.budget);
        let share = budget.try_acquire_many_owned(size).map_err(|_| IngestError::Full)?;
        let arrival = self.read(account, &body);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { arrival, answer, share };
        self.queue.try_send(waiting).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => IngestError::Full,
            mpsc::error::TrySendError::Closed(_) => IngestError::Unavailable,
        })?;
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.map_or(Err(IngestError::Unavailable), |told| told.unwrap_or(Err(IngestError::Unavailable)))
    }

    /// Reads the body and matches routes: everything that needs no store.
    fn read(&self, account: &str, body: &Verified) -> Arrival {
        let (id, received_at) = (EventId::new(self.clock.ulid()), self.clock.now());
        let mut arrival = Arrival::read(id, account.to_owned(), received_at, body.bytes().clone());
        let event = Event::arriving(id, account, received_at, &arrival.decoded);
        arrival.routes = matches(&self.routes, &event, |place, verdict| {
            let Some(counts) = self.counts.get(place) else { return };
            match verdict {
                Verdict::Matched => counts.matched(),
                Verdict::NotMatched | Verdict::OtherType => counts.not_matched(),
                Verdict::Failed(_) => counts.failed(),
            }
        });
        arrival
    }
}

/// The routes that an event goes to, as the store takes them; `count` is told of every route that takes its type.
fn matches(routes: &Routes, event: &Event, count: impl Fn(usize, &Verdict)) -> Vec<RouteMatch> {
    let judged = routes.judge(event).inspect(|(place, _, verdict)| count(*place, verdict));
    let matched = judged.filter_map(|(_, route, verdict)| {
        let failed = match verdict {
            Verdict::Matched => None,
            Verdict::Failed(reason) => Some(reason),
            Verdict::NotMatched | Verdict::OtherType => return None,
        };
        Some(RouteMatch { route: route.name.clone(), ordered: route.ordered, failed })
    });
    matched.collect()
}
