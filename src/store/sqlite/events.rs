//! Questions about events.

use sqlx::SqliteConnection;

use super::{SqliteStore, json};
use crate::model::event::Event;
use crate::model::id::EventId;
use crate::store::query::{EventFilter, Page, PageRequest, StoredBody};
use crate::store::rows::EventRow;
use crate::store::{Result, question};

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
    let rows = sqlx::query_as("SELECT * FROM event_view WHERE id IN (SELECT value FROM jsonb_each($1))")
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
    let mut query = question::events::list(filter, page);
    let rows: Vec<EventRow> = query.build_query_as().fetch_all(&store.readers).await?;
    Ok(Page::of(rows.into_iter().map(EventRow::into_event).collect(), page.limit))
}

pub(super) async fn events_after(
    store: &SqliteStore,
    filter: &EventFilter,
    after: EventId,
    limit: u32,
) -> Result<Vec<Event>> {
    let mut query = question::events::after(filter, after, limit);
    let rows: Vec<EventRow> = query.build_query_as().fetch_all(&store.readers).await?;
    Ok(rows.into_iter().map(EventRow::into_event).collect())
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
