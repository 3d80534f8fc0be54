//! Leases: claiming deliveries, extending, giving back.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};
use ulid::Ulid;

use super::{SqliteStore, events, json, queue, settle};
use crate::model::id::{ConversationId, EventId, JobId, MessageId};
use crate::model::job::Lease;
use crate::model::message::Message;
use crate::store::plan::arrived::{Sent, named};
use crate::store::plan::delivery::{
    ConversingOf, DOUBT, Events, Surroundings, answers_since, assemble, concerned, lanes, unread,
};
use crate::store::rows::{MessageRow, duration_ms, millis};
use crate::store::work::{ClaimDeliveries, Delivery, LeasedJob};
use crate::store::{Result, StoreError};

pub(super) async fn claim_deliveries(store: &SqliteStore, claim: &ClaimDeliveries) -> Result<Vec<Delivery>> {
    let leased = lease(store, claim).await?;
    deliveries(store, leased).await
}

pub(super) async fn deliveries(store: &SqliteStore, leased: Vec<LeasedJob>) -> Result<Vec<Delivery>> {
    if leased.is_empty() {
        return Ok(Vec::new());
    }
    let leases: Vec<Lease> = leased.iter().map(|job| job.lease).collect();
    let begun = begin(store, leased).await;
    if begun.is_err() {
        // Nobody will work on them: without this they would wait for their leases to end.
        release(store, &leases).await?;
    }
    begun
}

/// Reads what leased jobs need; what cannot be delivered is parked.
async fn begin(store: &SqliteStore, leased: Vec<LeasedJob>) -> Result<Vec<Delivery>> {
    let surroundings = read(store, &leased).await?;
    let (deliveries, orphans) = assemble(leased, surroundings, store.clock.now());
    if !orphans.is_empty() {
        settle::settle(store, &orphans).await?;
    }
    Ok(deliveries)
}

/// What is read here changes under us only when a person clears the state: state and order belong to the lane, and the lane
/// is leased.
async fn read(store: &SqliteStore, leased: &[LeasedJob]) -> Result<Surroundings> {
    let mut connection = store.readers.acquire().await?;
    surroundings(&mut connection, leased, answers_since(store.clock.now())).await
}

async fn lease(store: &SqliteStore, claim: &ClaimDeliveries) -> Result<Vec<LeasedJob>> {
    let now = millis(store.clock.now());
    // Looked for first without waiting for the one connection that writes: most often there is nothing. Whoever commits a job
    // meanwhile calls for the next claim.
    let mut reader = store.readers.acquire().await?;
    if due(&mut reader, claim, now).await?.is_empty() {
        return Ok(Vec::new());
    }
    drop(reader);
    let mut tx = store.write().await?;
    let due = due(&mut tx, claim, now).await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let ids = due.iter().map(|job| job.id);
    let leases = queue::lease(store, &mut tx, ids, now, duration_ms(claim.lease)).await?;
    tx.commit().await?;
    due.into_iter().zip(leases).map(|(job, lease)| job.leased(lease, now)).collect()
}

/// What fits into the free slots.
async fn due(connection: &mut SqliteConnection, claim: &ClaimDeliveries, now: i64) -> Result<Vec<Due>> {
    let waiting = waiting(connection).await?;
    let mut due: Vec<Due> = Vec::new();
    for (route, slots) in claim.routes.iter().filter(|(route, _)| waiting.contains(route)) {
        let taken = u32::try_from(due.len()).unwrap_or(u32::MAX);
        let free = claim.limit.saturating_sub(taken).min(*slots);
        if free > 0 {
            due.extend(due_of(connection, route, free, claim.reclaim, now).await?);
        }
    }
    Ok(due)
}

/// The routes that have jobs, one look at the index for each: with hundreds of routes most have none.
async fn waiting(connection: &mut SqliteConnection) -> Result<HashSet<String>> {
    // store::claim_deliveries (routes with jobs)
    let routes: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE waiting (route) AS (
             SELECT min(route) FROM jobs WHERE parked_at IS NULL AND blocked = 0 AND route > ''
             UNION ALL
             SELECT (SELECT min(j.route) FROM jobs j WHERE j.parked_at IS NULL AND j.blocked = 0 AND j.route > w.route)
             FROM waiting w WHERE w.route IS NOT NULL
         )
         SELECT route FROM waiting WHERE route IS NOT NULL",
    )
    .fetch_all(connection)
    .await?;
    Ok(routes.into_iter().collect())
}

/// A job as it was before its lease.
#[derive(FromRow)]
struct Due {
    id: JobId,
    event_id: Option<EventId>,
    conversation_id: Option<ConversationId>,
    route: String,
    attempts: i64,
    first_attempt_at: Option<i64>,
    ordered: bool,
}

impl Due {
    fn leased(self, lease: Lease, now: i64) -> Result<LeasedJob> {
        let event =
            self.event_id.ok_or_else(|| StoreError::Internal("a delivery without an event".to_owned()))?;
        Ok(LeasedJob {
            lease,
            event,
            conversation: self.conversation_id,
            route: self.route,
            attempts: self.attempts + 1,
            first_attempt_at: self.first_attempt_at.unwrap_or(now),
            ordered: self.ordered,
            arrived: None,
        })
    }
}

