//! Replaying: events as they arrived, and new jobs for them.

use sqlx::{FromRow, SqliteConnection};

use super::{SqliteStore, callback, commit, journal, json, queue};
use crate::model::id::EventId;
use crate::store::Result;
use crate::store::arrival::Arrival;
use crate::store::plan::group::{self, Kept};
use crate::store::plan::replay::{Lines, StandingEvent, revived};
use crate::store::rows::{millis, timestamp};

#[derive(FromRow)]
struct ArrivedRow {
    id: EventId,
    account: String,
    received_at: i64,
    body: Vec<u8>,
}

pub(super) async fn arrivals(store: &SqliteStore, ids: &[EventId]) -> Result<Vec<Arrival>> {
    // store::arrivals
    let rows: Vec<ArrivedRow> = sqlx::query_as(
        "SELECT e.id, e.account, e.received_at, b.body FROM events e JOIN bodies b ON b.event_id = e.id
         WHERE e.id IN (SELECT value FROM jsonb_each($1)) ORDER BY e.id",
    )
    .bind(json(ids)?)
    .fetch_all(&store.readers)
    .await?;
    let arrival =
        |row: ArrivedRow| Arrival::read(row.id, row.account, timestamp(row.received_at), row.body.into());
    Ok(rows.into_iter().map(arrival).collect())
}

pub(super) async fn replay(store: &SqliteStore, group: &[Arrival]) -> Result<u64> {
    let mut tx = store.write_alone().await?;
    let ids = json(&group.iter().map(|arrival| arrival.id).collect::<Vec<_>>())?;
    let mut standing = standing(&mut tx, &ids).await?;
    let mut revived = revived(group, &standing);
    if !revived.is_empty() {
        commit::converse(store, &mut tx, &mut revived).await?;
        update_events(&mut tx, &revived).await?;
        callback::insert(&mut tx, &group::callback_keys(&revived)).await?;
        journal::learn(store, &mut tx, &revived).await?;
        standing = self::standing(&mut tx, &ids).await?;
    }
    let mut lines = Lines::new(group, &standing);
    lines.numbered(&queue::reserve(&mut tx, &lines.wanted()).await?, runs(&mut tx, &ids).await?);
    let jobs = lines.jobs(group, &standing, || store.id());
    queue::insert(&mut tx, &jobs, millis(store.clock.now())).await?;
    tx.commit().await?;
    Ok(u64::try_from(jobs.len()).unwrap_or(u64::MAX))
}

async fn standing(connection: &mut SqliteConnection, ids: &str) -> Result<Vec<StandingEvent>> {
    // store::replay (events as they stand)
    let rows = sqlx::query_as(
        "SELECT e.id, e.type, coalesce(c.merged_into, e.conversation_id) AS conversation_id
         FROM events e LEFT JOIN conversations c ON c.id = e.conversation_id
         WHERE e.id IN (SELECT value FROM jsonb_each($1)) ORDER BY e.id",
    );
    Ok(rows.bind(ids).fetch_all(connection).await?)
}

/// The last run of each event and route.
async fn runs(connection: &mut SqliteConnection, ids: &str) -> Result<Vec<(EventId, String, i64)>> {
    // store::replay (runs)
    let rows = sqlx::query_as(
        "SELECT event_id, route, max(run) FROM (
             SELECT event_id, route, run FROM jobs WHERE event_id IN (SELECT value FROM jsonb_each($1))
             UNION ALL
             SELECT event_id, route, run FROM outcomes
             WHERE event_id IN (SELECT value FROM jsonb_each($1)) AND route IS NOT NULL) AS r
         GROUP BY event_id, route",
    );
    Ok(rows.bind(ids).fetch_all(connection).await?)
}

/// Writes what is understood of events by now.
async fn update_events(connection: &mut SqliteConnection, revived: &[Kept<'_>]) -> Result<()> {
    let rows: Vec<_> = revived.iter().map(group::event_columns).collect();
    // store::replay (events)
    sqlx::query(
        "UPDATE events SET type = n.value ->> 'event_type', conversation_id = n.value ->> 'conversation',
             provider_message_id = n.value ->> 'provider_message_id', in_reply_to = n.value ->> 'in_reply_to',
             status = n.value ->> 'status', error_code = n.value ->> 'error_code', business = n.value ->> 'business',
             callback_data = n.value ->> 'callback_data', campaign = n.value ->> 'campaign',
             occurred_at = n.value ->> 'occurred_at'
         FROM jsonb_each($1) AS n WHERE events.id = n.value ->> 'id'",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}
