//! The memory that all bodies take together, and which of them gives way when there is none left.
//!
//! A body that is complete keeps its share until it is committed. One that is still arriving has shown no signature yet,
//! and may take its time on purpose: when there is nothing left for the next, the one that has been arriving longest is
//! given up. Nobody waits for a share, since those who wait would hold shares themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// So many bytes, and who has them.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: Arc<Semaphore>,
    /// Never held over an await.
    arrivals: Mutex<Arrivals>,
}

/// The bodies that are arriving, the oldest first.
#[derive(Debug, Default)]
struct Arrivals {
    next: u64,
    bodies: BTreeMap<u64, Arrival>,
}

#[derive(Debug)]
struct Arrival {
    share: OwnedSemaphorePermit,
    gave_way: CancellationToken,
}

/// A body that is arriving; its share is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Arriving {
    budget: Arc<Budget>,
    number: u64,
    gave_way: CancellationToken,
}

impl Budget {
    /// So many bytes, all of them left.
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        let bytes = Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { bytes, arrivals: Mutex::default() })
    }

    /// A body begins to arrive.
    pub(super) fn begin(self: &Arc<Self>) -> Arriving {
        let gave_way = CancellationToken::new();
        let mut arrivals = self.arrivals();
        let number = arrivals.next;
        arrivals.next += 1;
        // Of nothing there is always enough.
        if let Some(share) = self.acquire(0) {
            arrivals.bodies.insert(number, Arrival { share, gave_way: gave_way.clone() });
        }
        drop(arrivals);
        Arriving { budget: Arc::clone(self), number, gave_way }
    }

    /// How many bytes are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.bytes.available_permits()
    }

    fn acquire(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.bytes).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }

    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        // Nothing that holds it can panic between two changes that belong together.
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrivals {
    /// How many of the oldest, of those before this one, hold so many bytes together; `None` if all of them hold fewer.
    fn holders_of(&self, bytes: usize, before: u64) -> Option<usize> {
        let mut held = 0;
        let mut holders = 0;
        for (_, arrival) in self.bodies.range(..before) {
            if held >= bytes {
                break;
            }
            held += arrival.share.num_permits();
            holders += 1;
        }
        (held >= bytes).then_some(holders)
    }
}

impl Arriving {
    /// Takes room for more of this body, from those that began before it if need be; `None`, and nobody gives way, if that
    /// is not enough.
    pub(super) fn take(&self, bytes: usize) -> Option<()> {
        let mut arrivals = self.budget.arrivals();
        let missing = bytes.saturating_sub(self.budget.bytes.available_permits());
        for _ in 0..arrivals.holders_of(missing, self.number)? {
            let (_, oldest) = arrivals.bodies.pop_first()?;
            oldest.gave_way.cancel();
        }
        let more = self.budget.acquire(bytes)?;
        arrivals.bodies.get_mut(&self.number)?.share.merge(more);
        Some(())
    }

    /// The body is complete, and its share is nobody else's from now on; `None` if it had to give way.
    pub(super) fn complete(&self) -> Option<OwnedSemaphorePermit> {
        self.budget.arrivals().bodies.remove(&self.number).map(|arrival| arrival.share)
    }

    /// Waits until this body has to give way to another.
    pub(super) async fn gave_way(&self) {
        self.gave_way.cancelled().await;
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.budget.arrivals().bodies.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_that_has_been_arriving_longest_gives_way() {
        let budget = Budget::new(10);
        let [first, second, third] = std::array::from_fn(|_| budget.begin());
        for arriving in [&first, &second] {
            assert!(arriving.take(5).is_some());
        }
        assert!(third.take(3).is_some());
        assert!(first.gave_way.is_cancelled() && first.complete().is_none() && first.take(1).is_none());
        assert!(!second.gave_way.is_cancelled());
        assert_eq!(budget.left(), 2);
        assert!(second.take(3).is_none(), "nobody gives way to those who began earlier");
        assert!(third.take(8).is_none() && !second.gave_way.is_cancelled(), "nobody gives way in vain");
        drop((second, third));
        assert_eq!(budget.left(), 10);
    }

    #[test]
    fn a_complete_body_keeps_its_share() {
        let budget = Budget::new(10);
        let first = budget.begin();
        assert!(first.take(8).is_some());
        let share = first.complete().unwrap();
        let second = budget.begin();
        assert!(second.take(5).is_none());
        drop((first, share));
        assert!(second.take(5).is_some());
    }
}
