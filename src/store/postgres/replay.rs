//! Replaying: events as they arrived, and new jobs for them.

use sqlx::{FromRow, PgConnection};

use super::{PostgresStore, callback, commit, journal, people, queue};
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

pub(super) async fn arrivals(store: &PostgresStore, ids: &[EventId]) -> Result<Vec<Arrival>> {
    // store::arrivals
    let rows: Vec<ArrivedRow> = sqlx::query_as(
        "SELECT e.id, e.account, e.received_at, b.body FROM events e JOIN bodies b ON b.event_id = e.id
         WHERE e.id = ANY($1) ORDER BY e.id",
    )
    .bind(ids)
    .fetch_all(&store.readers)
    .await?;
    let arrival =
        |row: ArrivedRow| Arrival::read(row.id, row.account, timestamp(row.received_at), row.body.into());
    Ok(rows.into_iter().map(arrival).collect())
}

pub(super) async fn replay(store: &PostgresStore, group: &[Arrival]) -> Result<u64> {
    let mut tx = store.pool.begin().await?;
    let mut standing = lock(&mut tx, group).await?;
    let mut revived = revived(group, &standing);
    if !revived.is_empty() {
        let known = people::load(&mut tx, &group::shown(group)).await?;
        commit::converse(store, &mut tx, &mut revived, known).await?;
        update_events(&mut tx, &revived).await?;
        callback::insert(&mut tx, &group::callback_keys(&revived)).await?;
        journal::learn(store, &mut tx, &revived).await?;
        standing = lock(&mut tx, group).await?;
    }
    let mut lines = Lines::new(group, &standing);
    let wanted = lines.wanted();
    queue::lock_of_jobs(&mut tx, &[], &wanted.iter().map(|(id, _)| *id).collect::<Vec<_>>()).await?;
    lines.numbered(&queue::reserve(&mut tx, &wanted).await?, runs(&mut tx, group).await?);
    let jobs = lines.jobs(group, &standing, || store.id());
    queue::insert(&mut tx, &jobs, millis(store.clock.now()), store.clock.offset_ms()).await?;
    tx.commit().await?;
    Ok(u64::try_from(jobs.len()).unwrap_or(u64::MAX))
}

/// Locks the events, so that two replays of one number their runs one after the other.
async fn lock(connection: &mut PgConnection, group: &[Arrival]) -> Result<Vec<StandingEvent>> {
    // store::replay (lock)
    let rows = sqlx::query_as(
        "SELECT e.id, e.type, coalesce(c.merged_into, e.conversation_id) AS conversation_id
         FROM events e LEFT JOIN conversations c ON c.id = e.conversation_id
         WHERE e.id = ANY($1) ORDER BY e.id FOR UPDATE OF e",
    );
    Ok(rows.bind(ids(group)).fetch_all(connection).await?)
}

fn ids(group: &[Arrival]) -> Vec<EventId> {
    group.iter().map(|arrival| arrival.id).collect()
}

/// The last run of each event and route.
async fn runs(connection: &mut PgConnection, group: &[Arrival]) -> Result<Vec<(EventId, String, i64)>> {
    // store::replay (runs)
    let rows = sqlx::query_as(
        "SELECT event_id, route, max(run) FROM (
             SELECT event_id, route, run FROM jobs WHERE event_id = ANY($1)
             UNION ALL SELECT event_id, route, run FROM outcomes WHERE event_id = ANY($1) AND route IS NOT NULL) AS r
         GROUP BY event_id, route",
    );
    Ok(rows.bind(ids(group)).fetch_all(connection).await?)
}

/// Writes what is understood of events by now.
async fn update_events(connection: &mut PgConnection, revived: &[Kept<'_>]) -> Result<()> {
    let rows: Vec<_> = revived.iter().map(group::event_columns).collect();
    // store::replay (events)
    sqlx::query(
        "UPDATE events e SET type = n.type, conversation_id = n.conversation_id,
             provider_message_id = n.provider_message_id, in_reply_to = n.in_reply_to, status = n.status,
             error_code = n.error_code, business = n.business, callback_data = n.callback_data, campaign = n.campaign,
             occurred_at = n.occurred_at
         FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::text[], $11::bigint[])
             AS n (id, type, conversation_id, provider_message_id, in_reply_to, status, error_code, business,
                 callback_data, campaign, occurred_at)
         WHERE e.id = n.id AND e.id = ANY($1)",
    )
    .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.event_type).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.conversation).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.provider_message_id.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.in_reply_to.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.status).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.error_code.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.business).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.callback_data).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.campaign).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.occurred_at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
