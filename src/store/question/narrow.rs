//! Filters and pages as conditions of a query, the same in both databases: their tables have the same columns.
//!
//! Lists are read in two steps: the ids of a page from one table and one of its indexes, which all end with the id, then the
//! rows of the view. So a page costs the same however much is stored.

use jiff::{SignedDuration, Timestamp};
use sqlx::{Database, QueryBuilder};

use super::{Dialect, Parameter};
use crate::model::callback::CallbackKey;
use crate::model::event::EventType;
use crate::model::id::{ConversationId, CustomerId, EventId, Id, JobId, MessageId};
use crate::model::job::{JobKind, JobState};
use crate::store::query::{EventFilter, JobFilter, MessageFilter, PageRequest};
use crate::store::rows::millis;

/// How much earlier or later than an event's id its time of receipt may be: both are read one after the other.
const RECEIPT_SKEW: SignedDuration = SignedDuration::from_mins(1);
/// How much later than its id a message may say that it was made: an observed one has the time of its event, by a clock that
/// is not ours.
const CREATION_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Narrows a query over `events e`.
pub fn events<Db: Dialect>(query: &mut QueryBuilder<Db>, filter: &EventFilter)
where
    String: Parameter<Db>,
    Vec<u8>: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
    EventId: Parameter<Db>,
{
    let EventFilter {
        account,
        event_type,
        conversation,
        customer,
        business,
        provider_message_id,
        status,
        error_code,
        campaign,
        callback_data,
        since,
        until,
    } = filter;
    let mut found = false;
    if let Some(id) = provider_message_id {
        query.push(" AND e.provider_message_id = ").push_bind(id.clone());
        found = true;
    }
    if let Some(customer) = customer {
        query.push(" AND e.conversation_id IN (SELECT c.id FROM conversations c WHERE c.customer_id IN (");
        customers(query, customer);
        query.push("))");
        found = true;
    }
    if let Some(conversation) = conversation {
        // Events stay where they were stored when their conversation is merged into another.
        query.push(" AND e.conversation_id IN (SELECT c.id FROM conversations c WHERE c.id = ");
        query.push_bind(*conversation).push(" OR c.merged_into = ").push_bind(*conversation).push(")");
        found = true;
    }
    found |= callback_keys(query, "e.id", callback_data);
    // From the rarest value to the commonest: the first one that is asked for leads.
    for (column, value) in [
        ("e.error_code", error_code.as_deref()),
        ("e.campaign", campaign.as_deref()),
        ("e.type", event_type.map(EventType::as_str)),
        // Each status has its type, and that is indexed.
        ("e.type", status.map(|status| EventType::of_status(status).as_str())),
        ("e.business", business.as_deref()),
        ("e.account", account.as_deref()),
    ] {
        found |= equals(query, column, value, found);
    }
    if let Some(since) = since {
        query.push(" AND e.received_at >= ").push_bind(millis(*since));
        query.push(" AND e.id >= ").push_bind(EventId::first_at(earlier(*since, RECEIPT_SKEW)));
    }
    if let Some(until) = until {
        query.push(" AND e.received_at < ").push_bind(millis(*until));
        query.push(" AND e.id < ").push_bind(EventId::first_at(earlier(*until, -RECEIPT_SKEW)));
    }
}

