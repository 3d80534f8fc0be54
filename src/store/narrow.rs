//! Filters and pages as conditions of a query, the same in both databases: the views have the same columns.

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::query::{EventFilter, JobFilter, MessageFilter, PageRequest};
use super::rows::millis;
use crate::connectly::event::status::Status;
use crate::model::event::EventType;
use crate::model::id::{CustomerId, Id, JobId};
use crate::model::job::{JobKind, JobState};

/// What can be a parameter of a query to `Db`.
pub trait Parameter<Db: Database>: for<'q> Encode<'q, Db> + Type<Db> {}

impl<Db: Database, T: for<'q> Encode<'q, Db> + Type<Db>> Parameter<Db> for T {}

/// Narrows a query over `event_view`.
pub fn events<Db: Database>(query: &mut QueryBuilder<Db>, filter: &EventFilter)
where
    String: Parameter<Db>,
    i64: Parameter<Db>,
    CustomerId: Parameter<Db>,
{
    let EventFilter {
        account,
        event_type,
        customer,
        business,
        provider_message_id,
        status,
        error_code,
        campaign,
        since,
        until,
    } = filter;
    equals(query, "account", account.as_deref());
    equals(query, "type", event_type.map(EventType::as_str));
    equals(query, "status", status.map(Status::as_str));
    equals(query, "error_code", error_code.as_deref());
    equals(query, "campaign", campaign.as_deref());
    equals(query, "business", business.as_deref());
    equals(query, "provider_message_id", provider_message_id.as_deref());
    if let Some(customer) = customer {
        query.push(" AND stored_in IN (SELECT c.id FROM conversations c WHERE c.customer_id IN (");
        customers(query, customer);
        query.push("))");
    }
    if let Some(since) = since {
        query.push(" AND received_at >= ").push_bind(millis(*since));
    }
    if let Some(until) = until {
        query.push(" AND received_at < ").push_bind(millis(*until));
    }
}

/// Narrows a query over `message_view`.
pub fn messages<Db: Database>(query: &mut QueryBuilder<Db>, filter: &MessageFilter)
where
    String: Parameter<Db>,
    i64: Parameter<Db>,
    CustomerId: Parameter<Db>,
{
    let MessageFilter {
        account,
        customer,
        business,
        provider_message_id,
        state,
        origin,
        campaign,
        since,
        until,
    } = filter;
    equals(query, "account", account.as_deref());
    equals(query, "business", business.as_deref());
    equals(query, "state", state.as_deref());
    equals(query, "origin", origin.as_deref());
    equals(query, "campaign", campaign.as_deref());
    if let Some(customer) = customer {
        query.push(" AND customer_id IN (");
        customers(query, customer);
        query.push(")");
    }
    if let Some(id) = provider_message_id {
        query.push(" AND id IN (SELECT s.message_id FROM sends s WHERE s.provider_message_id = ");
        query.push_bind(id.clone()).push(")");
    }
    if let Some(since) = since {
        query.push(" AND created_at >= ").push_bind(millis(*since));
    }
    if let Some(until) = until {
        query.push(" AND created_at < ").push_bind(millis(*until));
    }
}

/// Narrows a query over jobs. Their ids tell when they were made.
pub fn jobs<Db: Database>(query: &mut QueryBuilder<Db>, filter: &JobFilter)
where
    String: Parameter<Db>,
    JobId: Parameter<Db>,
{
    let JobFilter { state, kind, route, since, until } = filter;
    equals(query, "state", state.map(JobState::as_str));
    equals(query, "kind", kind.map(JobKind::as_str));
    equals(query, "route", route.as_deref());
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

fn equals<Db: Database>(query: &mut QueryBuilder<Db>, column: &'static str, value: Option<&str>)
where
    String: Parameter<Db>,
{
    if let Some(value) = value {
        query.push(" AND ").push(column).push(" = ").push_bind(value.to_owned());
    }
}

/// The customers a text names: by phone, by user id, or by our id, also one that was merged into another since.
fn customers<Db: Database>(query: &mut QueryBuilder<Db>, named: &str)
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
