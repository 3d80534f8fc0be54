//! Putting a leased delivery together from what was read beside it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use ulid::Ulid;

use super::arrived::{self, Sent};
use crate::model::context::Context;
use crate::model::conversation::Conversation;
use crate::model::event::Event;
use crate::model::id::{ConversationId, EventId, MessageId};
use crate::model::job::Attempt;
use crate::model::message::Message;
use crate::store::rows::{ConversingRow, EventRow, timestamp};
use crate::store::work::{Delivery, LeasedJob, Settled, Settlement};

/// A conversation as a delivery needs it.
pub struct Conversing {
    /// The conversation.
    pub conversation: Conversation,
    /// Its first inbound.
    pub first_inbound: Option<EventId>,
    /// The latest message we sent in it.
    pub latest_message: Option<MessageId>,
    /// When somebody of the business last wrote from elsewhere, if it was not handed back to rules since.
    pub person_answered_at: Option<Timestamp>,
    /// Whether another conversation has taken its place, since two customers turned out to be one.
    pub is_merged: bool,
}

/// How far back it is looked for what somebody of the business wrote from elsewhere.
const ANSWERS_KEPT: Duration = Duration::from_hours(24);

/// How near to a send of ours an echo without its id may be that send's: Connectly posts it within seconds.
pub const DOUBT: Duration = Duration::from_mins(2);

/// The smallest id of what was written within the time that is looked at.
pub fn answers_since(now: Timestamp) -> Ulid {
    let since = now.saturating_sub(ANSWERS_KEPT).unwrap_or(Timestamp::MIN);
    Ulid::from_parts(u64::try_from(since.as_millisecond()).unwrap_or(0), 0)
}

/// What was read for a group of leased jobs.
pub struct Surroundings {
    /// The events.
    pub events: Events,
    /// The conversations, with what their routes keep for them.
    pub conversing: ConversingOf,
    /// The messages that events refer to, and the latest of each conversation.
    pub messages: HashMap<MessageId, Message>,
}

/// The conversations of a group of jobs.
#[derive(Default)]
pub struct ConversingOf {
    conversations: HashMap<ConversationId, Conversing>,
    /// What routes keep for conversations, as JSON.
    states: HashMap<(String, ConversationId), String>,
}

impl ConversingOf {
    /// From one row for each conversation and route.
    pub fn of(rows: Vec<ConversingRow>) -> Self {
        let mut of = Self::default();
        for mut row in rows {
            let id = row.conversation.id;
            if let Some(state) = row.state.take() {
                of.states.insert((std::mem::take(&mut row.route), id), state);
            }
            of.conversations.insert(id, row.into_conversing());
        }
        of
    }

    fn has_lost(&self, job: &LeasedJob) -> bool {
        let is_there = |id| self.conversations.get(&id).is_some_and(|known| !known.is_merged);
        job.conversation.is_some_and(|id| !is_there(id))
    }

    fn conversation(&self, id: ConversationId) -> Option<&Conversation> {
        self.conversations.get(&id).map(|known| &known.conversation)
    }
}

/// The conversations and routes to ask about, each pair once.
pub fn lanes(leased: &[LeasedJob]) -> BTreeSet<(ConversationId, &str)> {
    leased.iter().filter_map(|job| Some((job.conversation?, job.route.as_str()))).collect()
}

/// The events that have to be read: those that this process has not just committed, and those whose conversation was merged or
/// went since.
pub fn unread(leased: &[LeasedJob], conversing: &ConversingOf) -> Vec<EventId> {
    let unread =
        leased.iter().filter(|job| job.arrived.is_none() || conversing.has_lost(job)).map(|job| job.event);
    unread.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Events, each with the message that it refers to: the one that a status is about, or that an inbound answers.
#[derive(Default)]
pub struct Events(HashMap<EventId, (Event, Option<MessageId>)>);

impl Events {
    /// Those that were read, and those that were just committed.
    pub fn of(read: Vec<EventRow>, leased: &[LeasedJob], conversing: &ConversingOf, sent: &Sent) -> Self {
        // Two routes may deliver one event.
        let mut events = HashMap::with_capacity(leased.len());
        for row in read {
            let refers_to = row.refers_to();
            events.insert(row.id, (row.into_event(), refers_to));
        }
        for job in leased {
            let Some(arrived) = job.arrived.as_ref().filter(|_| !conversing.has_lost(job)) else { continue };
            let conversation = job.conversation.and_then(|id| conversing.conversation(id));
            events.entry(job.event).or_insert_with(|| arrived::stored(arrived, conversation, sent));
        }
        Self(events)
    }
}

/// The messages to read: those that the events refer to, and the latest of each conversation.
pub fn concerned(events: &Events, of: &ConversingOf) -> Vec<MessageId> {
    let referred = events.0.values().filter_map(|(_, refers_to)| *refers_to);
    let latest = of.conversations.values().filter_map(|known| known.latest_message);
    referred.chain(latest).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Puts deliveries together, in the order they were leased. Beside them the settlements of those that cannot be delivered,
/// since retention has dropped their event or their state cannot be read: they are parked, and harm nobody else.
pub fn assemble(
    leased: Vec<LeasedJob>,
    surroundings: Surroundings,
    now: Timestamp,
) -> (Vec<Delivery>, Vec<Settlement>) {
    let Surroundings { events: Events(known), conversing, messages } = surroundings;
    let ConversingOf { conversations, states } = conversing;
    let (mut deliveries, mut orphans) = (Vec::with_capacity(leased.len()), Vec::new());
    for row in leased {
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
            first_contact: conversation.is_some_and(|known| known.first_inbound == Some(row.event)),
            conversation: conversation.map(|known| known.conversation.clone()),
            person_answered_at: conversation.and_then(|known| known.person_answered_at),
            message: referred.and_then(|id| messages.get(&id).cloned()),
            latest_message: conversation.and_then(|known| messages.get(&known.latest_message?).cloned()),
            route: row.route,
            state,
            now,
        };
        let first_attempt_at = timestamp(row.first_attempt_at);
        deliveries.push(Delivery { lease: row.lease, event: event.clone(), context, first_attempt_at });
    }
    (deliveries, orphans)
}

fn park(row: &LeasedJob, why: &str, now: Timestamp) -> Settlement {
    let attempt = Attempt {
        number: row.attempts,
        at: now,
        duration_ms: 0,
        outcome: "parked".to_owned(),
        detail: Some(why.to_owned()),
    };
    Settlement { lease: row.lease, attempt, resolution: Settled::Park }
}
