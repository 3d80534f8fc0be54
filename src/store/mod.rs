//! What is remembered, and what may be relied upon: every method of [`Store`] is one business verb and one transaction,
//! and its first sentence is its guarantee.
//!
//! Two backends keep the same guarantees: [`postgres`] for production, one or many instances on it, and [`sqlite`] for one
//! machine. What they decide, they decide with the pure functions of [`plan`] and of the model; what differs is how rows
//! are locked and written. The contract suite in `tests/it/contract` runs on both, one named behaviour per function.
//!
//! To add a verb: its method here with its guarantee, the decision (if there is one) as a pure function in [`plan`], a file
//! of the same name in both backends, and a case in the contract suite. To add a column: the same change in both folders
//! under `migrations/`, and the row in [`rows`].
//!
//! A store knows nothing of HTTP, handlers or Connectly's endpoints, and never computes across two calls: what it needs to
//! decide it locks first.

pub mod arrival;
pub mod error;
mod ids;
pub mod inspect;
pub mod plan;
pub mod postgres;
pub mod query;
pub mod question;
pub mod retention;
pub mod rows;
pub mod sqlite;
pub mod submission;
pub mod talk;
#[cfg(test)]
pub(crate) mod testing;
pub mod work;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::arrival::{Arrival, Receipt};
pub use self::error::StoreError;
use self::query::{
    ConversationFilter, ConversationPlace, EventFilter, JobCount, JobFilter, MessageFilter, Page,
    PageRequest, StoredBody,
};
use self::submission::{Submission, Submitted};
use self::work::{
    ClaimDeliveries, ClaimSends, ClaimedSends, Committed, Delivery, Dispatch, GroupTurn, LeasedJob, Offer,
    Resolution, RouteKnowledge, SendAnswered, SendResult, Sending, Settlement, Swept,
};
use crate::clock::Clock;
use crate::model::conversation::Conversation;
use crate::model::customer::CustomerProfile;
use crate::model::event::Event;
use crate::model::id::{ConversationId, CustomerId, EventId, JobId, MessageId};
use crate::model::job::{Job, Lease};
use crate::model::message::{Message, TimelineEntry};
use crate::model::pauses::Pauses;
use crate::model::retention::{Erased, Keep, Purged};
use crate::model::sending::SendPolicy;
use crate::model::state::HandlerState;
use crate::model::stats::{Figures, Parts};

