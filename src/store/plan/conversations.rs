//! What a group changes in conversations, folded to one row per conversation so that one upsert takes it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::connectly::event::Kind;
use crate::model::conversation::{Window, inbound_at};
use crate::model::id::{ConversationId, CustomerId, EventId};
use crate::store::arrival::Arrival;

/// What makes a conversation: one customer and one business number of an account.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationKey {
    /// The account.
    pub account: String,
    /// The business number.
    pub business: String,
    /// The customer.
    pub customer: CustomerId,
}

impl std::fmt::Debug for ConversationKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ConversationKey({})", self.customer)
    }
}

/// What to add to a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationDelta {
    /// Which.
    pub key: ConversationKey,
    /// Its id, should it be new.
    pub candidate: ConversationId,
    /// The business number's name, when an event told it.
    pub business_name: Option<String>,
    /// The sequence numbers that are needed.
    pub sequences: i64,
    /// The latest inbound of the group.
    pub inbound_at: Option<Timestamp>,
    /// The first inbound of the group.
    pub first_inbound: Option<EventId>,
    /// When the group was received.
    pub event_at: Timestamp,
}

/// A conversation as the upsert left and locked it.
#[derive(Debug, Clone)]
pub struct LockedConversation {
    /// Which.
    pub key: ConversationKey,
    /// Its id.
    pub id: ConversationId,
    /// The last sequence number, the group's included.
    pub last_sequence: i64,
    /// What the window is derived from, the group included.
    pub window: Window,
}

/// Deltas of a group, sorted by key: two transactions then lock in the same order.
#[derive(Debug, Default)]
pub struct Deltas {
    rows: BTreeMap<ConversationKey, ConversationDelta>,
}

impl Deltas {
    /// Adds a delivery. `sequences` is how many jobs it makes; a variant makes none but counts for the window.
    pub fn add(
        &mut self,
        arrival: &Arrival,
        customer: CustomerId,
        sequences: i64,
        new_id: impl FnOnce() -> ConversationId,
    ) {
        let Some(key) = key_of(arrival, customer) else {
            return;
        };
        let received = matches!(arrival.decoded.kind, Kind::Received(_));
        let inbound = received.then(|| inbound_at(arrival.decoded.occurred_at, arrival.received_at));
        let name = arrival.decoded.business.as_ref().and_then(|business| business.name.clone());
        let row = self.rows.entry(key.clone()).or_insert_with(|| ConversationDelta {
            key,
            candidate: new_id(),
            business_name: None,
            sequences: 0,
            inbound_at: None,
            first_inbound: None,
            event_at: arrival.received_at,
        });
        row.sequences += sequences;
        row.business_name = name.or_else(|| row.business_name.take());
        row.inbound_at = row.inbound_at.max(inbound);
        row.first_inbound = row.first_inbound.or(received.then_some(arrival.id));
        row.event_at = row.event_at.max(arrival.received_at);
    }

    /// The rows to upsert, sorted.
    pub fn rows(&self) -> impl Iterator<Item = &ConversationDelta> {
        self.rows.values()
    }

    /// Whether there is nothing to upsert.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The conversation a delivery belongs to.
pub fn key_of(arrival: &Arrival, customer: CustomerId) -> Option<ConversationKey> {
    let business = arrival.decoded.business.as_ref()?.id.clone();
    Some(ConversationKey { account: arrival.account.clone(), business, customer })
}

/// Hands out the sequence numbers that an upsert reserved, in the order they are asked for.
#[derive(Debug)]
pub struct Sequences {
    next: BTreeMap<ConversationId, i64>,
}

impl Sequences {
    /// Starts below what each conversation's upsert reserved.
    pub fn new<'a>(locked: impl Iterator<Item = (&'a LockedConversation, i64)>) -> Self {
        Self { next: locked.map(|(row, reserved)| (row.id, row.last_sequence - reserved)).collect() }
    }

    /// The next number.
    pub fn take(&mut self, conversation: ConversationId) -> i64 {
        let next = self.next.entry(conversation).or_default();
        *next += 1;
        *next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ulid::Ulid;

    fn inbound(id: u128, second: i64, text: &str) -> Arrival {
        let body = format!(
            r#"{{"timestamp":"{}","sender":{{"id":"+15550100001"}},"recipient":{{"id":"+15550100002"}},"message":{{"text":"{text}"}}}}"#,
            1_767_225_600 + second
        );
        let received = Timestamp::from_second(1_767_225_700).unwrap();
        Arrival::read(EventId::new(Ulid(id)), "default".into(), received, Bytes::from(body))
    }

    #[test]
    fn a_group_is_one_row_per_conversation() {
        let customer = CustomerId::new(Ulid(1));
        let mut deltas = Deltas::default();
        deltas.add(&inbound(1, 50, "late"), customer, 2, || ConversationId::new(Ulid(7)));
        deltas.add(&inbound(2, 10, "early"), customer, 1, || ConversationId::new(Ulid(8)));
        let rows: Vec<_> = deltas.rows().collect();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].sequences, rows[0].candidate), (3, ConversationId::new(Ulid(7))));
        assert_eq!(rows[0].inbound_at, Some(Timestamp::from_second(1_767_225_650).unwrap()));
        assert_eq!(rows[0].first_inbound, Some(EventId::new(Ulid(1))));
    }

    #[test]
    fn sequences_continue_where_the_conversation_was() {
        let key =
            ConversationKey { account: "a".into(), business: "b".into(), customer: CustomerId::new(Ulid(1)) };
        let id = ConversationId::new(Ulid(9));
        let locked = LockedConversation { key, id, last_sequence: 12, window: Window::default() };
        let mut sequences = Sequences::new([(&locked, 3)].into_iter());
        assert_eq!([sequences.take(id), sequences.take(id), sequences.take(id)], [10, 11, 12]);
    }
}
