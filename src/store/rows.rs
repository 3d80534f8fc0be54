//! Rows as both databases hold them, and how they become things of the model.
//!
//! Column names are the same on both sides, so one `FromRow` serves both. Times are Unix milliseconds.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sqlx::FromRow;

use super::error::StoreError;
use super::plan::delivery::Conversing;
use super::plan::journal::{MessageRecord, SendRecord};
use super::plan::sending::JobView;
use super::work::Sending;
use crate::connectly::error::ErrorDetail;
use crate::connectly::event::decode;
use crate::connectly::ids::parse_ulid;
use crate::model::conversation::{Conversation, Window};
use crate::model::customer::CustomerProfile;
use crate::model::event::{BusinessNumber, Customer, Event, EventKind, EventType};
use crate::model::id::{ConversationId, CustomerId, EventId, JobId, MessageId};
use crate::model::job::{Attempt, Job, JobKind, JobState, Lease};
use crate::model::json::JsonText;
use crate::model::message::{Message, Origin, OwnState, SendKind, Statuses};
use crate::model::state::HandlerState;
use crate::model::stats::{Failures, Lag};

/// A time as it is stored.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A duration in the unit of the schema; one that cannot be added to a time is cut.
pub fn duration_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).map_or(LONGEST_MS, |millis| millis.min(LONGEST_MS))
}

/// The longest stored duration, in milliseconds: added to any time of this era it does not overflow.
const LONGEST_MS: i64 = i64::MAX / 4;

/// A stored time; one out of range is shown as the earliest.
pub fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// An event with what its JSON needs from its neighbours.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct EventRow {
    pub id: EventId,
    pub account: String,
    #[sqlx(rename = "type")]
    pub event_type: String,
    pub conversation_id: Option<ConversationId>,
    pub provider_message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub callback_data: Option<String>,
    pub campaign: Option<String>,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
    pub body: Option<Vec<u8>>,
    pub duplicates: i64,
    pub message_id: Option<MessageId>,
    pub replied_message_id: Option<MessageId>,
    pub business: Option<String>,
    pub business_name: Option<String>,
    pub customer_id: Option<CustomerId>,
    pub phone: Option<String>,
    pub user_id: Option<String>,
    pub customer_name: Option<String>,
}

impl EventRow {
    /// Our message that it refers to: the one that it is about, or that it answers.
    pub fn refers_to(&self) -> Option<MessageId> {
        self.about_message().or(self.replied_message_id)
    }

    /// Our message that a status or an echo is about.
    fn about_message(&self) -> Option<MessageId> {
        let event_type = EventType::parse(&self.event_type)?;
        self.message_id.filter(|_| event_type.is_about_ours())
    }

    /// The event, its content decoded anew from its bytes.
    pub fn into_event(self) -> Event {
        let event_type = EventType::parse(&self.event_type).unwrap_or(EventType::Unknown);
        let message_id = self.about_message();
        let decoded = self.body.as_deref().map(decode);
        // The stored type stands: an upgrade that decodes better shows it when the event is replayed.
        let kind = decoded.as_ref().map(|decoded| EventKind::of(decoded.kind.clone()));
        let kind = kind
            .filter(|kind| kind.event_type() == event_type)
            .unwrap_or_else(|| EventKind::purged(event_type));
        let shown_name = decoded.as_ref().and_then(|decoded| decoded.customer.as_ref()?.name.clone());
        let named_business = decoded.as_ref().and_then(|decoded| decoded.business.as_ref()?.name.clone());
        let business_name = named_business.or(self.business_name);
        Event {
            id: self.id,
            kind,
            account: self.account,
            occurred_at: self.occurred_at.map(timestamp),
            received_at: timestamp(self.received_at),
            conversation_id: self.conversation_id,
            business: self.business.map(|id| BusinessNumber { id, name: business_name }),
            customer: self.customer_id.map(|id| Customer {
                id: Some(id),
                phone: self.phone,
                user_id: self.user_id,
                name: shown_name.or(self.customer_name),
            }),
            provider_message_id: self.provider_message_id,
            in_reply_to: self.in_reply_to,
            message_id,
            callback_data: self.callback_data.and_then(JsonText::parse),
            campaign: self.campaign,
            duplicates: self.duplicates,
            body_purged: self.body.is_none(),
        }
    }
}

