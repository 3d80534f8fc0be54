//! Events that this process has just committed: what is stored of them is known without being read.
//!
//! [`arrived`] makes one while the commit knows it, [`stored`] completes it when a job of it begins, with what was read of its
//! neighbours meanwhile. Both together give what [`EventRow`](crate::store::rows::EventRow) gives of the stored row.

use std::collections::HashMap;

use crate::model::conversation::Conversation;
use crate::model::event::{BusinessNumber, Customer, Event};
use crate::model::id::MessageId;
use crate::store::arrival::Arrival;
use crate::store::rows::{millis, timestamp};
use crate::store::work::LeasedJob;

/// An event as its commit knows it: `repeats` of its delivery came in the same group.
pub fn arrived(arrival: &Arrival, repeats: i64) -> Event {
    let event = Event::arriving(arrival.id, &arrival.account, arrival.received_at, &arrival.decoded);
    Event {
        occurred_at: event.occurred_at.map(millis).map(timestamp),
        received_at: timestamp(millis(event.received_at)),
        duplicates: repeats,
        ..event
    }
}

/// Our messages by their accounts and their ids at Connectly.
#[derive(Debug, Default)]
pub struct Sent(HashMap<(String, String), MessageId>);

impl FromIterator<(String, String, MessageId)> for Sent {
    fn from_iter<Rows: IntoIterator<Item = (String, String, MessageId)>>(rows: Rows) -> Self {
        Self(rows.into_iter().map(|(account, id, message)| ((account, id), message)).collect())
    }
}

/// The accounts and ids at Connectly of the messages that events name, which were just committed.
pub fn named(leased: &[LeasedJob]) -> Vec<(&str, &str)> {
    let events = leased.iter().filter_map(|job| job.arrived.as_deref());
    let names = events.flat_map(|event| {
        let ids = about(event).into_iter().chain(event.in_reply_to.as_deref());
        ids.map(|id| (event.account.as_str(), id))
    });
    names.collect()
}

/// The id at Connectly of the message that an event is about.
fn about(event: &Event) -> Option<&str> {
    event.provider_message_id.as_deref().filter(|_| event.event_type().is_about_ours())
}

/// The event as it is stored, and our message that it refers to: the one that it is about, or that it answers.
pub fn stored(
    arrived: &Event,
    conversation: Option<&Conversation>,
    sent: &Sent,
) -> (Event, Option<MessageId>) {
    let message = |id: &str| sent.0.get(&(arrived.account.clone(), id.to_owned())).copied();
    let message_id = about(arrived).and_then(message);
    let refers_to = message_id.or_else(|| message(arrived.in_reply_to.as_deref()?));
    let event = Event {
        message_id,
        conversation_id: conversation.map(|known| known.id),
        business: conversation.map(|known| named_business(arrived, &known.business)),
        customer: conversation.map(|known| named_customer(arrived, &known.customer)),
        ..arrived.clone()
    };
    (event, refers_to)
}

/// The names that an event shows go before what is stored.
fn named_business(arrived: &Event, stored: &BusinessNumber) -> BusinessNumber {
    let shown = arrived.business.as_ref().and_then(|business| business.name.clone());
    BusinessNumber { name: shown.or_else(|| stored.name.clone()), ..stored.clone() }
}

fn named_customer(arrived: &Event, stored: &Customer) -> Customer {
    let shown = arrived.customer.as_ref().and_then(|customer| customer.name.clone());
    Customer { name: shown.or_else(|| stored.name.clone()), ..stored.clone() }
}
