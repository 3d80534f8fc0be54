//! How many connections a listener holds, and which of them makes room for the next.
//!
//! Refusing newcomers would let whoever holds every place keep everybody else out, and holding a place costs nothing. So a
//! newcomer is always taken, and the connection that has gone longest without beginning or ending a request is closed for
//! it. A client that asks and listens needs its place for milliseconds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::telemetry::Metrics;

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Slots {
    /// The listener's name in metrics.
    listener: &'static str,
    most: usize,
    /// Never held over an await.
    order: Mutex<Order>,
    metrics: Arc<Metrics>,
}

/// Who holds a place, the one that used it longest ago first. The numbers only grow.
#[derive(Debug, Default)]
struct Order {
    next: u64,
    places: BTreeMap<u64, CancellationToken>,
}

/// The place of one connection, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    /// Its key among the places; read and changed while these are locked.
    number: AtomicU64,
    sent_away: CancellationToken,
}

impl Slots {
    /// Room for so many connections, one at least.
    pub(super) fn new(listener: &'static str, most: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { listener, most: most.max(1), order: Mutex::default(), metrics })
    }

    /// A place, always; if there is none left, the one that was used longest ago.
    pub(super) fn take(self: &Arc<Self>) -> Slot {
        let sent_away = CancellationToken::new();
        let (number, leaves) = {
            let mut order = self.order();
            let leaves = (order.places.len() >= self.most).then(|| order.places.pop_first()).flatten();
            (order.append(sent_away.clone()), leaves)
        };
        self.metrics.connection_opened(self.listener);
        if let Some((_, leaves)) = leaves {
            self.cut("room");
            leaves.cancel();
        }
        Slot { slots: Arc::clone(self), number: AtomicU64::new(number), sent_away }
    }

    /// Counts that a connection is closed by us, and why.
    pub(super) fn cut(&self, reason: &'static str) {
        self.metrics.connection_cut(self.listener, reason);
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        // Nothing that holds it can panic between two changes that belong together.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    fn append(&mut self, connection: CancellationToken) -> u64 {
        let number = self.next;
        self.next += 1;
        self.places.insert(number, connection);
        number
    }
}

impl Slot {
    /// The connection did something useful: all others make room before it does.
    pub(super) fn used(&self) {
        let mut order = self.slots.order();
        // Whoever has lost its place does not get it back.
        if let Some(connection) = order.places.remove(&self.number.load(Ordering::Relaxed)) {
            self.number.store(order.append(connection), Ordering::Relaxed);
        }
    }

    /// Waits until the place has been given to another.
    pub(super) fn sent_away(&self) -> WaitForCancellationFutureOwned {
        self.sent_away.clone().cancelled_owned()
    }

    /// Counts that this connection is closed by us, and why.
    pub(super) fn cut(&self, reason: &'static str) {
        self.slots.cut(reason);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut order = self.slots.order();
        order.places.remove(&self.number.load(Ordering::Relaxed));
        drop(order);
        self.slots.metrics.connection_closed(self.slots.listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(most: usize) -> Arc<Slots> {
        Slots::new("public", most, Arc::new(Metrics::new()))
    }

    fn stays(slot: &Slot) -> bool {
        !slot.sent_away.is_cancelled()
    }

    #[test]
    fn the_one_that_was_used_longest_ago_makes_room() {
        let slots = slots(3);
        let [first, second, third] = std::array::from_fn(|_| slots.take());
        first.used();
        let fourth = slots.take();
        assert!(!stays(&second));
        second.used();
        let fifth = slots.take();
        assert!(!stays(&third), "one that has left does not come back");
        assert!([&first, &fourth, &fifth].into_iter().all(stays));
        let text = slots.metrics.render(&[]).unwrap();
        assert!(
            text.contains("switchboard_cut_connections_total{listener=\"public\",reason=\"room\"} 2"),
            "{text}"
        );
    }

    #[test]
    fn a_place_that_was_given_back_is_free() {
        let slots = slots(2);
        let first = slots.take();
        drop(slots.take());
        let second = slots.take();
        assert!(stays(&first) && stays(&second));
        assert!(
            slots.metrics.render(&[]).unwrap().contains("switchboard_connections{listener=\"public\"} 2")
        );
        drop((first, second));
        assert!(slots.order().places.is_empty());
    }
}
