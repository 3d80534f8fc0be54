//! Putting a claimed delivery together from what was read beside it.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::model::context::Context;
use crate::model::conversation::Conversation;
use crate::model::id::{ConversationId, EventId, MessageId};
use crate::model::job::Lease;
use crate::model::message::Message;
use crate::store::rows::{EventRow, timestamp};
use crate::store::work::Delivery;

/// A job that was just leased.
#[derive(Debug, Clone)]
pub struct ClaimedRow {
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
    /// When the first one began.
    pub first_attempt_at: i64,
}

/// What was read for a group of claimed jobs.
#[derive(Debug)]
pub struct Surroundings {
    /// The events.
    pub events: Vec<EventRow>,
    /// The conversations, with the first inbound of each.
    pub conversations: HashMap<ConversationId, (Conversation, Option<EventId>)>,
    /// What routes keep for conversations.
    pub states: HashMap<(String, ConversationId), Value>,
    /// The messages that events refer to.
    pub messages: HashMap<MessageId, Message>,
    /// The latest message of each conversation.
    pub latest: HashMap<ConversationId, Message>,
}

/// Puts deliveries together, in the order they were claimed. A job whose event retention has dropped is left out: its
/// lease ends, and it is parked like any that kills its worker.
pub fn assemble(claimed: Vec<ClaimedRow>, surroundings: Surroundings, now: Timestamp) -> Vec<Delivery> {
    let Surroundings { events, conversations, states, messages, latest } = surroundings;
    // Two routes may deliver one event.
    let mut known = HashMap::with_capacity(events.len());
    for row in events {
        let referred = row.message_id.or(row.replied_message_id);
        known.insert(row.id, (row.into_event(), referred));
    }
    let deliver = |row: ClaimedRow| {
        let (event, referred) = known.get(&row.event)?;
        let conversation = row.conversation.and_then(|id| conversations.get(&id));
        let state = row.conversation.and_then(|id| states.get(&(row.route.clone(), id)).cloned());
        let context = Context {
            job: row.lease.job,
            attempt: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            first_contact: conversation.is_some_and(|(_, first)| *first == Some(row.event)),
            conversation: conversation.map(|(conversation, _)| conversation.clone()),
            message: referred.and_then(|id| messages.get(&id).cloned()),
            latest_message: row.conversation.and_then(|id| latest.get(&id).cloned()),
            route: row.route,
            state,
            now,
        };
        let first_attempt_at = timestamp(row.first_attempt_at);
        Some(Delivery { lease: row.lease, event: event.clone(), context, first_attempt_at })
    };
    claimed.into_iter().filter_map(deliver).collect()
}
