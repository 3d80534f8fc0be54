//! What a send holds while it is under way, and gives back however it ends.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::super::pace::Pace;
use super::leave::Sends;
use crate::clock::Stopwatch;
use crate::model::job::Lease;

/// Held while a request is under way: a slot of all, and one of those that API messages may take.
pub(super) struct Slot {
    _any: OwnedSemaphorePermit,
    _api: Option<OwnedSemaphorePermit>,
}

/// A send from its claim to its end. However it ends, and be it by a panic, its lease is renewed no longer and its slot is
/// free: or its lane would wait for as long as this process lives.
pub(super) struct UnderWay {
    work: Arc<Sends>,
    lease: Lease,
    slot: Option<Slot>,
}

/// A claimed send that counts against its account's rate, since it has not drawn from it yet.
pub(super) struct Undrawn<'a> {
    pub(super) pace: &'a Pace,
    pub(super) account: &'a str,
}

impl Slot {
    pub(super) const fn new(any: OwnedSemaphorePermit, api: Option<OwnedSemaphorePermit>) -> Self {
        Self { _any: any, _api: api }
    }
}

impl UnderWay {
    pub(super) fn begin(work: Arc<Sends>, lease: Lease, leased: Stopwatch, slot: Slot) -> Self {
        work.shared.pulse.begin();
        work.shared.held.hold(lease, leased, None);
        Self { work, lease, slot: Some(slot) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.work.shared.held.drop(self.lease);
        // Before the loop looks for what else may begin.
        drop(self.slot.take());
        self.work.shared.pulse.end();
        self.work.shared.sends.notify_one();
    }
}

impl Drop for Undrawn<'_> {
    fn drop(&mut self) {
        self.pace.drawn(self.account);
    }
}
