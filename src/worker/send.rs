//! Sending messages: one attempt per claim, fenced before it leaves, settled by its answer (P5).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::pace::Pace;
use super::pulse::Loop;
use super::settle::until_available;
use super::verdict::{self, Verdict};
use super::{Shared, WorkAccount};
use crate::clock::Stopwatch;
use crate::connectly::client::{Recipient, SessionRequest, TemplateRequest};
use crate::connectly::error::{ErrorDetail, SendAnswer};
use crate::connectly::mark;
use crate::model::job::{Attempt, Lease};
use crate::model::json::JsonText;
use crate::model::message::Origin;
use crate::model::payload::Payload;
use crate::model::sending::SendPolicy;
use crate::store::work::{ClaimSends, Departure, Dispatch, SendAnswered, Sending};

/// The most requests under way at a time: at 200 a second and half a second each it is never what limits.
const CONCURRENCY: usize = 100;
/// How many of them API messages never take, so that a reply waits for none of theirs.
const KEPT_FOR_REPLIES: usize = 20;
/// Every so many claims, API messages get half of what may begin, if there are any. Else replies come first.
const API_TURN: u32 = 4;
/// The most fences that are set at a time. Sends of one account wait for its rate one after the other anyway, and whatever
/// waits there holds a connection that accepting and renewing need.
const FENCES: usize = 2;
/// The most answers that are settled at a time, for the same reason: with the fences, half of the connections that there are
/// by default.
const SETTLEMENTS: usize = 2;
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

struct Sends {
    shared: Arc<Shared>,
    accounts: HashMap<String, WorkAccount>,
    pace: Pace,
    fences: Semaphore,
    settlements: Semaphore,
}

/// Held while a request is under way: a slot of all, and one of those that API messages may take.
struct Slot {
    _any: OwnedSemaphorePermit,
    _api: Option<OwnedSemaphorePermit>,
}

/// A send from its claim to its end. However it ends, and be it by a panic, its lease is renewed no longer and its slot is
/// free: or its lane would wait for as long as this process lives.
struct UnderWay {
    work: Arc<Sends>,
    lease: Lease,
    slot: Option<Slot>,
}

/// A claimed send that counts against its account's rate, since it has not drawn from it yet.
struct Undrawn<'a> {
    pace: &'a Pace,
    account: &'a str,
}

impl Sender {
    pub(super) fn new(
        shared: Arc<Shared>,
        accounts: HashMap<String, WorkAccount>,
        tasks: TaskTracker,
    ) -> Self {
        let (fences, settlements) = (Semaphore::new(FENCES), Semaphore::new(SETTLEMENTS));
        let pace = Pace::new(accounts.iter().map(|(name, account)| (name.clone(), account.rate)));
        let work = Arc::new(Sends { shared, accounts, pace, fences, settlements });
        let api_slots = Arc::new(Semaphore::new(CONCURRENCY - KEPT_FOR_REPLIES));
        Self { work, slots: Arc::new(Semaphore::new(CONCURRENCY)), api_slots, tasks }
    }

    /// Claims whenever there may be work, until stopped.
    pub(super) async fn run(self) {
        let shared = Arc::clone(&self.work.shared);
        let mut turn = 0_u32;
        while !shared.shutdown.is_cancelled() {
            let begun = self.claim(turn.is_multiple_of(API_TURN)).await;
            shared.pulse.pass(Loop::Sends, begun);
            turn = turn.wrapping_add(1);
            // An API turn leaves replies for the next one.
            if begun > 0 || (turn.wrapping_sub(1).is_multiple_of(API_TURN) && self.work.may_claim()) {
                continue;
            }
            tokio::select! {
                () = shared.sends.notified() => {}
                () = tokio::time::sleep(self.work.pause()) => {}
                () = shared.shutdown.cancelled() => {}
            }
        }
    }

    async fn claim(&self, api_turn: bool) -> usize {
        let Some(claim) = self.fitting(api_turn) else {
            return 0;
        };
        let leased = self.work.shared.clock.stopwatch();
        let claimed = match self.work.shared.store.claim_sends(&claim).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(error = %error, "no sends were claimed");
                return 0;
            }
        };
        for (account, delay) in claimed.exhausted {
            self.work.wait(&account, delay);
        }
        let begun = claimed.sends.len();
        for sending in claimed.sends {
            let Some(slot) = self.slot(&sending).await else {
                return 0;
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
        Some(Slot { _any: any, _api: api })
    }
}