/// A conversation with both its sides.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct ConversationRow {
    pub id: ConversationId,
    pub account: String,
    pub business: String,
    pub business_name: Option<String>,
    pub customer_id: CustomerId,
    pub phone: Option<String>,
    pub user_id: Option<String>,
    pub customer_name: Option<String>,
    pub opted_out_at: Option<i64>,
    pub opted_out_by: Option<String>,
    pub last_inbound_at: Option<i64>,
    pub window_closed_at: Option<i64>,
    pub first_inbound_event: Option<EventId>,
    pub muted_until: Option<i64>,
}

impl ConversationRow {
    /// What the window is derived from.
    pub fn window(&self) -> Window {
        Window {
            last_inbound_at: self.last_inbound_at.map(timestamp),
            closed_at: self.window_closed_at.map(timestamp),
        }
    }

    /// The conversation.
    pub fn into_conversation(self) -> Conversation {
        let window = self.window();
        Conversation {
            id: self.id,
            account: self.account,
            business: BusinessNumber { id: self.business, name: self.business_name },
            customer: Customer {
                id: Some(self.customer_id),
                phone: self.phone,
                user_id: self.user_id,
                name: self.customer_name,
            },
            window,
            opted_out_at: self.opted_out_at.map(timestamp),
            opted_out_by: self.opted_out_by,
            muted_until: self.muted_until.map(timestamp),
        }
    }
}

/// A conversation as a delivery needs it.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct ConversingRow {
    #[sqlx(flatten)]
    pub conversation: ConversationRow,
    pub handed_back_at: Option<i64>,
    pub person_answered_at: Option<i64>,
    pub latest_message: Option<MessageId>,
    pub merged_into: Option<ConversationId>,
    pub route: String,
    pub state: Option<String>,
}

impl ConversingRow {
    /// The conversation, and what else was asked of it.
    pub fn into_conversing(self) -> Conversing {
        // `None` is before every time.
        let answered = self.person_answered_at.filter(|at| Some(*at) > self.handed_back_at);
        Conversing {
            first_inbound: self.conversation.first_inbound_event,
            latest_message: self.latest_message,
            is_merged: self.merged_into.is_some(),
            person_answered_at: answered.map(timestamp),
            conversation: self.conversation.into_conversation(),
        }
    }
}

/// A customer.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct CustomerRow {
    pub id: CustomerId,
    pub account: String,
    pub phone: Option<String>,
    pub user_id: Option<String>,
    pub name: Option<String>,
    pub opted_out_at: Option<i64>,
    pub opted_out_by: Option<String>,
    pub created_at: i64,
}

impl CustomerRow {
    /// Who they are.
    pub fn into_profile(self) -> CustomerProfile {
        CustomerProfile {
            id: self.id,
            account: self.account,
            phone: self.phone,
            user_id: self.user_id,
            name: self.name,
            opted_out_at: self.opted_out_at.map(timestamp),
            opted_out_by: self.opted_out_by,
            created_at: timestamp(self.created_at),
        }
    }
}

/// What a route keeps for a conversation.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct HandlerStateRow {
    pub route: String,
    pub conversation_id: ConversationId,
    pub state: String,
    pub updated_at: i64,
}

impl HandlerStateRow {
    /// The state to the letter, also one that is too strange for a handler; null when it is no JSON.
    pub fn into_state(self) -> HandlerState {
        HandlerState {
            route: self.route,
            conversation_id: self.conversation_id,
            state: JsonText::parse(self.state).unwrap_or_else(|| JsonText::of(&Value::Null)),
            updated_at: timestamp(self.updated_at),
        }
    }
}

/// A message with its conversation's sides and its newest send.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct MessageRow {
    pub id: MessageId,
    pub account: String,
    pub conversation_id: Option<ConversationId>,
    pub origin: String,
    pub kind: String,
    pub content: Option<String>,
    pub fallback: Option<String>,
    pub callback_data: Option<String>,
    pub campaign: Option<String>,
    pub state: String,
    pub error: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    pub provider_message_id: Option<String>,
    pub business: Option<String>,
    pub phone: Option<String>,
    pub user_id: Option<String>,
}

