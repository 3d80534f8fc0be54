//! Questions to the store: filters, pages, and answers that are not things of their own.

use bytes::Bytes;
use jiff::Timestamp;

use crate::connectly::event::status::Status;
use crate::model::callback::CallbackKey;
use crate::model::event::EventType;
use crate::model::id::{ConversationId, EventId};
use crate::model::job::{JobKind, JobState};

/// A page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Whether older rows follow.
    pub more: bool,
}

/// Which page.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<Id> {
    /// The most rows.
    pub limit: u32,
    /// Rows older than this one.
    pub before: Option<Id>,
}

/// Which events. Every part that is set must hold.
#[derive(Clone, Default)]
pub struct EventFilter {
    /// The account.
    pub account: Option<String>,
    /// The type.
    pub event_type: Option<EventType>,
    /// A conversation, and those that were merged into it.
    pub conversation: Option<ConversationId>,
    /// A customer by phone, user id or our id.
    pub customer: Option<String>,
    /// A business number.
    pub business: Option<String>,
    /// Connectly's message id.
    pub provider_message_id: Option<String>,
    /// The status it reports.
    pub status: Option<Status>,
    /// The code of a failure.
    pub error_code: Option<String>,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// Values in its callback data.
    pub callback_data: Vec<CallbackKey>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
}

impl std::fmt::Debug for EventFilter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("EventFilter(..)")
    }
}

/// Which messages. Every part that is set must hold.
#[derive(Clone, Default)]
pub struct MessageFilter {
    /// The account.
    pub account: Option<String>,
    /// A conversation.
    pub conversation: Option<ConversationId>,
    /// A customer by phone, user id or our id.
    pub customer: Option<String>,
    /// A business number.
    pub business: Option<String>,
    /// Connectly's id of any of its sends.
    pub provider_message_id: Option<String>,
    /// The derived state.
    pub state: Option<String>,
    /// Where it came from.
    pub origin: Option<String>,
    /// The code of its failure.
    pub error_code: Option<String>,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// Values in its callback data.
    pub callback_data: Vec<CallbackKey>,
    /// Created at or after.
    pub since: Option<Timestamp>,
    /// Created before.
    pub until: Option<Timestamp>,
}

impl std::fmt::Debug for MessageFilter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MessageFilter(..)")
    }
}

/// Which conversations. Every part that is set must hold.
#[derive(Clone, Default)]
pub struct ConversationFilter {
    /// The account.
    pub account: Option<String>,
    /// A customer by phone, user id or our id.
    pub customer: Option<String>,
    /// A business number.
    pub business: Option<String>,
    /// Whether the window is open, the margin not counted.
    pub open: Option<bool>,
    /// In which order.
    pub order: ConversationOrder,
}

impl std::fmt::Debug for ConversationFilter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ConversationFilter(..)")
    }
}

/// In which order conversations are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConversationOrder {
    /// The newest first.
    #[default]
    Newest,
    /// The window that closes soonest first; for open windows.
    Closing,
}

/// Where a page of conversations ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationPlace {
    /// In the order of the newest.
    Newest(ConversationId),
    /// In the order of the windows' ends: the customer's last inbound, a day before the end, and whose it is.
    Closing(Timestamp, ConversationId),
}

/// Which jobs. Every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Where it stands: `done` and `discarded` list the finished ones.
    pub state: Option<JobState>,
    /// Deliver or send.
    pub kind: Option<JobKind>,
    /// The route.
    pub route: Option<String>,
    /// Created at or after.
    pub since: Option<Timestamp>,
    /// Created before.
    pub until: Option<Timestamp>,
}

/// An event's bytes.
#[derive(Clone)]
pub enum StoredBody {
    /// As they were signed.
    Kept(Bytes),
    /// The event is known; retention has dropped its bytes.
    Purged(EventId),
}

impl std::fmt::Debug for StoredBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kept(body) => write!(formatter, "Kept({} bytes)", body.len()),
            Self::Purged(id) => write!(formatter, "Purged({id})"),
        }
    }
}

/// How many jobs of one kind and route stand where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobCount {
    /// Deliver or send.
    pub kind: JobKind,
    /// The route, empty for sends.
    pub route: String,
    /// Where they stand.
    pub state: JobState,
    /// How many.
    pub count: i64,
}

impl<T> Page<T> {
    /// The page with each row turned into something else.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(turn).collect(), more: self.more }
    }

    /// A page made of one row more than was asked for, if there is one.
    pub fn of(mut rows: Vec<T>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        Self { data: rows, more }
    }
}

impl JobCount {
    /// Reads a row of kind, route, state and count.
    pub fn of((kind, route, state, count): (String, String, String, i64)) -> Option<Self> {
        Some(Self { kind: JobKind::parse(&kind)?, route, state: JobState::parse(&state)?, count })
    }
}
