//! A group of deliveries on its way into the store: what is kept of it, where it belongs, and what it queues.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use ulid::Ulid;

use super::arrived;
use super::callback::{self, KeyOf};
use super::conversations::{ConversationKey, Deltas, LockedConversation, Sequences, key_of};
use super::dedupe::Verdict;
use super::journal::{News, Tells};
use super::people::{self, Identity};
use crate::connectly::event::Kind;
use crate::connectly::event::party::Party;
use crate::connectly::text::{bounded, without_nul};
use crate::model::event::{Event, EventType};
use crate::model::id::{ConversationId, CustomerId, EventId, JobId, MessageId};
use crate::model::job::{JobKind, Lane, Lease};
use crate::model::json::JsonText;
use crate::store::arrival::{Arrival, Receipt};
use crate::store::rows::millis;
use crate::store::work::{LeasedJob, Offer};

/// A delivery that is new.
#[derive(Debug)]
pub struct Kept<'a> {
    /// The delivery.
    pub arrival: &'a Arrival,
    /// Whether its key was known with another body: then it makes no jobs.
    pub variant: bool,
    /// How many repeats of it came with it.
    pub repeats: i64,
    /// Its conversation, once locked.
    pub conversation: Option<ConversationId>,
    customer: Option<CustomerId>,
}

/// A job to insert.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Deliver or send.
    pub kind: JobKind,
    /// The account.
    pub account: String,
    /// The route, empty for a send.
    pub route: String,
    /// The event of a delivery.
    pub event: Option<EventId>,
    /// The message of a send.
    pub message: Option<MessageId>,
    /// The conversation.
    pub conversation: Option<ConversationId>,
    /// Its lane.
    pub lane: Option<Lane>,
    /// Its place in the lane.
    pub sequence: i64,
    /// 0 for the job that an event made on arrival, then one more with each replay.
    pub run: i64,
    /// Set when it is parked from the start, with the reason.
    pub parked: Option<String>,
    /// Set when somebody can begin it at once: it is born leased if it heads its lane and nothing holds its route back.
    pub offered: Option<NewLease>,
}

/// The lease that a job may be born with.
#[derive(Debug, Clone, Copy)]
pub struct NewLease {
    /// Its token.
    pub token: Ulid,
    /// How long it lasts.
    pub lasts: Duration,
}

/// The columns of an event's row.
#[derive(Serialize)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct EventColumns<'a> {
    pub id: EventId,
    pub account: &'a str,
    pub event_type: &'static str,
    pub conversation: Option<ConversationId>,
    pub provider_message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub status: Option<&'static str>,
    pub error_code: Option<String>,
    pub business: Option<&'a str>,
    pub callback_data: Option<&'a str>,
    pub campaign: Option<&'a str>,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
}

/// What is new of a group.
pub fn kept<'a>(group: &'a [Arrival], verdicts: &[Verdict]) -> Vec<Kept<'a>> {
    let mut repeats: HashMap<EventId, i64> = HashMap::new();
    for verdict in verdicts {
        if let Verdict::Repeat(first) = verdict {
            *repeats.entry(*first).or_default() += 1;
        }
    }
    let judged = group.iter().zip(verdicts);
    judged
        .filter_map(|(arrival, verdict)| {
            let variant = match verdict {
                Verdict::Fresh => false,
                Verdict::Variant => true,
                Verdict::Repeat(_) => return None,
            };
            let repeats = repeats.get(&arrival.id).copied().unwrap_or(0);
            Some(Kept { arrival, variant, repeats, conversation: None, customer: None })
        })
        .collect()
}

/// What each sender is told: a repeat is answered with the first event's id, a variant with its own.
pub fn receipts(group: &[Arrival], verdicts: &[Verdict]) -> Vec<Receipt> {
    let judged = group.iter().zip(verdicts);
    judged
        .map(|(arrival, verdict)| match verdict {
            Verdict::Fresh => Receipt {
                id: arrival.id,
                duplicate: false,
                jobs: u32::try_from(arrival.routes.len()).unwrap_or(u32::MAX),
            },
            Verdict::Variant => Receipt { id: arrival.id, duplicate: true, jobs: 0 },
            Verdict::Repeat(first) => Receipt { id: *first, duplicate: true, jobs: 0 },
        })
        .collect()
}