impl MessageRow {
    /// The message.
    pub fn into_message(self) -> Message {
        Message {
            id: self.id,
            provider_message_id: self.provider_message_id,
            account: self.account,
            conversation_id: self.conversation_id,
            origin: Origin::parse(&self.origin).unwrap_or(Origin::Observed),
            kind: send_kind(&self.kind),
            from: self.business,
            to: self.phone.or(self.user_id),
            state: self.state,
            content: self.content.and_then(|text| serde_json::from_str(&text).ok()),
            fallback: self.fallback.and_then(|text| serde_json::from_str(&text).ok()),
            callback_data: self.callback_data.and_then(JsonText::parse),
            campaign: self.campaign,
            error: error_detail(self.error),
            created_at: timestamp(self.created_at),
            updated_at: timestamp(self.updated_at),
        }
    }
}

/// One send of a message.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct SendRow {
    pub message_id: MessageId,
    pub number: i64,
    pub kind: String,
    pub provider_message_id: Option<String>,
    pub dispatched_at: Option<i64>,
    pub accepted_at: Option<i64>,
    pub sent_at: Option<i64>,
    pub delivered_at: Option<i64>,
    pub read_at: Option<i64>,
    pub failed_at: Option<i64>,
    pub error: Option<String>,
}

impl SendRow {
    /// What statuses told of it.
    pub fn statuses(&self) -> Statuses {
        Statuses {
            sent_at: self.sent_at.map(timestamp),
            delivered_at: self.delivered_at.map(timestamp),
            read_at: self.read_at.map(timestamp),
            failed_at: self.failed_at.map(timestamp),
            error: error_detail(self.error.clone()),
        }
    }
}

/// An unfinished or finished job.
#[derive(Debug, FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct JobRow {
    pub id: JobId,
    pub kind: String,
    pub route: Option<String>,
    pub event_id: Option<EventId>,
    pub message_id: Option<MessageId>,
    pub state: String,
    pub attempts: i64,
    pub due_at: Option<i64>,
    pub last_error: Option<String>,
    pub log: Option<String>,
}

impl JobRow {
    /// The job. Its log is there when one job is asked for.
    pub fn into_job(self, with_log: bool) -> Result<Job, StoreError> {
        let unknown = |what: &str| StoreError::Internal(format!("a job of an unknown {what}"));
        Ok(Job {
            id: self.id,
            kind: JobKind::parse(&self.kind).ok_or_else(|| unknown("kind"))?,
            route: self.route.filter(|route| !route.is_empty()),
            event_id: self.event_id,
            message_id: self.message_id,
            state: JobState::parse(&self.state).ok_or_else(|| unknown("state"))?,
            attempts: self.attempts,
            due_at: self.due_at.map(timestamp),
            last_error: self.last_error,
            log: with_log.then(|| attempts(self.log.as_deref())),
        })
    }
}

/// A job's log.
pub fn attempts(log: Option<&str>) -> Vec<Attempt> {
    log.and_then(|log| serde_json::from_str(log).ok()).unwrap_or_default()
}

/// A stored failure.
pub fn error_detail(text: Option<String>) -> Option<ErrorDetail> {
    text.and_then(|text| serde_json::from_str(&text).ok())
}

/// A stored kind of send.
pub fn send_kind(text: &str) -> SendKind {
    if text == SendKind::Template.as_str() { SendKind::Template } else { SendKind::Session }
}

/// A message as it is settled: what is known of it, without its neighbours.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct RecordRow {
    pub id: MessageId,
    pub account: String,
    pub conversation_id: Option<ConversationId>,
    pub origin: String,
    pub content: Option<String>,
    pub has_fallback: bool,
    pub callback_data: Option<String>,
    pub campaign: Option<String>,
    pub own_state: String,
    pub error: Option<String>,
    pub created_at: i64,
}

