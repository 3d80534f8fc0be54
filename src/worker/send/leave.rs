//! One send from its fence to its settled answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::super::pace::Pace;
use super::super::settle::until_available;
use super::super::verdict::{self, Verdict};
use super::super::{Shared, WorkAccount};
use super::slot::Undrawn;
use crate::connectly::client::{Recipient, SessionRequest, TemplateRequest};
use crate::connectly::error::{ErrorDetail, SendAnswer};
use crate::connectly::mark;
use crate::model::job::Attempt;
use crate::model::json::JsonText;
use crate::model::payload::Payload;
use crate::model::sending::SendPolicy;
use crate::store::work::{Departure, Dispatch, SendAnswered, Sending};

/// The most fences that are set at a time. Sends of one account wait for its rate one after the other anyway, and whatever
/// waits there holds a connection that accepting and renewing need.
const FENCES: usize = 2;

/// The most answers that are settled at a time, for the same reason: with the fences, half of the connections that there are
/// by default.
const SETTLEMENTS: usize = 2;

pub(super) struct Sends {
    pub(super) shared: Arc<Shared>,
    pub(super) accounts: HashMap<String, WorkAccount>,
    pub(super) pace: Pace,
    pub(super) fences: Semaphore,
    pub(super) settlements: Semaphore,
    /// Whether the last claim may have left some for want of room.
    wants_room: AtomicBool,
}

impl Sends {
    pub(super) fn new(shared: Arc<Shared>, accounts: HashMap<String, WorkAccount>) -> Self {
        let pace = Pace::new(accounts.iter().map(|(name, account)| (name.clone(), account.rate)));
        let (fences, settlements) = (Semaphore::new(FENCES), Semaphore::new(SETTLEMENTS));
        Self { shared, accounts, pace, fences, settlements, wants_room: AtomicBool::new(true) }
    }

    pub(super) async fn send(&self, sending: &Sending) {
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
        if self.wants_room.load(Ordering::SeqCst) {
            self.shared.sends.notify_one();
        }
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

    /// Whether the next claim begins as soon as there is room.
    pub(super) fn call_for_room(&self, wanted: bool) {
        self.wants_room.store(wanted, Ordering::SeqCst);
    }

    pub(super) fn wait(&self, account: &str, delay: Duration) {
        self.pace.wait(account, self.shared.clock.now(), delay);
    }

    /// How long until somebody waits no more, at most one poll.
    pub(super) fn pause(&self) -> Duration {
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
