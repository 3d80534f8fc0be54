//! Telling whether there is anything left to do, without waiting and hoping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::ingest::slots::Slots;

/// Counts the passes of both loops, and the work that is under way: from when its slot is taken until it is settled.
#[derive(Debug)]
pub(super) struct Pulse {
    slots: Arc<Slots>,
    running: AtomicUsize,
    passes: watch::Sender<[Passes; 2]>,
}

/// The passes of one loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Passes {
    done: u64,
    /// The last pass that found something, or that ran while something was under way.
    busy: u64,
}

/// Which loop.
#[derive(Debug, Clone, Copy)]
pub(super) enum Loop {
    Deliveries = 0,
    Sends = 1,
}

impl Pulse {
    pub(super) fn new(slots: Arc<Slots>) -> Self {
        Self { slots, running: AtomicUsize::new(0), passes: watch::Sender::new([Passes::default(); 2]) }
    }

    fn is_busy(&self) -> bool {
        self.slots.in_use() || self.running.load(Ordering::Acquire) > 0
    }

    /// Work begins.
    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::AcqRel);
    }

    /// Work ends: it is settled, and what it led to can be claimed.
    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }

    /// A loop has looked for work and found so much.
    pub(super) fn pass(&self, which: Loop, found: usize) {
        let busy = found > 0 || self.is_busy();
        self.passes.send_modify(|passes| {
            let passes = &mut passes[which as usize];
            passes.done += 1;
            if busy {
                passes.busy = passes.done;
            }
        });
    }

    /// Waits until both loops have twice in a row found nothing, with nothing under way: the second of these passes began
    /// after this call.
    pub(super) async fn idle(&self, wake: impl Fn()) {
        let mut watching = self.passes.subscribe();
        let begun = *watching.borrow_and_update();
        loop {
            wake();
            let seen = *watching.borrow_and_update();
            let quiet = |index: usize| {
                let since = seen[index].busy.max(begun[index].done);
                seen[index].done >= since + 2
            };
            if quiet(0) && quiet(1) && !self.is_busy() {
                return;
            }
            if watching.changed().await.is_err() {
                return;
            }
        }
    }
}