/// Narrows a query over `messages m`.
pub fn messages<Db: Dialect>(query: &mut QueryBuilder<Db>, filter: &MessageFilter)
where
    String: Parameter<Db>,
    Vec<u8>: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
    MessageId: Parameter<Db>,
{
    let MessageFilter {
        account,
        conversation,
        customer,
        business,
        provider_message_id,
        state,
        origin,
        error_code,
        campaign,
        callback_data,
        since,
        until,
    } = filter;
    let mut found = false;
    if let Some(id) = provider_message_id {
        query.push(" AND m.id IN (SELECT s.message_id FROM sends s WHERE s.provider_message_id = ");
        query.push_bind(id.clone()).push(")");
        found = true;
    }
    if let Some(customer) = customer {
        query.push(" AND m.conversation_id IN (SELECT c.id FROM conversations c WHERE c.customer_id IN (");
        customers(query, customer);
        query.push("))");
        found = true;
    }
    if let Some(conversation) = conversation {
        query.push(" AND m.conversation_id = ").push_bind(*conversation);
        found = true;
    }
    found |= callback_keys(query, "m.id", callback_data);
    found |= equals(query, "m.error_code", error_code.as_deref(), found);
    if let Some(state) = state {
        query.push(" AND m.state = ").push_bind(state.clone());
        if !ON_THEIR_WAY.contains(&state.as_str()) {
            // To the letter what the index of the few says.
            query.push(" AND (m.own_state <> 'accepted' OR m.error IS NOT NULL)");
        }
    }
    for (column, value) in [
        ("m.campaign", campaign.as_deref()),
        ("m.origin", origin.as_deref()),
        ("m.business", business.as_deref()),
        ("m.account", account.as_deref()),
    ] {
        found |= equals(query, column, value, found);
    }
    if let Some(since) = since {
        query.push(" AND m.created_at >= ").push_bind(millis(*since));
        query.push(" AND m.id >= ").push_bind(MessageId::first_at(earlier(*since, CREATION_SKEW)));
    }
    if let Some(until) = until {
        query.push(" AND m.created_at < ").push_bind(millis(*until));
    }
}

/// The states of messages with which nothing is wrong. All others have an index.
const ON_THEIR_WAY: [&str; 4] = ["accepted", "sent", "delivered", "read"];

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(at)
}

/// Narrows a query over jobs. Their ids tell when they were made.
pub fn jobs<Db: Dialect>(query: &mut QueryBuilder<Db>, filter: &JobFilter)
where
    String: Parameter<Db>,
    JobId: Parameter<Db>,
{
    let JobFilter { state, kind, route, since, until } = filter;
    equals(query, "state", state.map(JobState::as_str), false);
    equals(query, "kind", kind.map(JobKind::as_str), false);
    equals(query, "route", route.as_deref(), false);
    if let Some(since) = since {
        query.push(" AND id >= ").push_bind(JobId::first_at(*since));
    }
    if let Some(until) = until {
        query.push(" AND id < ").push_bind(JobId::first_at(*until));
    }
}

/// Takes one page, newest first, and one row more, which tells whether older ones follow.
pub fn page<Db: Database, Of>(query: &mut QueryBuilder<Db>, page: PageRequest<Id<Of>>)
where
    i64: Parameter<Db>,
    Id<Of>: Parameter<Db>,
{
    if let Some(before) = page.before {
        query.push(" AND id < ").push_bind(before);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(page.limit) + 1);
}

/// Whether it is asked for. `found`: whether an index has been chosen already.
pub(super) fn equals<Db: Dialect>(
    query: &mut QueryBuilder<Db>,
    column: &'static str,
    value: Option<&str>,
    found: bool,
) -> bool
where
    String: Parameter<Db>,
{
    if let Some(value) = value {
        query.push(" AND ").push(if found { Db::UNINDEXED } else { "" }).push(column);
        query.push(" = ").push_bind(value.to_owned());
    }
    value.is_some()
}

/// Whether any is asked for.
fn callback_keys<Db: Database>(query: &mut QueryBuilder<Db>, id: &'static str, keys: &[CallbackKey]) -> bool
where
    Vec<u8>: Parameter<Db>,
{
    for key in keys {
        query.push(" AND ").push(id).push(" IN (SELECT k.id FROM callback_keys k WHERE k.key = ");
        query.push_bind(key.as_bytes().to_vec()).push(")");
    }
    !keys.is_empty()
}

/// The customers a text names: by phone, by user id, or by our id, also one that was merged into another since.
pub(super) fn customers<Db: Database>(query: &mut QueryBuilder<Db>, named: &str)
where
    String: Parameter<Db>,
    CustomerId: Parameter<Db>,
{
    let id = CustomerId::parse(named);
    let value = id.map_or_else(|| named.to_owned(), |id| id.to_string());
    query.push("SELECT i.customer_id FROM identities i WHERE i.value = ").push_bind(value);
    if let Some(id) = id {
        query.push(" UNION SELECT p.id FROM customers p WHERE p.id = ").push_bind(id);
    }
}