/// The result of every verb.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What is remembered. See the module's page for the recipe to add a verb.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // Accepting ----------------------------------------------------------------------------------------------------

    /// Commits a group of deliveries in one transaction: after `Ok`, each is on disk, exactly once per dedupe key, with its
    /// jobs and what it changes in conversations and messages.
    ///
    /// An event that shows an identity of each of two known customers makes them one, unless each has a user id: the older
    /// conversation with a number survives with everything of the other, and reads follow.
    ///
    /// Receipts come in the order of the arrivals. A repeat (same key, same body) is counted on its event and makes
    /// nothing; the same key with another body is kept once as an event of its own without jobs. On
    /// [`StoreError::Data`] nothing of the group is kept and the caller halves it.
    async fn commit(&self, group: &[Arrival]) -> Result<Vec<Receipt>> {
        Ok(self.commit_and_lease(group, &Offer::default(), &GroupTurn::default()).await?.receipts)
    }

    /// Commits a group as [`commit`](Self::commit) does. As many of its jobs as `offer` has slots for are born leased to the
    /// caller, as if it had claimed them: those that head their lane, on routes that are not paused.
    ///
    /// `turn` is passed once all that is left is to make the group durable, so that the next one's statements run meanwhile. A store
    /// with one writer keeps it.
    async fn commit_and_lease(&self, group: &[Arrival], offer: &Offer, turn: &GroupTurn)
    -> Result<Committed>;

    // Delivering ---------------------------------------------------------------------------------------------------

    /// Leases due deliveries to the caller, each the head of its lane, and counts the attempt.
    ///
    /// No two live leases exist for one job, nor for two jobs of one lane. A job whose lease ended unsettled is claimed only
    /// when [`Look::Ended`](work::Look::Ended) asks for them.
    async fn claim_deliveries(&self, claim: &ClaimDeliveries) -> Result<Vec<LeasedJob>>;

    /// Reads what leased jobs need to begin. If it fails, none of them may begin, and whoever asked gives their leases back.
    async fn deliveries(&self, leased: &[LeasedJob]) -> Result<Vec<Delivery>>;

    /// Settles deliveries in one transaction: a job that is done commits its replies, state and effects with its
    /// completion, so they happen once (P4).
    ///
    /// Settlements whose lease has been taken over change nothing. Answers, in order, whether each was applied.
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>>;

    /// Extends leases, and answers those that are still held.
    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>>;

    /// Gives back jobs that were claimed and not begun: they are ready at once and the attempt is not counted.
    async fn release(&self, leases: &[Lease]) -> Result<()>;

    // Sending ------------------------------------------------------------------------------------------------------

    /// Queues a message that somebody asks for, in the customer's conversation with the number it leaves from: both are made
    /// if nobody knew them. After [`Submitted::Queued`] it is on disk.
    ///
    /// Of requests with the same key and body, also concurrent ones, one is queued within 24 hours, and the others are told
    /// its message. Window and opt-out are looked at when it leaves.
    async fn submit(&self, submission: &Submission) -> Result<Submitted>;

    /// Leases due sends to the caller, one per conversation, never one that has been dispatched, and of each account no more
    /// than its rate lets leave now.
    ///
    /// Replies come before API messages, also within a conversation.
    async fn claim_sends(&self, claim: &ClaimSends) -> Result<ClaimedSends>;

    /// Decides, under lock, whether a claimed message may leave now, and sets the fence: after [`Dispatch::Go`] no other
    /// claim of this send will ever be answered so (P5), until a person or a definite "not processed" clears it.
    ///
    /// Every other answer has settled or postponed the job already.
    async fn dispatch(&self, sending: &Sending, policy: &SendPolicy) -> Result<Dispatch>;

    /// Settles a dispatched send by what Connectly answered. An accepted id is kept even when the lease has ended
    /// meanwhile, and takes over what statuses already told of that id.
    async fn settle_send(&self, sending: &Sending, answered: &SendAnswered) -> Result<SendResult>;

    /// Settles what a person found out about an `unconfirmed` message: it was sent, or it is queued again at the lane's end
    /// under the same id. [`StoreError::Conflict`] for a message in any other state.
    async fn resolve(&self, message: MessageId, resolution: Resolution) -> Result<Message>;

    // Replaying ----------------------------------------------------------------------------------------------------

    /// Stored events as they arrived, read from their bytes anew, in the order of their ids. Those whose bytes are no longer
    /// kept are left out. They have no routes yet.
    async fn arrivals(&self, ids: &[EventId]) -> Result<Vec<Arrival>>;

    /// Makes a new job for each route of each stored event, in one transaction, at the end of its lane and as the next run of
    /// that event and route: no replay is taken for an earlier one. Answers how many.
    ///
    /// An event that was stored as `unknown` and is understood by now becomes what it is, with everything that its commit
    /// would have changed.
    async fn replay(&self, group: &[Arrival]) -> Result<u64>;

    // Pausing ------------------------------------------------------------------------------------------------------

    /// What is paused.
    async fn pauses(&self) -> Result<Pauses>;

    /// Pauses this and nothing else: after `Ok`, no instance claims a delivery to a paused route or lets a message leave
    /// while sends are paused. Jobs wait where they are; for a route that goes on, the time of its pause does not count
    /// towards the age at which its retries end.
    async fn pause(&self, pauses: &Pauses) -> Result<()>;

    // Opting out ---------------------------------------------------------------------------------------------------

    /// Opts a customer out by somebody's word, or in: after `Ok`, every message to somebody who is out is suppressed at the
    /// moment of sending. Who was the first to say so stays noted until they opt in.
    async fn opt(&self, customer: CustomerId, by: Option<&str>) -> Result<Option<CustomerProfile>>;

    // Forgetting ---------------------------------------------------------------------------------------------------

    /// Takes away some of what is older than is kept, in small transactions that hold nobody up; call it again while it says
    /// that there may be more. PostgreSQL drops bodies and events by whole months of their receipt, so there they may live
    /// up to a month longer.
    ///
    /// A job that waits or runs stays, and so does the message it sends.
    async fn purge(&self, keep: &Keep) -> Result<Purged>;

    /// Erases a customer: after `Ok`, no table holds their number, name or text, and whoever still works on a job of theirs can
    /// settle nothing. `None` when there is no such customer.
    ///
    /// What no job is about goes first, in small transactions that hold nobody up, however much it is. The customer and
    /// everything else go in the last one, together: before it, their jobs run and their messages arrive as ever. After an
    /// error some may be gone; the next call takes, and counts, the rest. What arrives of them later is of a new customer.
    async fn erase(&self, customer: CustomerId) -> Result<Option<Erased>>;

    // Upkeep -------------------------------------------------------------------------------------------------------

    /// Makes `unconfirmed` what was dispatched under a lease that ended without an answer, and parks jobs whose route
    /// or account nobody has known for an hour.
    async fn sweep(&self, known: &RouteKnowledge) -> Result<Swept>;

    /// Makes ready what the coming months need. Runs at most once at a time over all instances.
    async fn upkeep(&self) -> Result<()>;

    /// Succeeds when the store can be written to.
    async fn ping(&self) -> Result<()>;

    /// Ends all connections.
    async fn close(&self);

    // Asking -------------------------------------------------------------------------------------------------------

    /// One event, with its content decoded anew from its bytes.
    async fn event(&self, id: EventId) -> Result<Option<Event>>;

    /// Events, newest first.
    async fn events(&self, filter: &EventFilter, page: PageRequest<EventId>) -> Result<Page<Event>>;

    /// Events after `after` in the order of their ids, at most `limit`: for streams, which re-read the last seconds because
    /// ids are made before commits.
    async fn events_after(&self, filter: &EventFilter, after: EventId, limit: u32) -> Result<Vec<Event>>;

    /// The bytes of an event as they were signed.
    async fn event_body(&self, id: EventId) -> Result<Option<StoredBody>>;

    /// One message by our id or Connectly's, with its timeline in the order of time.
    async fn message(&self, id: &str) -> Result<Option<(Message, Vec<TimelineEntry>)>>;

    /// Messages, newest first.
    async fn messages(&self, filter: &MessageFilter, page: PageRequest<MessageId>) -> Result<Page<Message>>;

    /// One conversation, by its id or that of one that was merged into it.
    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>>;

    /// Conversations in the filter's order, none that was merged into another.
    async fn conversations(
        &self,
        filter: &ConversationFilter,
        page: PageRequest<ConversationPlace>,
    ) -> Result<Page<Conversation>>;

    /// Every customer that a text names by phone, user id or our id, also that of one who turned out to be this one: at most
    /// one in each account.
    async fn customers(&self, name: &str) -> Result<Vec<CustomerProfile>>;

    /// What a route keeps for a conversation, named by its id or that of one that was merged into it.
    async fn state(&self, id: ConversationId, route: &str) -> Result<Option<HandlerState>>;

    /// Removes what a route keeps for a conversation: after `Ok(true)`, a job of that lane that is claimed later finds none.
    /// `false` when there was none.
    ///
    /// A job that was claimed before still works with what it was given, and its settlement may write the state anew.
    async fn clear_state(&self, id: ConversationId, route: &str) -> Result<bool>;

    /// One job, unfinished, parked or finished, with its log.
    async fn job(&self, id: JobId) -> Result<Option<Job>>;

    /// Jobs, newest first: unfinished and parked ones, or the finished ones when the filter's state says so.
    async fn jobs(&self, filter: &JobFilter, page: PageRequest<JobId>) -> Result<Page<Job>>;

    /// Makes a parked job ready again, at the end of its lane, with its attempts counted anew.
    /// [`StoreError::Conflict`] when it is not parked.
    async fn retry_job(&self, id: JobId) -> Result<Option<Job>>;

    /// Ends a parked or waiting job for good. [`StoreError::Conflict`] when it is running or finished.
    async fn discard_job(&self, id: JobId) -> Result<Option<Job>>;

    /// How many unfinished and parked jobs there are, by kind, route and state.
    async fn job_counts(&self) -> Result<Vec<JobCount>>;

    /// How the messages that a filter selects fared, and for how long work has been waiting.
    async fn stats(&self, filter: &MessageFilter, parts: Parts) -> Result<Figures>;
}

/// Opens the store a URL names, `postgres://` or `sqlite:`, applies migrations if asked, and makes it ready.
pub async fn open(url: &str, options: &OpenOptions, clock: Clock) -> Result<Arc<dyn Store>> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(postgres::PostgresStore::open(url, options, clock).await?));
    }
    if url.starts_with("sqlite:") {
        return Ok(Arc::new(sqlite::SqliteStore::open(url, options, clock).await?));
    }
    Err(StoreError::Url)
}

/// How to open a store.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// Whether to apply migrations; without, a schema that is behind is an error.
    pub migrate: bool,
    /// The most connections to PostgreSQL. SQLite has one that writes and a few that read.
    pub connections: u32,
}
