//! Leases: claiming deliveries, extending, giving back.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{FromRow, PgConnection};
use ulid::Ulid;
use uuid::Uuid;

use super::{PostgresStore, events, settle};
use crate::model::id::{ConversationId, EventId, JobId, MessageId};
use crate::model::job::Lease;
use crate::model::message::Message;
use crate::store::plan::arrived::{Sent, named};
use crate::store::plan::delivery::{
    ConversingOf, DOUBT, Events, Surroundings, answers_since, assemble, concerned, lanes, unread,
};
use crate::store::rows::{MessageRow, duration_ms};
use crate::store::work::{ClaimDeliveries, Delivery, LeasedJob};
use crate::store::{Result, StoreError};

pub(super) async fn claim_deliveries(
    store: &PostgresStore,
    claim: &ClaimDeliveries,
) -> Result<Vec<Delivery>> {
    let leased = lease(store, claim).await?;
    deliveries(store, leased).await
}

pub(super) async fn deliveries(store: &PostgresStore, leased: Vec<LeasedJob>) -> Result<Vec<Delivery>> {
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
async fn begin(store: &PostgresStore, leased: Vec<LeasedJob>) -> Result<Vec<Delivery>> {
    let surroundings = read(store, &leased).await?;
    let (deliveries, orphans) = assemble(leased, surroundings, store.clock.now());
    if !orphans.is_empty() {
        settle::settle(store, &orphans).await?;
    }
    Ok(deliveries)
}

/// What is read here changes under us only when a person clears the state: state and order belong to the lane, and the lane
/// is leased.
async fn read(store: &PostgresStore, leased: &[LeasedJob]) -> Result<Surroundings> {
    let mut connection = store.pool.acquire().await?;
    surroundings(&mut connection, leased, answers_since(store.clock.now())).await
}

async fn lease(store: &PostgresStore, claim: &ClaimDeliveries) -> Result<Vec<LeasedJob>> {
    let (routes, slots): (Vec<&str>, Vec<i64>) =
        claim.routes.iter().map(|(route, slots)| (route.as_str(), i64::from(*slots))).unzip();
    // store::claim_deliveries
    let rows: Vec<Claimed> = sqlx::query_as(
        "WITH RECURSIVE clock AS MATERIALIZED (SELECT switchboard_now($5) AS now),
         -- The routes that have jobs, one look at the index for each: with hundreds of routes most have none.
         waiting AS (
             (SELECT j.route FROM jobs j WHERE j.parked_at IS NULL AND NOT j.blocked AND j.route > ''
              ORDER BY j.route LIMIT 1)
             UNION ALL
             SELECT (SELECT j.route FROM jobs j WHERE j.parked_at IS NULL AND NOT j.blocked AND j.route > w.route
                     ORDER BY j.route LIMIT 1)
             FROM waiting w WHERE w.route IS NOT NULL
         ),
         -- One look at a tiny table per route, before any job is read: a pause holds for every instance at once.
         open AS MATERIALIZED (
             SELECT r.route, r.slots FROM unnest($1::text[], $2::bigint[]) AS r (route, slots)
             WHERE r.route IN (SELECT w.route FROM waiting w) AND NOT EXISTS (SELECT FROM settings p WHERE p.key = 'pause/route/' || r.route)
         ),
         due AS (
             SELECT c.id FROM open r
             CROSS JOIN clock
             CROSS JOIN LATERAL (
                 SELECT j.id FROM jobs j
                 WHERE j.route = r.route AND j.kind = 'deliver' AND j.parked_at IS NULL AND NOT j.blocked
                   AND j.due_at <= clock.now
                   -- A lease that ended unsettled is a job that may kill its process: taken only on request.
                   AND CASE WHEN $6 THEN j.lease_until <= clock.now ELSE j.lease_until IS NULL END
                   -- Only the head of a lane: a waiting retry holds it, a parked job does not.
                   AND (j.lane IS NULL OR NOT EXISTS (
                       SELECT FROM jobs e
                       WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence < j.sequence))
                 ORDER BY j.due_at, j.id
                 LIMIT r.slots
                 FOR UPDATE OF j SKIP LOCKED
             ) c
             LIMIT $3
         )
         UPDATE jobs j SET lease_token = gen_random_uuid(), lease_until = clock.now + $4, attempts = j.attempts + 1,
             first_attempt_at = coalesce(j.first_attempt_at, clock.now)
         FROM due, clock WHERE j.id = due.id
         RETURNING j.id, j.lease_token, j.event_id, j.conversation_id, j.route, j.attempts, j.first_attempt_at,
             j.lane IS NOT NULL AS ordered",
    )
    .bind(routes)
    .bind(slots)
    .bind(i64::from(claim.limit))
    .bind(duration_ms(claim.lease))
    .bind(store.clock.offset_ms())
    .bind(claim.reclaim)
    .fetch_all(&store.pool)
    .await?;
    rows.into_iter().map(Claimed::into_row).collect()
}

#[derive(FromRow)]
struct Claimed {
    id: JobId,
    lease_token: Uuid,
    event_id: Option<EventId>,
    conversation_id: Option<ConversationId>,
    route: String,
    attempts: i64,
    first_attempt_at: i64,
    ordered: bool,
}

impl Claimed {
    fn into_row(self) -> Result<LeasedJob> {
        let event =
            self.event_id.ok_or_else(|| StoreError::Internal("a delivery without an event".to_owned()))?;
        Ok(LeasedJob {
            lease: Lease { job: self.id, token: ulid::Ulid(self.lease_token.as_u128()) },
            event,
            conversation: self.conversation_id,
            route: self.route,
            attempts: self.attempts,
            first_attempt_at: self.first_attempt_at,
            ordered: self.ordered,
            arrived: None,
        })
    }
}

async fn surroundings(
    connection: &mut PgConnection,
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
async fn sent(connection: &mut PgConnection, named: &[(&str, &str)]) -> Result<Sent> {
    if named.is_empty() {
        return Ok(Sent::default());
    }
    let (accounts, ids): (Vec<&str>, Vec<&str>) = named.iter().copied().unzip();
    // store::deliveries (sends)
    let rows: Vec<(String, String, MessageId)> = sqlx::query_as(
        "SELECT s.account, s.provider_message_id, s.message_id
         FROM unnest($1::text[], $2::text[]) AS k (account, provider_message_id)
         JOIN sends s USING (account, provider_message_id)",
    )
    .bind(accounts)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

async fn conversing(
    connection: &mut PgConnection,
    leased: &[LeasedJob],
    since: Ulid,
) -> Result<ConversingOf> {
    let (conversations, routes): (Vec<ConversationId>, Vec<&str>) = lanes(leased).into_iter().unzip();
    if conversations.is_empty() {
        return Ok(ConversingOf::default());
    }
    // store::deliveries (conversations)
    let rows = sqlx::query_as(
        "SELECT v.*, n.route, s.state, (
             SELECT m.id FROM messages m WHERE m.conversation_id = v.id ORDER BY m.id DESC LIMIT 1
         ) AS latest_message, (
             SELECT max(m.created_at) FROM messages m
             WHERE m.conversation_id = v.id AND m.id >= $3 AND m.origin = 'observed' AND m.content IS NOT NULL
               AND m.campaign IS NULL
               -- What was seen while one of ours had left, and its id was not known, may be that one.
               AND NOT EXISTS (
                   SELECT FROM sends s
                   WHERE s.conversation_id = m.conversation_id AND s.provider_message_id IS NULL
                     AND s.dispatched_at BETWEEN m.created_at - $4 AND m.created_at + $4)
         ) AS person_answered_at,
         (SELECT c.merged_into FROM conversations c WHERE c.id = v.id) AS merged_into
         FROM unnest($1::uuid[], $2::text[]) AS n (conversation_id, route)
         JOIN conversation_view v ON v.id = n.conversation_id
         LEFT JOIN handler_state s ON s.route = n.route AND s.conversation_id = n.conversation_id",
    )
    .bind(conversations)
    .bind(routes)
    .bind(Uuid::from_u128(since.0))
    .bind(duration_ms(DOUBT))
    .fetch_all(connection)
    .await?;
    Ok(ConversingOf::of(rows))
}

async fn messages(connection: &mut PgConnection, ids: &[MessageId]) -> Result<HashMap<MessageId, Message>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // store::deliveries (messages)
    let rows: Vec<MessageRow> = sqlx::query_as("SELECT * FROM message_view WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.into_message())).collect())
}

pub(super) async fn renew(store: &PostgresStore, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
    // store::renew
    let held: Vec<(JobId, Uuid)> = sqlx::query_as(
        "WITH held AS (
             -- A job that is being settled right now needs no renewal.
             SELECT j.id FROM jobs j JOIN unnest($1::uuid[], $2::uuid[]) AS l (id, token)
                 ON j.id = l.id AND j.lease_token = l.token
             ORDER BY j.id FOR UPDATE OF j SKIP LOCKED
         ), renewed AS (
             UPDATE jobs j SET lease_until = switchboard_now($4) + $3 FROM held WHERE j.id = held.id
             RETURNING j.id, j.lease_token
         )
         SELECT id, lease_token FROM renewed
         UNION SELECT j.id, j.lease_token FROM jobs j JOIN unnest($1::uuid[], $2::uuid[]) AS l (id, token)
             ON j.id = l.id AND j.lease_token = l.token",
    )
    .bind(leases.iter().map(|lease| lease.job).collect::<Vec<_>>())
    .bind(leases.iter().map(|lease| Uuid::from_u128(lease.token.0)).collect::<Vec<_>>())
    .bind(duration_ms(lease))
    .bind(store.clock.offset_ms())
    .fetch_all(&store.pool)
    .await?;
    Ok(leases
        .iter()
        .filter(|lease| held.contains(&(lease.job, Uuid::from_u128(lease.token.0))))
        .copied()
        .collect())
}

pub(super) async fn release(store: &PostgresStore, leases: &[Lease]) -> Result<()> {
    // store::release
    sqlx::query(
        "WITH held AS (
             SELECT j.id FROM jobs j JOIN unnest($1::uuid[], $2::uuid[]) AS l (id, token)
                 ON j.id = l.id AND j.lease_token = l.token
             WHERE j.dispatched_at IS NULL
             ORDER BY j.id FOR UPDATE OF j
         )
         UPDATE jobs j SET lease_token = NULL, lease_until = NULL, attempts = j.attempts - 1,
             first_attempt_at = CASE WHEN j.attempts > 1 THEN j.first_attempt_at END
         FROM held WHERE j.id = held.id",
    )
    .bind(leases.iter().map(|lease| lease.job).collect::<Vec<_>>())
    .bind(leases.iter().map(|lease| Uuid::from_u128(lease.token.0)).collect::<Vec<_>>())
    .execute(&store.pool)
    .await?;
    Ok(())
}
