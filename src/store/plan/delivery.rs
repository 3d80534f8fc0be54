//! Putting a claimed delivery together from what was read beside it.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::model::context::Context;
use crate::model::conversation::Conversation;
use crate::model::id::{ConversationId, EventId, MessageId};
use crate::model::job::{Attempt, Lease};
use crate::model::message::Message;
use crate::store::rows::{EventRow, timestamp};
use crate::store::work::{Delivery, Settled, Settlement};

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
    /// Whether it runs in a lane: only then is there a state.
    pub ordered: bool,
}

/// What was read for a group of claimed jobs.
pub struct Surroundings {
    /// The events.
    pub events: Vec<EventRow>,
    /// The conversations, with the first inbound of each.
    pub conversations: HashMap<ConversationId, (Conversation, Option<EventId>)>,
    /// What routes keep for conversations, as JSON.
    pub states: HashMap<(String, ConversationId), String>,
    /// The messages that events refer to.
    pub messages: HashMap<MessageId, Message>,
    /// The latest message of each conversation.
    pub latest: HashMap<ConversationId, Message>,
}

/// Puts deliveries together, in the order they were claimed. Beside them the settlements of those that cannot be delivered,
/// since retention has dropped their event or their state cannot be read: they are parked, and harm nobody else.
pub fn assemble(
    claimed: Vec<ClaimedRow>,
    surroundings: Surroundings,
    now: Timestamp,
) -> (Vec<Delivery>, Vec<Settlement>) {
    let Surroundings { events, conversations, states, messages, latest } = surroundings;
    // Two routes may deliver one event.
    let mut known = HashMap::with_capacity(events.len());
    for row in events {
        let referred = row.message_id.or(row.replied_message_id);
        known.insert(row.id, (row.into_event(), referred));
    }
    let (mut deliveries, mut orphans) = (Vec::with_capacity(claimed.len()), Vec::new());
    for row in claimed {
        let Some((event, referred)) = known.get(&row.event) else {
            orphans.push(park(&row, "its event is gone", now));
            continue;
        };
        let conversation = row.conversation.and_then(|id| conversations.get(&id));
        let place = row.conversation.filter(|_| row.ordered).map(|id| (row.route.clone(), id));
        let state = place.and_then(|place| states.get(&place)).map(|state| serde_json::from_str(state));
        let Ok(state) = state.transpose() else {
            orphans.push(park(&row, "its conversation's state cannot be read", now));
            continue;
        };
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
        deliveries.push(Delivery { lease: row.lease, event: event.clone(), context, first_attempt_at });
    }
    (deliveries, orphans)
}

fn park(row: &ClaimedRow, why: &str, now: Timestamp) -> Settlement {
    let attempt = Attempt {
        number: row.attempts,
        at: now,
        duration_ms: 0,
        outcome: "parked".to_owned(),
        detail: Some(why.to_owned()),
    };
    Settlement { lease: row.lease, attempt, resolution: Settled::Park }
}