async fn due_of(
    connection: &mut SqliteConnection,
    route: &str,
    slots: u32,
    reclaim: bool,
    now: i64,
) -> Result<Vec<Due>> {
    // store::claim_deliveries
    let due = sqlx::query_as(
        "SELECT j.id, j.event_id, j.conversation_id, j.route, j.attempts, j.first_attempt_at,
             j.lane IS NOT NULL AS ordered FROM jobs j
         WHERE j.route = $1 AND j.kind = 'deliver' AND j.parked_at IS NULL AND j.blocked = 0
           AND j.due_at <= $2
           -- Looked up once: it does not depend on the job.
           AND NOT EXISTS (SELECT 1 FROM settings p WHERE p.key = 'pause/route/' || $1)
           -- A lease that ended unsettled is a job that may kill its process: taken only on request.
           AND CASE WHEN $3 THEN j.lease_until <= $2 ELSE j.lease_until IS NULL END
           -- Only the head of a lane: a waiting retry holds it, a parked job does not.
           AND (j.lane IS NULL OR NOT EXISTS (
               SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence < j.sequence))
         ORDER BY j.due_at, j.id
         LIMIT $4",
    )
    .bind(route)
    .bind(now)
    .bind(reclaim)
    .bind(i64::from(slots))
    .fetch_all(connection)
    .await?;
    Ok(due)
}

async fn surroundings(
    connection: &mut SqliteConnection,
    leased: &[LeasedJob],
    since: Ulid,
) -> Result<Surroundings> {
    let conversing = conversing(connection, leased, since).await?;
    let unread = unread(leased, &conversing);
    let read = if unread.is_empty() { Vec::new() } else { events::by_ids(connection, &unread).await? };
    let sent = sent(connection, &named(leased)).await?;
    let events = Events::of(read, leased, &conversing, &sent);
    let messages = messages(connection, &concerned(&events, &conversing)).await?;
    Ok(Surroundings { events, conversing, messages })
}

/// Our messages by their ids at Connectly.
async fn sent(connection: &mut SqliteConnection, named: &[(&str, &str)]) -> Result<Sent> {
    if named.is_empty() {
        return Ok(Sent::default());
    }
    // store::deliveries (sends)
    let rows: Vec<(String, String, MessageId)> = sqlx::query_as(
        "SELECT s.account, s.provider_message_id, s.message_id
         FROM jsonb_each($1) AS k
         CROSS JOIN sends s ON s.account = k.value ->> 0 AND s.provider_message_id = k.value ->> 1",
    )
    .bind(json(named)?)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

#[derive(Serialize)]
struct LaneColumns<'a> {
    conversation: ConversationId,
    route: &'a str,
}

async fn conversing(
    connection: &mut SqliteConnection,
    leased: &[LeasedJob],
    since: Ulid,
) -> Result<ConversingOf> {
    let lanes = lanes(leased).into_iter().map(|(conversation, route)| LaneColumns { conversation, route });
    let lanes: Vec<_> = lanes.collect();
    if lanes.is_empty() {
        return Ok(ConversingOf::default());
    }
    // store::deliveries (conversations)
    let rows = sqlx::query_as(
        "SELECT v.*, n.value ->> 'route' AS route, s.state, (
             SELECT m.id FROM messages m WHERE m.conversation_id = v.id ORDER BY m.id DESC LIMIT 1
         ) AS latest_message, (
             SELECT max(m.created_at) FROM messages m
             WHERE m.conversation_id = v.id AND m.id >= $2 AND m.origin = 'observed' AND m.content IS NOT NULL
               AND m.campaign IS NULL
               -- What was seen while one of ours had left, and its id was not known, may be that one.
               AND NOT EXISTS (
                   SELECT 1 FROM sends s
                   WHERE s.conversation_id = m.conversation_id AND s.provider_message_id IS NULL
                     AND s.dispatched_at BETWEEN m.created_at - $3 AND m.created_at + $3)
         ) AS person_answered_at,
         (SELECT c.merged_into FROM conversations c WHERE c.id = v.id) AS merged_into
         FROM jsonb_each($1) AS n
         CROSS JOIN conversation_view v ON v.id = n.value ->> 'conversation'
         LEFT JOIN handler_state s ON s.route = n.value ->> 'route' AND s.conversation_id = v.id",
    )
    .bind(json(&lanes)?)
    .bind(since.to_string())
    .bind(duration_ms(DOUBT))
    .fetch_all(connection)
    .await?;
    Ok(ConversingOf::of(rows))
}

async fn messages(
    connection: &mut SqliteConnection,
    ids: &[MessageId],
) -> Result<HashMap<MessageId, Message>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // store::deliveries (messages)
    let rows: Vec<MessageRow> =
        sqlx::query_as("SELECT * FROM message_view WHERE id IN (SELECT value FROM jsonb_each($1))")
            .bind(json(ids)?)
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.into_message())).collect())
}

pub(super) async fn renew(store: &SqliteStore, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
    let mut tx = store.write().await?;
    // store::renew
    let held: Vec<(JobId, String)> = sqlx::query_as(
        "UPDATE jobs SET lease_until = $2 + $3
         FROM (SELECT value ->> 'job' AS job, value ->> 'token' AS token FROM jsonb_each($1)) AS l
         WHERE jobs.id = l.job AND jobs.lease_token = l.token
         RETURNING id, lease_token",
    )
    .bind(queue::lease_columns(leases)?)
    .bind(millis(store.clock.now()))
    .bind(duration_ms(lease))
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(leases.iter().filter(|lease| held.contains(&(lease.job, lease.token.to_string()))).copied().collect())
}

pub(super) async fn release(store: &SqliteStore, leases: &[Lease]) -> Result<()> {
    let mut tx = store.write().await?;
    // store::release
    sqlx::query(
        "UPDATE jobs SET lease_token = NULL, lease_until = NULL, attempts = attempts - 1,
             first_attempt_at = CASE WHEN attempts > 1 THEN first_attempt_at END
         FROM (SELECT value ->> 'job' AS job, value ->> 'token' AS token FROM jsonb_each($1)) AS l
         WHERE jobs.id = l.job AND jobs.lease_token = l.token AND jobs.dispatched_at IS NULL",
    )
    .bind(queue::lease_columns(leases)?)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}
