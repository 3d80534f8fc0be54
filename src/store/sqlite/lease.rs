//! Leases: taking, extending, giving back.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{FromRow, SqliteConnection};

use super::{SqliteStore, queue};
use crate::connectly::ids::parse_ulid;
use crate::model::id::{ConversationId, EventId, JobId};
use crate::model::job::Lease;
use crate::store::rows::{duration_ms, millis};
use crate::store::work::{ClaimDeliveries, LeasedJob, Look};
use crate::store::{Result, StoreError};

/// Leases what fits into the free slots.
pub(super) async fn lease(store: &SqliteStore, claim: &ClaimDeliveries) -> Result<Vec<LeasedJob>> {
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
            due.extend(due_of(connection, route, free, claim.look == Look::Ended, now).await?);
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
    ended: bool,
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
    .bind(ended)
    .bind(i64::from(slots))
    .fetch_all(connection)
    .await?;
    Ok(due)
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
    let lease = |(job, token): (JobId, String)| Some(Lease { job, token: parse_ulid(&token)? });
    Ok(held.into_iter().filter_map(lease).collect())
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
