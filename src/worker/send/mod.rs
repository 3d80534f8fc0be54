//! Sending messages: one attempt per claim, fenced before it leaves, settled by its answer (P5).

mod leave;
mod slot;

use std::collections::HashMap;
use std::sync::Arc;

use rand::seq::SliceRandom as _;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::pulse::Loop;
use super::{Shared, WorkAccount};
use crate::model::message::Origin;
use crate::store::work::{ClaimSends, Sending};
use leave::Sends;
use slot::{Slot, UnderWay};

/// The most requests under way at a time: at 200 a second and half a second each it is never what limits.
const CONCURRENCY: usize = 100;

/// How many of them API messages never take, so that a reply waits for none of theirs.
const KEPT_FOR_REPLIES: usize = 20;

/// Every so many claims, API messages get half of what may begin, if there are any. Else replies come first.
const API_TURN: u32 = 4;

/// How many claimed sends may wait for their fence: enough to keep it busy, and few enough for a reply not to wait behind
/// many messages of the API.
const AHEAD: u32 = 8;

/// Claims sends and makes their requests.
pub(super) struct Sender {
    work: Arc<Sends>,
    slots: Arc<Semaphore>,
    /// Those that API messages may take.
    api_slots: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Sender {
    pub(super) fn new(
        shared: Arc<Shared>,
        accounts: HashMap<String, WorkAccount>,
        tasks: TaskTracker,
    ) -> Self {
        let work = Arc::new(Sends::new(shared, accounts));
        let api_slots = Arc::new(Semaphore::new(CONCURRENCY - KEPT_FOR_REPLIES));
        Self { work, slots: Arc::new(Semaphore::new(CONCURRENCY)), api_slots, tasks }
    }

    /// Claims whenever there may be work, until stopped.
    pub(super) async fn run(self) {
        let shared = Arc::clone(&self.work.shared);
        let mut turn = 0_u32;
        while !shared.shutdown.is_cancelled() {
            let is_api_turn = turn.is_multiple_of(API_TURN);
            let begun = self.claim(is_api_turn).await;
            shared.pulse.pass(Loop::Sends, begun.sends);
            turn = turn.wrapping_add(1);
            // An API turn leaves replies for the next one, also where it finds nothing.
            if begun.may_be_more && (begun.sends > 0 || is_api_turn) {
                continue;
            }
            tokio::select! {
                () = shared.sends.notified() => {}
                () = tokio::time::sleep(self.work.pause()) => {}
                () = shared.shutdown.cancelled() => {}
            }
        }
    }

    async fn claim(&self, api_turn: bool) -> Begun {
        // Before it is looked what is free: what becomes free from here on calls for the next claim.
        self.work.call_for_room(true);
        let Some(claim) = self.fitting(api_turn) else {
            return Begun::NOTHING;
        };
        let leased = self.work.shared.clock.stopwatch();
        let claimed = match self.work.shared.store.claim_sends(&claim).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(error = %error, "no sends were claimed");
                return Begun::NOTHING;
            }
        };
        let begun = Begun { sends: claimed.sends.len(), may_be_more: claimed.reached_a_limit };
        self.work.call_for_room(begun.may_be_more);
        for (account, delay) in claimed.exhausted {
            self.work.wait(&account, delay);
        }
        for sending in claimed.sends {
            let Some(slot) = self.slot(&sending).await else {
                return Begun::NOTHING;
            };
            let work = Arc::clone(&self.work);
            work.pace.claimed(&sending.account);
            let under_way = UnderWay::begin(Arc::clone(&work), sending.lease, leased, slot);
            self.tasks.spawn(async move {
                work.send(&sending).await;
                drop(under_way);
            });
        }
        begun
    }

    /// What may be claimed now; `None` when there is no room, or every account waits.
    fn fitting(&self, api_turn: bool) -> Option<ClaimSends> {
        let mut accounts = self.work.pace.ready(self.work.shared.clock.now());
        // The limit over all of them is used up from the front: in turn, so that busy accounts do not starve the others.
        accounts.shuffle(&mut rand::rng());
        let free = |slots: &Semaphore| u32::try_from(slots.available_permits()).unwrap_or(u32::MAX);
        let limit = free(&self.slots).min(AHEAD.saturating_sub(self.work.pace.undrawn()));
        let api_limit = free(&self.api_slots);
        let lease = self.work.shared.settings.lease;
        (limit > 0 && !accounts.is_empty()).then_some(ClaimSends {
            limit,
            api_limit,
            api_turn,
            lease,
            accounts,
        })
    }

    /// Only this loop takes permits, and it claimed no more than were free.
    async fn slot(&self, sending: &Sending) -> Option<Slot> {
        let any = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let api = match sending.origin {
            Origin::Api => Some(Arc::clone(&self.api_slots).acquire_owned().await.ok()?),
            Origin::Reply | Origin::Observed => None,
        };
        Some(Slot::new(any, api))
    }
}

/// What a claim came to.
#[derive(Clone, Copy)]
struct Begun {
    sends: usize,
    /// Whether a limit was reached. Else there is nothing more until somebody calls.
    may_be_more: bool,
}

impl Begun {
    const NOTHING: Self = Self { sends: 0, may_be_more: false };
}
