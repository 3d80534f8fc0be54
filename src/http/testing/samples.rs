//! Things to show.

use jiff::Timestamp;
use serde_json::json;
use ulid::Ulid;

use crate::connectly::event::decode;
use crate::model::conversation::{Conversation, Window};
use crate::model::customer::CustomerProfile;
use crate::model::event::{BusinessNumber, Customer, Event};
use crate::model::id::{ConversationId, CustomerId, EventId, JobId, MessageId};
use crate::model::job::{Attempt, Job, JobKind, JobState};
use crate::model::json::JsonText;
use crate::model::message::{Message, Origin, SendKind};
use crate::model::state::HandlerState;
use crate::store::query::JobCount;

/// 2026-01-01T00:00:00Z in milliseconds.
const START: u64 = 1_767_225_600_000;

fn ulid(number: u64) -> Ulid {
    Ulid::from_parts(START + number, u128::from(number))
}

fn at(number: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(START + number).unwrap()).unwrap()
}

/// The id of [`event`]s.
pub(in crate::http) fn event_id(number: u64) -> EventId {
    EventId::new(ulid(number))
}

/// An inbound text.
pub(in crate::http) fn event(number: u64) -> Event {
    event_with_id(event_id(number))
}

/// An inbound text with an id of the test's own.
pub(in crate::http) fn event_with_id(id: EventId) -> Event {
    let body = json!({
        "timestamp": "1767225600",
        "sender": { "id": "+15550100001" },
        "recipient": { "id": "+15550100002" },
        "message": { "id": "01K00000000000000000000001", "text": "hi" },
        "callbackData": { "order_id": "12345" },
    });
    Event::arriving(id, "default", at(0), &decode(body.to_string().as_bytes()))
}

/// The id of [`message`]s.
pub(in crate::http) fn message_id(number: u64) -> MessageId {
    MessageId::new(ulid(number))
}

/// A reply.
pub(in crate::http) fn message(number: u64) -> Message {
    Message {
        id: message_id(number),
        provider_message_id: None,
        account: "default".to_owned(),
        conversation_id: None,
        origin: Origin::Reply,
        kind: SendKind::Session,
        from: Some("+15550100002".to_owned()),
        to: Some("+15550100001".to_owned()),
        state: "unconfirmed".to_owned(),
        content: Some(json!({ "text": "hello" })),
        fallback: None,
        callback_data: Some(JsonText::of(&json!({ "order_id": "12345" }))),
        campaign: None,
        error: None,
        created_at: at(number),
        updated_at: at(number),
    }
}

/// The id of [`conversation`]s.
pub(in crate::http) fn conversation_id(number: u64) -> ConversationId {
    ConversationId::new(ulid(number))
}

/// A conversation whose customer wrote when 2026 began.
pub(in crate::http) fn conversation(number: u64) -> Conversation {
    Conversation {
        id: conversation_id(number),
        account: "default".to_owned(),
        business: BusinessNumber { id: "+15550100002".to_owned(), name: Some("Shop".to_owned()) },
        customer: Customer {
            id: Some(customer_id(number)),
            phone: Some("+15550100001".to_owned()),
            user_id: None,
            name: Some("Ana".to_owned()),
        },
        window: Window { last_inbound_at: Some(at(0)), closed_at: None },
        opted_out_at: None,
        muted_until: None,
        opted_out_by: None,
    }
}

/// The id of [`customer`]s.
pub(in crate::http) fn customer_id(number: u64) -> CustomerId {
    CustomerId::new(ulid(number))
}

/// Ana, as an account knows her.
pub(in crate::http) fn customer(number: u64, account: &str) -> CustomerProfile {
    CustomerProfile {
        id: customer_id(number),
        account: account.to_owned(),
        phone: Some("+15550100001".to_owned()),
        user_id: None,
        name: Some("Ana".to_owned()),
        opted_out_at: None,
        opted_out_by: None,
        created_at: at(number),
    }
}

/// The id of [`job`]s.
pub(in crate::http) fn job_id(number: u64) -> JobId {
    JobId::new(ulid(number))
}

/// A parked delivery.
pub(in crate::http) fn job(number: u64) -> Job {
    let attempt = Attempt {
        number: 1,
        at: at(number),
        duration_ms: 20,
        outcome: "parked".to_owned(),
        detail: Some("HTTP 400".to_owned()),
    };
    Job {
        id: job_id(number),
        kind: JobKind::Deliver,
        route: Some("greeter".to_owned()),
        event_id: Some(event_id(number)),
        message_id: None,
        state: JobState::Parked,
        attempts: 1,
        due_at: None,
        last_error: Some("HTTP 400".to_owned()),
        log: Some(vec![attempt]),
    }
}

/// How many deliveries of a route stand where.
pub(in crate::http) fn count(route: &str, state: JobState, count: i64) -> JobCount {
    JobCount { kind: JobKind::Deliver, route: route.to_owned(), state, count }
}

/// What a route keeps for a conversation.
pub(in crate::http) fn state(conversation: u64, route: &str) -> HandlerState {
    HandlerState {
        route: route.to_owned(),
        conversation_id: conversation_id(conversation),
        state: JsonText::of(&json!({ "step": 2 })),
        updated_at: at(1),
    }
}
