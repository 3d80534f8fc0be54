//! Questions about events.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{SqliteStore, json};
use crate::model::event::Event;
use crate::model::id::EventId;
use crate::store::Result;
use crate::store::query::{EventFilter, Page, PageRequest, StoredBody};
use crate::store::rows::{EventRow, millis};

pub(super) async fn event(store: &SqliteStore, id: EventId) -> Result<Option<Event>> {
    // store::event
    let row: Option<EventRow> = sqlx::query_as("SELECT * FROM event_view WHERE id = $1")
        .bind(id)
        .fetch_optional(&store.readers)
        .await?;
    Ok(row.map(EventRow::into_event))
}

pub(super) async fn by_ids(connection: &mut SqliteConnection, ids: &[EventId]) -> Result<Vec<EventRow>> {
    // store::events_by_ids
    let rows = sqlx::query_as("SELECT * FROM event_view WHERE id IN (SELECT value FROM json_each($1))")
        .bind(json(ids)?)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

pub(super) async fn events(
    store: &SqliteStore,
    filter: &EventFilter,
    page: PageRequest<EventId>,
) -> Result<Page<Event>> {
    let mut query = QueryBuilder::new("/* store::events */ SELECT * FROM event_view WHERE true");
    narrow(&mut query, filter);
    if let Some(before) = page.before {
        query.push(" AND id < ").push_bind(before);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(page.limit) + 1);
    let rows: Vec<EventRow> = query.build_query_as().fetch_all(&store.readers).await?;
    Ok(Page::of(rows.into_iter().map(EventRow::into_event).collect(), page.limit))
}

pub(super) async fn events_after(
    store: &SqliteStore,
    filter: &EventFilter,
    after: EventId,
    limit: u32,
) -> Result<Vec<Event>> {
    let mut query = QueryBuilder::new("/* store::events_after */ SELECT * FROM event_view WHERE id > ");
    query.push_bind(after);
    narrow(&mut query, filter);
    query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
    let rows: Vec<EventRow> = query.build_query_as().fetch_all(&store.readers).await?;
    Ok(rows.into_iter().map(EventRow::into_event).collect())
}

fn narrow(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    let EventFilter { account, event_type, customer, business, provider_message_id, since, until } = filter;
    if let Some(account) = account {
        query.push(" AND account = ").push_bind(account.clone());
    }
    if let Some(event_type) = event_type {
        query.push(" AND type = ").push_bind(event_type.as_str());
    }
    if let Some(customer) = customer {
        query.push(" AND conversation_id IN (SELECT c.id FROM conversations c WHERE c.customer_id IN (");
        of_customer(query, customer);
        query.push("))");
    }
    if let Some(business) = business {
        query.push(" AND business = ").push_bind(business.clone());
    }
    if let Some(id) = provider_message_id {
        query.push(" AND provider_message_id = ").push_bind(id.clone());
    }
    if let Some(since) = since {
        query.push(" AND received_at >= ").push_bind(millis(*since));
    }
    if let Some(until) = until {
        query.push(" AND received_at < ").push_bind(millis(*until));
    }
}

/// The customers a text names: by phone, by user id, or by our id.
pub(super) fn of_customer(query: &mut QueryBuilder<Sqlite>, named: &str) {
    query.push("SELECT i.customer_id FROM identities i WHERE i.value = ").push_bind(named.to_owned());
    if let Some(id) = crate::model::id::CustomerId::parse(named) {
        query.push(" UNION SELECT p.id FROM customers p WHERE p.id = ").push_bind(id);
    }
}

pub(super) async fn event_body(store: &SqliteStore, id: EventId) -> Result<Option<StoredBody>> {
    // store::event_body
    let row: Option<(Option<Vec<u8>>,)> =
        sqlx::query_as("SELECT b.body FROM events e LEFT JOIN bodies b ON b.event_id = e.id WHERE e.id = $1")
            .bind(id)
            .fetch_optional(&store.readers)
            .await?;
    Ok(row.map(|(body,)| body.map_or(StoredBody::Purged(id), |body| StoredBody::Kept(body.into()))))
}
