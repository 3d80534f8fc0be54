//! The one task that forms groups: whatever has come together while the last one was being written is the next one.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::handover::{Handover, give_back};
use super::{IngestError, Signals, Waiting};
use crate::clock::Clock;
use crate::model::event::EventType;
use crate::store::arrival::{Arrival, Receipt};
use crate::store::work::{Committed, GroupTurn};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// The most deliveries in one group: beyond some hundred nothing is gained, and everybody waits for the whole group.
const LARGEST_GROUP: usize = 512;
/// The most bytes of bodies in one group, so that a group of large ones is no giant statement.
const LARGEST_GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Groups under way at a time: one that is being written, and one that is being made durable.
const UNDER_WAY: usize = 2;

pub(super) struct Writer {
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Arc<Metrics>,
    signals: Signals,
    handover: Handover,
}

/// What became of each delivery of a group.
type Receipts = Vec<Result<Receipt, IngestError>>;

impl Writer {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        metrics: Arc<Metrics>,
        signals: Signals,
        handover: Handover,
    ) -> Self {
        Self { store, clock, metrics, signals, handover }
    }

    /// Commits until nobody is left who could bring something, and everything is committed.
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        let writer = Arc::new(self);
        let turns = Arc::new(Semaphore::new(1));
        let mut under_way = JoinSet::new();
        let mut group = Vec::with_capacity(LARGEST_GROUP);
        // Never closed.
        while let Ok(turn) = Arc::clone(&turns).acquire_owned().await {
            if under_way.len() >= UNDER_WAY {
                ended(under_way.join_next().await);
            }
            if group.is_empty() && waiting.recv_many(&mut group, LARGEST_GROUP).await == 0 {
                break;
            }
            let rest = group.split_off(fitting(&group));
            let (writer, group) = (Arc::clone(&writer), std::mem::replace(&mut group, rest));
            under_way.spawn(async move { writer.commit_group(group, &GroupTurn::new(turn)).await });
        }
        while !under_way.is_empty() {
            ended(under_way.join_next().await);
        }
    }

    async fn commit_group(&self, group: Vec<Waiting>, turn: &GroupTurn) {
        let (arrivals, answers): (Vec<Arrival>, Vec<_>) =
            group.into_iter().map(|waiting| (waiting.arrival, (waiting.answer, waiting.share))).unzip();
        let watch = self.clock.stopwatch();
        let receipts = self.commit(&arrivals, turn).await;
        self.metrics.group_committed(arrivals.len(), watch.elapsed());
        self.tell(&arrivals, &receipts);
        for ((answer, share), receipt) in answers.into_iter().zip(receipts) {
            // A client that is gone changes nothing: its delivery is kept.
            let _ = answer.send(receipt);
            drop(share);
        }
    }

    /// Commits deliveries together; when their data is refused, in halves, so that one bad delivery harms no other. A
    /// single one that is still refused is kept as `unknown`, with its bytes alone.
    async fn commit(&self, group: &[Arrival], turn: &GroupTurn) -> Receipts {
        let mut receipts = Vec::with_capacity(group.len());
        let mut parts = vec![group];
        while let Some(part) = parts.pop() {
            let offered = self.handover.offer(part, self.clock.stopwatch());
            match self.store.commit_and_lease(part, &offered.as_offer(), turn).await {
                Ok(Committed { receipts: committed, leased }) => {
                    let made: usize = committed.iter().map(|receipt| receipt.jobs as usize).sum();
                    if made > leased.len() {
                        self.signals.work.notify_waiters();
                        self.signals.work.notify_one();
                    }
                    give_back(self.store.as_ref(), &self.handover.begin(offered, leased)).await;
                    receipts.extend(committed.into_iter().map(Ok));
                }
                Err(StoreError::Data(reason)) if part.len() == 1 => {
                    tracing::warn!(event.id = %part[0].id, reason, "a delivery is kept as unknown: the store refused its data");
                    receipts.push(self.keep_opaque(&part[0]).await);
                }
                Err(StoreError::Data(_)) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push(second);
                    parts.push(first);
                }
                Err(error) => {
                    tracing::error!(error = %error, deliveries = part.len(), "a group was not committed");
                    receipts.extend(part.iter().map(|_| Err(IngestError::Unavailable)));
                }
            }
        }
        receipts
    }

    async fn keep_opaque(&self, arrival: &Arrival) -> Result<Receipt, IngestError> {
        let committed = self.store.commit(&[arrival.opaque()]).await;
        let kept = committed.map_err(|error| {
            tracing::error!(event.id = %arrival.id, error = %error, "a delivery was not committed");
            IngestError::Unavailable
        })?;
        kept.first().copied().ok_or(IngestError::Unavailable)
    }

    fn tell(&self, arrivals: &[Arrival], receipts: &Receipts) {
        let mut fresh = 0;
        for (arrival, receipt) in arrivals.iter().zip(receipts) {
            let Ok(receipt) = receipt else { continue };
            self.metrics.event(EventType::of(&arrival.decoded.kind).as_str(), receipt.duplicate);
            fresh += u64::from(receipt.id == arrival.id);
        }
        if fresh > 0 {
            self.signals.committed.send_modify(|count| *count += fresh);
        }
    }
}

/// A group that panicked takes the writer with it, as it always would.
fn ended(group: Option<Result<(), JoinError>>) {
    if let Some(Err(error)) = group
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// How many deliveries from the front fit into one group; at least one.
fn fitting(group: &[Waiting]) -> usize {
    let mut bytes = 0_usize;
    let over = group.iter().position(|waiting| {
        bytes += waiting.arrival.body.len();
        bytes > LARGEST_GROUP_BYTES
    });
    over.unwrap_or(group.len()).max(1)
}