impl UnderWay {
    fn begin(work: Arc<Sends>, lease: Lease, leased: Stopwatch, slot: Slot) -> Self {
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

impl Sends {
    async fn send(&self, sending: &Sending) {
        let undrawn = Undrawn { pace: &self.pace, account: &sending.account };
        let Some(account) = self.accounts.get(&sending.account) else {
            return;
        };
        let settings = &self.shared.settings;
        let policy = SendPolicy {
            window_margin: settings.window_margin,
            replies_per_minute: settings.replies_per_minute,
            rate: account.rate,
            lease: settings.lease,
        };
        let turn = self.fences.acquire().await;
        let watch = self.shared.clock.stopwatch();
        let dispatched = self.shared.store.dispatch(sending, &policy).await;
        drop((turn, undrawn));
        // There is room for the next claim.
        self.shared.sends.notify_one();
        match dispatched {
            Ok(Dispatch::Go(departure)) => {
                // The lease was extended with the fence.
                let stood_still = watch.elapsed() >= settings.lease / 2;
                let answer = if stood_still { None } else { Some(ask(account, sending, departure)) };
                self.request(sending, departure, answer).await;
            }
            Ok(Dispatch::Later(delay)) => self.wait(&sending.account, delay),
            Ok(Dispatch::Ended(outcome)) => self.shared.metrics.send(outcome),
            Ok(Dispatch::Lost | Dispatch::Paused | Dispatch::Behind) => {}
            // Nothing has left; the lease ends and the job is claimed again. If the fence was set after all, the sweep
            // makes it unconfirmed.
            Err(error) => {
                tracing::warn!(message.id = %sending.message, error = %error, "a message was not dispatched");
            }
        }
    }

    /// Makes the request, unless there is none, and settles its answer. From here on the message may have been sent.
    ///
    /// There is none when this process stood still since the fence was set: the lease is over by now, and the lane may have
    /// gone on without this message. It surely has not left.
    async fn request(
        &self,
        sending: &Sending,
        departure: Departure,
        request: Option<impl Future<Output = SendAnswer>>,
    ) {
        let watch = self.shared.clock.stopwatch();
        let verdict = match request {
            Some(request) => {
                let answer = request.await;
                self.shared.metrics.send_request(watch.elapsed());
                verdict::judge(answer, u32::try_from(sending.attempt).unwrap_or(u32::MAX), rand::random())
            }
            None => verdict::not_begun(),
        };
        let Verdict { answer, outcome, detail, account_waits } = verdict;
        self.shared.metrics.send(outcome);
        if let Some(delay) = account_waits {
            tracing::warn!(
                account = sending.account,
                outcome,
                seconds = delay.as_secs(),
                "the account's sends wait"
            );
            self.wait(&sending.account, delay);
        }
        let attempt = Attempt {
            number: sending.attempt,
            at: departure.at,
            duration_ms: watch.elapsed_ms(),
            outcome: outcome.to_owned(),
            detail,
        };
        let answered = SendAnswered { departure, attempt, answer };
        // An answer in hand is held until the store has it, also past the lease.
        let settle = || async {
            let _turn = self.settlements.acquire().await;
            self.shared.store.settle_send(sending, &answered).await
        };
        if let Err(error) = until_available(settle).await {
            tracing::error!(message.id = %sending.message, error = %error, "an answer could not be settled");
        }
    }

    fn wait(&self, account: &str, delay: Duration) {
        self.pace.wait(account, self.shared.clock.now(), delay);
    }

    fn may_claim(&self) -> bool {
        !self.pace.ready(self.shared.clock.now()).is_empty()
    }

    /// How long until somebody waits no more, at most one poll.
    fn pause(&self) -> Duration {
        let next = self.pace.next(self.shared.clock.now());
        next.unwrap_or(Duration::MAX).min(self.shared.settings.poll)
    }
}

/// Makes one request.
async fn ask(account: &WorkAccount, sending: &Sending, departure: Departure) -> SendAnswer {
    let refused = |why: &str| SendAnswer::Refused(ErrorDetail::from_message(why));
    let payload = match sending.payload(departure) {
        Ok(payload) => payload,
        Err(invalid) => return refused(&invalid.to_string()),
    };
    let recipient = match (&sending.to_phone, &sending.to_user_id) {
        (Some(phone), Some(user_id)) => Recipient::Both { phone, user_id },
        (Some(phone), None) => Recipient::Phone(phone),
        (None, Some(user_id)) => Recipient::UserId(user_id),
        (None, None) => return refused("the customer has no address any more"),
    };
    let given = sending.callback_data.as_ref().map(JsonText::as_str);
    let callback_data =
        mark::apply(given, sending.message.ulid()).and_then(JsonText::parse).map(|data| data.value());
    let (sender, callback_data) = (sending.from.as_str(), callback_data.as_ref());
    let campaign = sending.campaign.as_deref();
    match &payload {
        Payload::Session(message) => {
            let order = sending.order.as_ref();
            let request = SessionRequest { sender, recipient, message, callback_data, campaign, order };
            account.client.send_session(&request).await
        }
        Payload::Template(template) => {
            let request = TemplateRequest { sender, recipient, template, callback_data, campaign };
            account.client.send_template(&request).await
        }
    }
}
