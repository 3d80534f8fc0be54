//! Leases: taking, extending, giving back.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::PostgresStore;
use super::heads::Waiting;
use crate::model::id::{ConversationId, EventId, JobId};
use crate::model::job::Lease;
use crate::store::rows::duration_ms;
use crate::store::work::{ClaimDeliveries, LeasedJob, Look};
use crate::store::{Result, StoreError};

/// Up to so many routes are looked at one by one.
const FEW_ROUTES: usize = 16;

/// Leases what fits into the free slots.
pub(super) async fn lease(store: &PostgresStore, claim: &ClaimDeliveries) -> Result<Vec<LeasedJob>> {
    let (routes, slots): (Vec<&str>, Vec<i64>) =
        claim.routes.iter().map(|(route, slots)| (route.as_str(), i64::from(*slots))).unzip();
    let heads = match claim.look {
        Look::Ended => vec![i64::MIN; routes.len()],
        Look::Onwards => store.heads.look(&routes),
        Look::Whole => {
            store.heads.begin_anew();
            store.heads.look(&routes)
        }
    };
    // store::claim_deliveries
    let rows: Vec<Looked> = sqlx::query_as(
        "WITH RECURSIVE clock AS MATERIALIZED (SELECT switchboard_now($5) AS now),
         -- The routes that have jobs, one look at the index for each: with hundreds of routes most have none. It passes what
         -- is gone, so a few routes are rather looked at one by one.
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
             SELECT r.* FROM unnest($1::text[], $2::bigint[], $7::bigint[]) AS r (route, slots, head)
             WHERE ($8 OR r.route IN (SELECT w.route FROM waiting w))
               AND NOT EXISTS (SELECT FROM settings p WHERE p.key = 'pause/route/' || r.route)
         ),
         due AS (
             SELECT c.id FROM open r
             CROSS JOIN clock
             CROSS JOIN LATERAL (
                 SELECT j.id FROM jobs j
                 WHERE j.route = r.route AND j.kind = 'deliver' AND j.parked_at IS NULL AND NOT j.blocked
                   AND j.due_at BETWEEN r.head AND clock.now
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
         ), leased AS (
             UPDATE jobs j SET lease_token = gen_random_uuid(), lease_until = clock.now + $4, attempts = j.attempts + 1,
                 first_attempt_at = coalesce(j.first_attempt_at, clock.now)
             FROM clock WHERE j.id = ANY(ARRAY(SELECT id FROM due))
             RETURNING j.id, j.lease_token, j.event_id, j.conversation_id, j.route, j.attempts, j.first_attempt_at,
                 j.lane IS NOT NULL AS ordered, j.due_at
         )
         -- When it was looked, also if there was nothing.
         SELECT clock.now, l.* FROM clock LEFT JOIN leased l ON true",
    )
    .bind(&routes)
    .bind(slots)
    .bind(i64::from(claim.limit))
    .bind(duration_ms(claim.lease))
    .bind(store.clock.offset_ms())
    .bind(claim.look == Look::Ended)
    .bind(heads)
    .bind(routes.len() <= FEW_ROUTES)
    .fetch_all(&store.pool)
    .await?;
    let looked_at = rows.first().map(|row| row.now);
    let claimed: Vec<Claimed> = rows.into_iter().filter_map(|row| row.job).collect();
    if let Some(looked_at) = looked_at.filter(|_| claim.look != Look::Ended) {
        pass(store, claim, &claimed, looked_at);
    }
    claimed.into_iter().map(Claimed::into_row).collect()
}

/// Notes what a claim has seen: everything that was due, or everything up to the newest that it took.
fn pass(store: &PostgresStore, claim: &ClaimDeliveries, claimed: &[Claimed], looked_at: i64) {
    let is_cut = claimed.len() >= claim.limit as usize;
    for (route, slots) in &claim.routes {
        let due: Vec<i64> = claimed.iter().filter(|job| job.route == *route).map(|job| job.due_at).collect();
        let newest = due.iter().max().copied();
        let seen = if is_cut || due.len() >= *slots as usize { newest } else { Some(looked_at) };
        if let Some(seen) = seen {
            store.heads.pass(route, seen);
        }
    }
}

/// A claim's answer: when it looked, and a job if there was one.
struct Looked {
    now: i64,
    job: Option<Claimed>,
}

impl FromRow<'_, PgRow> for Looked {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let is_job = row.try_get::<Option<JobId>, _>("id")?.is_some();
        Ok(Self { now: row.try_get("now")?, job: is_job.then(|| Claimed::from_row(row)).transpose()? })
    }
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
    due_at: i64,
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

pub(super) async fn renew(store: &PostgresStore, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
    // Nobody else has a lease's token, so two lists tell as much as pairs.
    // store::renew
    let held: Vec<(JobId, Uuid)> = sqlx::query_as(
        "WITH held AS (
             -- A job that is being settled right now needs no renewal.
             SELECT j.id FROM jobs j WHERE j.id = ANY($1) AND j.lease_token = ANY($2)
             ORDER BY j.id FOR UPDATE SKIP LOCKED
         ), renewed AS (
             UPDATE jobs j SET lease_until = switchboard_now($4) + $3 WHERE j.id = ANY(ARRAY(SELECT id FROM held))
             RETURNING j.id, j.lease_token
         )
         SELECT id, lease_token FROM renewed
         UNION SELECT j.id, j.lease_token FROM jobs j WHERE j.id = ANY($1) AND j.lease_token = ANY($2)",
    )
    .bind(leases.iter().map(|lease| lease.job).collect::<Vec<_>>())
    .bind(leases.iter().map(|lease| Uuid::from_u128(lease.token.0)).collect::<Vec<_>>())
    .bind(duration_ms(lease))
    .bind(store.clock.offset_ms())
    .fetch_all(&store.pool)
    .await?;
    Ok(held.into_iter().map(|(job, token)| Lease { job, token: ulid::Ulid(token.as_u128()) }).collect())
}

pub(super) async fn release(store: &PostgresStore, leases: &[Lease]) -> Result<()> {
    // store::release
    let released: Vec<Waiting> = sqlx::query_as(
        "WITH held AS (
             SELECT j.id FROM jobs j
             WHERE j.id = ANY($1) AND j.lease_token = ANY($2) AND j.dispatched_at IS NULL
             ORDER BY j.id FOR UPDATE
         )
         UPDATE jobs j SET lease_token = NULL, lease_until = NULL, attempts = j.attempts - 1,
             first_attempt_at = CASE WHEN j.attempts > 1 THEN j.first_attempt_at END
         WHERE j.id = ANY(ARRAY(SELECT id FROM held))
         RETURNING j.route, j.due_at",
    )
    .bind(leases.iter().map(|lease| lease.job).collect::<Vec<_>>())
    .bind(leases.iter().map(|lease| Uuid::from_u128(lease.token.0)).collect::<Vec<_>>())
    .fetch_all(&store.pool)
    .await?;
    store.heads.back_to(&released);
    Ok(())
}