/// The customers' sides of those that belong to a conversation, with their accounts.
pub fn parties<'a>(kept: &[Kept<'a>]) -> Vec<(&'a str, &'a Party)> {
    kept.iter().filter_map(|row| party(row.arrival)).collect()
}

/// The identities that a group shows, whatever is kept of it.
pub fn shown(group: &[Arrival]) -> Vec<Identity> {
    people::shown(group.iter().filter_map(party))
}

fn party(arrival: &Arrival) -> Option<(&str, &Party)> {
    arrival.decoded.business.as_ref()?;
    Some((&arrival.account, arrival.decoded.customer.as_ref()?))
}

/// The customers of whom a failed status says that they want no messages. `customers` are those of [`parties`], in that order.
pub fn opting_out(kept: &[Kept<'_>], customers: &[CustomerId]) -> Vec<CustomerId> {
    let opts_out = |row: &Kept<'_>| news_of(row).is_some_and(|news| news.opts_out());
    let rows = kept.iter().filter(|row| party(row.arrival).is_some()).zip(customers);
    rows.filter(|(row, _)| opts_out(row)).map(|(_, customer)| *customer).collect()
}

/// What the group changes in conversations. `customers` are those of [`parties`], in that order.
pub fn deltas(
    kept: &mut [Kept<'_>],
    customers: &[CustomerId],
    new_id: impl Fn() -> ConversationId,
) -> Deltas {
    let mut deltas = Deltas::default();
    let mut customers = customers.iter();
    for row in kept.iter_mut().filter(|row| party(row.arrival).is_some()) {
        let Some(customer) = customers.next() else { break };
        row.customer = Some(*customer);
        let jobs = if row.variant { 0 } else { row.arrival.routes.len() };
        deltas.add(row.arrival, *customer, i64::try_from(jobs).unwrap_or(i64::MAX), &new_id);
    }
    deltas
}

/// Puts each delivery into its locked conversation.
pub fn place(kept: &mut [Kept<'_>], locked: &HashMap<ConversationKey, (LockedConversation, i64)>) {
    for row in kept {
        let key = row.customer.and_then(|customer| key_of(row.arrival, customer));
        row.conversation = key.and_then(|key| locked.get(&key)).map(|(conversation, _)| conversation.id);
    }
}

/// The jobs of a group, numbered in the order of the deliveries.
pub fn jobs(
    kept: &mut [Kept<'_>],
    locked: &[(LockedConversation, i64)],
    new_id: impl Fn() -> JobId,
) -> Vec<NewJob> {
    let mut sequences =
        Sequences::new(locked.iter().map(|(conversation, reserved)| (conversation, *reserved)));
    let mut jobs = Vec::new();
    for row in kept.iter().filter(|row| !row.variant) {
        for matched in &row.arrival.routes {
            let ordered = row.conversation.filter(|_| matched.ordered);
            jobs.push(NewJob {
                id: new_id(),
                kind: JobKind::Deliver,
                account: row.arrival.account.clone(),
                route: matched.route.clone(),
                event: Some(row.arrival.id),
                message: None,
                conversation: row.conversation,
                lane: ordered.map(|conversation| Lane::of_route(&matched.route, conversation)),
                sequence: row.conversation.map_or(0, |conversation| sequences.take(conversation)),
                run: 0,
                parked: matched.failed.as_deref().map(without_nul),
                offered: None,
            });
        }
    }
    jobs
}

/// Offers jobs to whoever commits them, from the front, as far as its slots go.
pub fn offer(jobs: &mut [NewJob], offer: &Offer, new_token: impl Fn() -> Ulid) {
    let mut slots: HashMap<&str, u32> =
        offer.slots.iter().map(|(route, slots)| (route.as_str(), *slots)).collect();
    for job in jobs.iter_mut().filter(|job| job.parked.is_none()) {
        let Some(free) = slots.get_mut(job.route.as_str()).filter(|free| **free > 0) else { continue };
        *free -= 1;
        job.offered = Some(NewLease { token: new_token(), lasts: offer.lease });
    }
}

/// The jobs that were born leased: of those offered, the ones that the store names, with the time of their first attempt.
pub fn leased(kept: &[Kept<'_>], jobs: Vec<NewJob>, born: &HashMap<JobId, i64>) -> Vec<LeasedJob> {
    let kept: HashMap<EventId, &Kept<'_>> = kept.iter().map(|row| (row.arrival.id, row)).collect();
    // Several routes may have jobs of one event.
    let mut arrived: HashMap<EventId, Arc<Event>> = HashMap::new();
    let leased = jobs.into_iter().filter_map(|job| {
        let (event, token) = (job.event?, job.offered?.token);
        let first_attempt_at = *born.get(&job.id)?;
        let row = kept.get(&event)?;
        let known =
            arrived.entry(event).or_insert_with(|| Arc::new(arrived::arrived(row.arrival, row.repeats)));
        Some(LeasedJob {
            lease: Lease { job: job.id, token },
            event,
            conversation: job.conversation,
            attempts: 1,
            first_attempt_at,
            ordered: job.lane.is_some(),
            route: job.route,
            arrived: Some(Arc::clone(known)),
        })
    });
    leased.collect()
}

/// The columns of an event's row; what would not fit an index is hashed.
pub fn event_columns<'a>(row: &Kept<'a>) -> EventColumns<'a> {
    let arrival = row.arrival;
    let decoded = &arrival.decoded;
    let error_code = match &decoded.kind {
        Kind::Status(update) => update.error.as_ref().and_then(|error| error.code.as_deref()).map(bounded),
        Kind::Received(_) | Kind::Echo(_) | Kind::Report(_) | Kind::Unknown => None,
    };
    let event_type = EventType::of(&decoded.kind);
    EventColumns {
        id: arrival.id,
        account: &arrival.account,
        event_type: event_type.as_str(),
        conversation: row.conversation,
        provider_message_id: decoded.provider_message_id.as_ref().map(ToString::to_string),
        in_reply_to: decoded.in_reply_to.as_ref().map(ToString::to_string),
        status: event_type.status().map(crate::connectly::event::status::Status::as_str),
        error_code,
        business: row.conversation.and(decoded.business.as_ref()).map(|business| business.id.as_str()),
        callback_data: decoded.callback_data.as_deref(),
        campaign: decoded.campaign.as_deref(),
        occurred_at: decoded.occurred_at.map(millis),
        received_at: millis(arrival.received_at),
    }
}

/// What people find a group's events by in their callback data.
pub fn callback_keys(kept: &[Kept<'_>]) -> Vec<KeyOf> {
    callback::keys(kept.iter().map(|row| (row.arrival.id, row.arrival.decoded.callback_data.as_deref())))
}

/// What a group tells of messages: its statuses and echoes that name one.
pub fn news(kept: &[Kept<'_>]) -> Vec<News> {
    kept.iter().filter_map(news_of).collect()
}

fn news_of(row: &Kept<'_>) -> Option<News> {
    let decoded = &row.arrival.decoded;
    let tells = match &decoded.kind {
        Kind::Status(update) => Tells::Status(update.status, update.error.clone()),
        Kind::Echo(content) => Tells::Echo(echoed_message(content)),
        Kind::Received(_) | Kind::Report(_) | Kind::Unknown => return None,
    };
    Some(News {
        account: row.arrival.account.clone(),
        conversation: row.conversation,
        at: decoded.occurred_at.unwrap_or(row.arrival.received_at),
        provider_message_id: decoded.provider_message_id.as_ref()?.to_string(),
        mark: decoded.mark.map(MessageId::new),
        callback_data: decoded.callback_data.clone().and_then(JsonText::parse),
        campaign: decoded.campaign.clone(),
        tells,
    })
}

/// An echo's content as Connectly's `message` object.
fn echoed_message(content: &crate::connectly::event::content::Content) -> Value {
    let parts = [
        ("text", content.text.clone().map(Value::from)),
        ("attachments", content.attachments.clone()),
        ("location", content.location.as_ref().and_then(|location| serde_json::to_value(location).ok())),
    ];
    parts.into_iter().filter_map(|(key, value)| value.map(|value| (key.to_owned(), value))).collect()
}
