//! Settling deliveries in groups: whatever finished while the last group was being written is the next one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Shared;
use crate::ingest::slots::Unsettled;
use crate::store::StoreError;
use crate::store::work::Settlement;

/// The most settlements in one transaction.
const LARGEST_GROUP: usize = 256;
/// The pause before a settlement is tried again, when the store was away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often a call that got in another's way is made again, beside the tries that the store makes itself.
const MOST_CONTENDED: u32 = 5;

/// Hands settlements to the settling task. Work counts as under way until it is settled.
#[derive(Clone)]
pub(super) struct Settler {
    queue: mpsc::UnboundedSender<(Settlement, Unsettled)>,
}

/// The task that settles.
pub(super) struct Settling {
    shared: Arc<Shared>,
    // Bounded all the same: each holds one of the places for what is not settled.
    waiting: mpsc::UnboundedReceiver<(Settlement, Unsettled)>,
}

pub(super) fn channel(shared: Arc<Shared>) -> (Settler, Settling) {
    let (queue, waiting) = mpsc::unbounded_channel();
    (Settler { queue }, Settling { shared, waiting })
}

impl Settler {
    pub(super) fn settle(&self, settlement: Settlement, unsettled: Unsettled) {
        // The settling task ends only after every settler is gone.
        let _ = self.queue.send((settlement, unsettled));
    }
}

impl Settling {
    /// Settles until nobody is left who could bring something.
    pub(super) async fn run(mut self) {
        let mut waited = Vec::with_capacity(LARGEST_GROUP);
        while self.waiting.recv_many(&mut waited, LARGEST_GROUP).await > 0 {
            let (mut group, places): (Vec<Settlement>, Vec<Unsettled>) = waited.drain(..).unzip();
            self.settle(&group).await;
            drop(places);
            let replies = group.iter().any(Settlement::has_replies);
            for settlement in group.drain(..) {
                self.shared.held.drop(settlement.lease);
                self.shared.pulse.end();
            }
            self.shared.deliveries.notify_one();
            if replies {
                self.shared.sends.notify_one();
            }
        }
    }

    /// What was done is not forgotten because the store is away: it is held until it can be settled. If the lease ends
    /// meanwhile, the store refuses it and the job runs again.
    async fn settle(&self, group: &[Settlement]) {
        let mut parts = vec![group];
        while let Some(part) = parts.pop() {
            match until_available(|| self.shared.store.settle(part)).await {
                Ok(applied) => note_lost(part, &applied),
                // One settlement the store refuses must not hold up its neighbours.
                Err(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) => {
                    tracing::error!(job.id = %part[0].lease.job, error = %error, "a job could not be settled");
                }
            }
        }
    }
}

/// Makes a call until the store is there to answer it. One that keeps getting in another's way is given up in the end, so
/// that it cannot hold up everything behind it.
pub(super) async fn until_available<T, F: Future<Output = Result<T, StoreError>>>(
    call: impl Fn() -> F,
) -> Result<T, StoreError> {
    let mut pause = FIRST_PAUSE;
    let mut contended = 0;
    loop {
        match call().await {
            Err(StoreError::Contention(_)) if contended < MOST_CONTENDED => {
                contended += 1;
                tokio::time::sleep(FIRST_PAUSE).await;
            }
            Err(error @ StoreError::Unavailable(_)) => {
                tracing::warn!(error = %error, "the store is away; what was done is held");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            settled => return settled,
        }
    }
}

fn note_lost(group: &[Settlement], applied: &[bool]) {
    for (settlement, _) in group.iter().zip(applied).filter(|(_, applied)| !**applied) {
        tracing::warn!(job.id = %settlement.lease.job, "a job was taken over before it was settled; it runs again");
    }
}
