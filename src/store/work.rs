//! What workers take from the store and bring back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::connectly::error::ErrorDetail;
use crate::connectly::message::Invalid;
use crate::connectly::order::Order;
use crate::connectly::throttle::Rate;
use crate::model::context::Context;
use crate::model::event::Event;
use crate::model::id::{ConversationId, EventId, MessageId};
use crate::model::job::{Attempt, Lease};
use crate::model::json::JsonText;
use crate::model::message::Origin;
use crate::model::outcome::Outcome;
use crate::model::payload::Payload;
use crate::store::arrival::Receipt;

/// Which deliveries to claim.
#[derive(Debug, Clone)]
pub struct ClaimDeliveries {
    /// The routes with free slots, and how many each has.
    pub routes: Vec<(String, u32)>,
    /// The most to claim over all of them.
    pub limit: u32,
    /// How long the lease lasts.
    pub lease: Duration,
    /// Which of them are looked for, and where.
    pub look: Look,
}

/// Where a claim looks for deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Those nobody holds. A store may begin where its last claim came to: what another process made ready in front of that is
    /// then found by a look at the whole.
    Onwards,
    /// Those nobody holds, in the whole queue.
    Whole,
    /// Those whose lease ended unsettled. They are taken one at a time, so that only the one that kills its process uses up its
    /// attempts. Every waiting job may have to be read for it.
    Ended,
}

/// What the caller of a commit can begin at once: so many jobs of each route may be born leased to it.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// The routes with places kept for the group, and how many each has.
    pub slots: HashMap<String, u32>,
    /// How long the lease lasts.
    pub lease: Duration,
}

/// A group's turn: while one has it, what comes in gathers and makes the next group large.
#[derive(Debug, Default)]
pub struct GroupTurn(Mutex<Option<OwnedSemaphorePermit>>);

impl GroupTurn {
    /// The turn of whoever holds this, until it is passed or dropped.
    pub const fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Mutex::new(Some(permit)))
    }

    /// Lets the next group begin. What this one has locked may still be waited for.
    pub fn pass(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// What a commit came to.
#[derive(Debug, Default)]
pub struct Committed {
    /// What became of each arrival, in order.
    pub receipts: Vec<Receipt>,
    /// The jobs that were born leased to the caller.
    pub leased: Vec<LeasedJob>,
}

/// A delivery's job that was just leased.
#[derive(Debug, Clone)]
pub struct LeasedJob {
    /// The lease.
    pub lease: Lease,
    /// The event.
    pub event: EventId,
    /// Its conversation.
    pub conversation: Option<ConversationId>,
    /// The route.
    pub route: String,
    /// Attempts, this one included.
    pub attempts: i64,
    /// When the first one began, in milliseconds.
    pub first_attempt_at: i64,
    /// Whether it runs in a lane: only then is there a state.
    pub ordered: bool,
    /// The event, where this process has just committed it: then it need not be read.
    pub arrived: Option<Arc<Event>>,
}

/// A delivery that can begin.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The right to work on it.
    pub lease: Lease,
    /// The event.
    pub event: Event,
    /// Its surroundings.
    pub context: Context,
    /// When its first attempt began, this one included: what the route's `max_age` counts from.
    pub first_attempt_at: Timestamp,
}

/// What became of a delivery.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The right under which it was worked on.
    pub lease: Lease,
    /// The try, for the log.
    pub attempt: Attempt,
    /// What follows.
    pub resolution: Settled,
}

impl Settlement {
    /// Whether it asks for messages to be queued.
    pub fn has_replies(&self) -> bool {
        matches!(&self.resolution, Settled::Done(outcome) if !outcome.replies.is_empty())
    }

    /// Whether it says something to the customer or changes something about them. Most only end, and nobody needs to know whose
    /// they were.
    pub fn concerns_customer(&self) -> bool {
        let effects = matches!(&self.resolution, Settled::Done(outcome) if !outcome.effects.is_empty());
        effects || self.has_replies()
    }
}

/// What follows from a try.
#[derive(Clone)]
pub enum Settled {
    /// It is finished, with everything it led to. Its replies are valid already.
    Done(Outcome),
    /// Try again after this delay.
    Retry(Duration),
    /// A person must look; the attempt's detail says why.
    Park,
}

impl std::fmt::Debug for Settled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done(outcome) => write!(formatter, "Done({} replies)", outcome.replies.len()),
            Self::Retry(delay) => write!(formatter, "Retry({delay:?})"),
            Self::Park => formatter.write_str("Park"),
        }
    }
}

/// Which sends to claim: of each account no more than its rate lets leave now, and replies before API messages.
#[derive(Debug, Clone)]
pub struct ClaimSends {
    /// The most to claim.
    pub limit: u32,
    /// The most of them that may be API messages: some requests are kept free for replies.
    pub api_limit: u32,
    /// Whether half of the claim, and of what each account may send, goes to API messages, if there are any: so that replies,
    /// which go first otherwise, cannot hold them up for ever.
    pub api_turn: bool,
    /// How long the lease lasts.
    pub lease: Duration,
    /// The accounts this instance can send for.
    pub accounts: Vec<SendingAccount>,
}