impl RecordRow {
    /// The record, with its sends.
    pub fn into_record(self, sends: Vec<SendRecord>) -> Result<MessageRecord, StoreError> {
        let unknown = |what: &str| StoreError::Internal(format!("a message of an unknown {what}"));
        Ok(MessageRecord {
            id: self.id,
            account: self.account,
            conversation: self.conversation_id,
            origin: Origin::parse(&self.origin).ok_or_else(|| unknown("origin"))?,
            own: OwnState::parse(&self.own_state).ok_or_else(|| unknown("state"))?,
            content: self.content.and_then(|text| serde_json::from_str(&text).ok()),
            has_fallback: self.has_fallback,
            callback_data: self.callback_data.and_then(JsonText::parse),
            campaign: self.campaign,
            error: error_detail(self.error),
            created_at: timestamp(self.created_at),
            sends,
        })
    }
}

impl SendRow {
    /// The record.
    pub fn into_record(self) -> SendRecord {
        let statuses = self.statuses();
        SendRecord {
            number: self.number,
            kind: send_kind(&self.kind),
            provider_message_id: self.provider_message_id,
            dispatched_at: self.dispatched_at.map(timestamp),
            accepted_at: self.accepted_at.map(timestamp),
            statuses,
        }
    }
}

/// A claimed send.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct SendingRow {
    pub job_id: JobId,
    pub token: String,
    pub attempts: i64,
    pub message_id: MessageId,
    pub account: String,
    pub conversation_id: Option<ConversationId>,
    pub origin: String,
    pub business: Option<String>,
    pub phone: Option<String>,
    pub user_id: Option<String>,
    pub content: Option<String>,
    pub fallback: Option<String>,
    pub callback_data: Option<String>,
    pub campaign: Option<String>,
    pub dispatch_order: Option<String>,
}

impl SendingRow {
    /// The send.
    pub fn into_sending(self) -> Result<Sending, StoreError> {
        let missing = |what: &str| StoreError::Internal(format!("a send without {what}"));
        let content = self.content.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Sending {
            lease: Lease {
                job: self.job_id,
                token: parse_ulid(&self.token).ok_or_else(|| missing("a token"))?,
            },
            attempt: self.attempts,
            message: self.message_id,
            account: self.account,
            conversation: self.conversation_id.ok_or_else(|| missing("a conversation"))?,
            origin: Origin::parse(&self.origin).ok_or_else(|| missing("an origin"))?,
            from: self.business.ok_or_else(|| missing("a sender"))?,
            to_phone: self.phone,
            to_user_id: self.user_id,
            content: content.ok_or_else(|| missing("content"))?,
            fallback: self.fallback.and_then(|text| serde_json::from_str(&text).ok()),
            callback_data: self.callback_data.and_then(JsonText::parse),
            campaign: self.campaign,
            order: self.dispatch_order.and_then(|text| serde_json::from_str(&text).ok()),
        })
    }
}

/// A send's job as its send needs it.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct SendJobRow {
    pub id: JobId,
    pub dispatched_at: Option<i64>,
    pub first_attempt_at: Option<i64>,
    pub log: String,
}

impl SendJobRow {
    /// The job.
    pub fn into_view(self) -> JobView {
        JobView {
            id: self.id,
            dispatched_at: self.dispatched_at.map(timestamp),
            first_attempt_at: self.first_attempt_at.map(timestamp),
            log: attempts(Some(&self.log)),
        }
    }
}

/// How many messages are in a state.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of the question")]
pub struct StateCount {
    pub state: String,
    pub count: i64,
}

impl StateCount {
    /// The state and the count.
    pub fn into_pair(self) -> (String, u64) {
        (self.state, self.count.unsigned_abs())
    }
}

/// Failed messages that have something in common.
#[derive(FromRow)]
#[expect(missing_docs, reason = "the columns of the question")]
pub struct FailuresRow {
    pub code: Option<String>,
    pub campaign: Option<String>,
    pub business: Option<String>,
    pub hour: i64,
    pub count: i64,
}

impl FailuresRow {
    /// The same.
    pub fn into_failures(self) -> Failures {
        let Self { code, campaign, business, hour, count } = self;
        Failures { code, campaign, business, hour, count: count.unsigned_abs() }
    }
}

/// The median and the 95th percentile, which may be one row; nothing when there was nothing to measure.
pub fn lag_of(took: &[i64]) -> Option<Lag> {
    let (median, high) = (took.first()?, took.last()?);
    Some(Lag { p50_ms: *median, p95_ms: *high })
}