/// An account as far as claiming needs it.
#[derive(Debug, Clone)]
pub struct SendingAccount {
    /// Its name.
    pub name: String,
    /// What Connectly allows it.
    pub rate: Rate,
    /// Sends that this instance has claimed already and that have not drawn from the rate yet.
    pub undrawn: u32,
}

/// Sends that were claimed.
#[derive(Debug, Default)]
pub struct ClaimedSends {
    /// They, replies first.
    pub sends: Vec<Sending>,
    /// The accounts that may send nothing now, and how long until they may.
    pub exhausted: Vec<(String, Duration)>,
    /// Whether a limit of the claim, or of an account's rate, may have kept others from being claimed. Else nothing more was due.
    pub reached_a_limit: bool,
}

/// A claimed send: everything the request to Connectly needs.
#[derive(Clone)]
pub struct Sending {
    /// The right to work on it.
    pub lease: Lease,
    /// Which attempt this is, from 1.
    pub attempt: i64,
    /// The message.
    pub message: MessageId,
    /// The account.
    pub account: String,
    /// The conversation.
    pub conversation: ConversationId,
    /// Where the message came from.
    pub origin: Origin,
    /// The business number it leaves from.
    pub from: String,
    /// The customer's phone number.
    pub to_phone: Option<String>,
    /// The customer's user id.
    pub to_user_id: Option<String>,
    /// Connectly's `message` object, or `{"template": {...}}`.
    pub content: Value,
    /// The template to send once the window is closed.
    pub fallback: Option<Value>,
    /// What the caller set.
    pub callback_data: Option<JsonText>,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// What it waits for at Connectly.
    pub order: Option<Order>,
}

impl Sending {
    /// What one of its sends carries.
    pub fn payload(&self, departure: Departure) -> std::result::Result<Payload, Invalid> {
        match &self.fallback {
            Some(fallback) if departure.number > 1 => Payload::of_fallback(fallback),
            Some(_) | None => Payload::of_content(&self.content),
        }
    }
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sending({}, attempt {})", self.message, self.attempt)
    }
}

/// Whether a message may leave.
#[derive(Debug, Clone, PartialEq)]
pub enum Dispatch {
    /// The request must be made now.
    Go(Departure),
    /// The lease has been taken over: somebody else decides.
    Lost,
    /// Not now: the rate allows it after this delay. The job waits by itself.
    Later(Duration),
    /// Not before a person resumes sends. The job is ready again, and the attempt is not counted.
    Paused,
    /// Not before another message of its conversation is settled, which left meanwhile. The job is ready again, and the
    /// attempt is not counted.
    Behind,
    /// It will not leave; the job is finished or parked. The word is the outcome: `expired`, `suppressed`, `parked`, ...
    Ended(&'static str),
}

/// A request that must be made, and the fence that its answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// Which send of the message it is: 1, or 2 for the fallback.
    pub number: i64,
    /// When it leaves.
    pub at: Timestamp,
}

/// What Connectly answered to a dispatched send.
#[derive(Debug, Clone)]
pub struct SendAnswered {
    /// The fence that [`Dispatch::Go`] gave.
    pub departure: Departure,
    /// The try, for the log.
    pub attempt: Attempt,
    /// The answer.
    pub answer: Answer,
}

/// An answer by what follows from it.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Connectly took it and gave it this id.
    Accepted(String),
    /// It was surely not processed: try again after this delay, and when the account's rate was the reason, hold all its
    /// sends for as long.
    NotProcessed {
        /// When to try again.
        after: Duration,
        /// Whether the account's bucket is to be drained for that long.
        drain: bool,
    },
    /// Refused for good: `failed`, and the job is parked.
    Refused(ErrorDetail),
    /// Refused because the window is closed: the fallback, or `expired`.
    WindowClosed(ErrorDetail),
    /// Refused because the customer wants no messages: `suppressed`, and so is everything else to them from now on.
    OptedOut(ErrorDetail),
    /// Nobody knows whether it was processed: `unconfirmed`.
    Unknown,
}

/// What a settled send came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendResult {
    /// The answer was taken.
    Applied,
    /// The send was settled otherwise meanwhile.
    Superseded,
}

/// What a person found out about an unconfirmed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It was sent.
    Sent,
    /// It was not: queue it again.
    NotSent,
}

/// What this instance knows, against which forgotten routes and accounts are told.
#[derive(Debug, Clone)]
pub struct RouteKnowledge {
    /// The routes it serves.
    pub routes: Vec<String>,
    /// The accounts it sends for.
    pub accounts: Vec<String>,
    /// How long a job waits for somebody who knows its route, or its account.
    pub patience: Duration,
}

impl RouteKnowledge {
    /// The keys under which it is noted for everybody.
    pub fn keys(&self) -> Vec<String> {
        let routes = self.routes.iter().map(|route| format!("route/{route}"));
        routes.chain(self.accounts.iter().map(|account| format!("account/{account}"))).collect()
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Messages that became unconfirmed.
    pub unconfirmed: u64,
    /// Jobs that were parked because nobody knows their route, or the account they send for.
    pub forgotten: u64,
}
