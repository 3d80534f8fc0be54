//! Rows of the queue: inserting jobs, leasing them, finishing them, numbering them anew.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::SqliteConnection;
use ulid::Ulid;

use super::{SqliteStore, json};
use crate::model::id::{ConversationId, EventId, JobId, MessageId};
use crate::model::job::{API_PLACES_FROM, Lane, Lease};
use crate::store::Result;
use crate::store::plan::group::NewJob;
use crate::store::plan::settle::Finished;
use crate::store::rows::duration_ms;

#[derive(Serialize)]
struct JobColumns<'a> {
    id: JobId,
    kind: &'static str,
    account: &'a str,
    route: &'a str,
    event: Option<EventId>,
    message: Option<MessageId>,
    conversation: Option<ConversationId>,
    lane: Option<&'a str>,
    sequence: i64,
    run: i64,
    reason: Option<&'a str>,
    token: Option<String>,
    lasts: Option<i64>,
}

impl<'a> JobColumns<'a> {
    fn of(job: &'a NewJob) -> Self {
        Self {
            id: job.id,
            kind: job.kind.as_str(),
            account: &job.account,
            route: &job.route,
            event: job.event,
            message: job.message,
            conversation: job.conversation,
            lane: job.lane.as_ref().map(Lane::as_str),
            sequence: job.sequence,
            run: job.run,
            reason: job.parked.as_deref(),
            token: job.offered.map(|lease| lease.token.to_string()),
            lasts: job.offered.map(|lease| duration_ms(lease.lasts)),
        }
    }
}

/// Inserts jobs, due at once. Of those that are offered, the ones that head their lane are leased, unless their route is
/// paused; answers these, with the time of their first attempt.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    jobs: &[NewJob],
    now: i64,
) -> Result<HashMap<JobId, i64>> {
    if jobs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<_> = jobs.iter().map(JobColumns::of).collect();
    // store::insert_jobs
    let born: Vec<(JobId, Option<i64>)> = sqlx::query_as(
        "WITH given AS (
             SELECT value ->> 'id' AS id, value ->> 'kind' AS kind, value ->> 'account' AS account,
                 value ->> 'route' AS route, value ->> 'event' AS event, value ->> 'message' AS message,
                 value ->> 'conversation' AS conversation, value ->> 'lane' AS lane, value ->> 'sequence' AS sequence,
                 value ->> 'run' AS run, value ->> 'reason' AS reason, value ->> 'token' AS token,
                 value ->> 'lasts' AS lasts
             FROM jsonb_each($1)
         ), placed AS (
             SELECT *, lane IS NOT NULL AND reason IS NULL AND (
                 row_number() OVER (PARTITION BY lane, reason IS NULL ORDER BY sequence) > 1
                 -- A reply is put in front of API messages.
                 OR EXISTS (
                     SELECT 1 FROM jobs e
                     WHERE e.lane = given.lane AND e.parked_at IS NULL AND e.sequence < given.sequence)) AS blocked
             FROM given
         ), born AS (
             SELECT *, token IS NOT NULL AND NOT blocked
                 AND NOT EXISTS (SELECT 1 FROM settings p WHERE p.key = 'pause/route/' || placed.route) AS leased
             FROM placed
         )
         INSERT INTO jobs (id, kind, account, route, event_id, message_id, conversation_id, lane, sequence, due_at,
             parked_at, last_error, created_at, run, blocked, lease_token, lease_until, attempts, first_attempt_at)
         SELECT id, kind, account, route, event, message, conversation, lane, sequence, $2, iif(reason IS NULL, NULL, $2),
             reason, $2, run, blocked, iif(leased, token, NULL), iif(leased, $2 + lasts, NULL), iif(leased, 1, 0),
             iif(leased, $2, NULL)
         FROM born
         RETURNING id, first_attempt_at",
    )
    .bind(json(&rows)?)
    .bind(now)
    .fetch_all(connection)
    .await?;
    Ok(born.into_iter().filter_map(|(job, at)| Some((job, at?))).collect())
}

#[derive(Serialize)]
struct LeaseColumns {
    job: JobId,
    token: String,
}

/// Leases as the parameter that names them.
pub(super) fn lease_columns(leases: &[Lease]) -> Result<String> {
    let rows: Vec<_> =
        leases.iter().map(|lease| LeaseColumns { job: lease.job, token: lease.token.to_string() }).collect();
    json(&rows)
}

/// Leases jobs under new tokens and counts the attempt.
pub(super) async fn lease(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    jobs: impl Iterator<Item = JobId>,
    now: i64,
    lease_ms: i64,
) -> Result<Vec<Lease>> {
    let leases: Vec<Lease> = jobs.map(|job| Lease { job, token: store.clock.ulid() }).collect();
    // store::lease_jobs
    sqlx::query(
        "UPDATE jobs SET lease_token = l.token, lease_until = $2 + $3, attempts = attempts + 1,
             first_attempt_at = coalesce(first_attempt_at, $2)
         FROM (SELECT value ->> 'job' AS job, value ->> 'token' AS token FROM jsonb_each($1)) AS l
         WHERE jobs.id = l.job",
    )
    .bind(lease_columns(&leases)?)
    .bind(now)
    .bind(lease_ms)
    .execute(connection)
    .await?;
    Ok(leases)
}

#[derive(Serialize)]
struct FinishedColumns<'a> {
    id: String,
    job: JobId,
    outcome: &'static str,
    last_error: Option<&'a str>,
    log: &'a str,
}

/// Moves jobs from the queue to the record of outcomes, and lets the next of their lanes run.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    finished: &[Finished],
    at: i64,
    ids: Vec<Ulid>,
) -> Result<()> {
    if finished.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = finished
        .iter()
        .zip(ids)
        .map(|(job, id)| FinishedColumns {
            id: id.to_string(),
            job: job.job,
            outcome: job.outcome,
            last_error: job.detail.as_deref(),
            log: &job.log,
        })
        .collect();
    // store::finish_jobs
    sqlx::query(
        "INSERT INTO outcomes (id, job_id, kind, route, event_id, message_id, run, outcome, at, attempts, last_error, log)
         SELECT f.value ->> 'id', j.id, j.kind, nullif(j.route, ''), j.event_id, j.message_id, j.run,
             f.value ->> 'outcome', $2, j.attempts, coalesce(f.value ->> 'last_error', j.last_error), f.value ->> 'log'
         FROM jsonb_each($1) AS f CROSS JOIN jobs j ON j.id = f.value ->> 'job';
         -- As `promote` does; the jobs that leave are still there.
         UPDATE jobs SET blocked = 0
         WHERE id IN (
             SELECT (SELECT e.id FROM jobs e
                     WHERE e.lane = j.lane AND e.parked_at IS NULL
                       AND e.id NOT IN (SELECT value ->> 'job' FROM jsonb_each($1))
                     ORDER BY e.sequence LIMIT 1)
             FROM jsonb_each($1) AS f CROSS JOIN jobs j ON j.id = f.value ->> 'job' AND j.lane IS NOT NULL)
           AND blocked;
         DELETE FROM jobs WHERE id IN (SELECT value ->> 'job' FROM jsonb_each($1))",
    )
    .bind(json(&rows)?)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets the first unfinished job of each lane run, after another has left the lane.
pub(super) async fn promote(connection: &mut SqliteConnection, lanes: Vec<Option<String>>) -> Result<()> {
    let lanes: Vec<String> = lanes.into_iter().flatten().collect();
    if lanes.is_empty() {
        return Ok(());
    }
    // store::promote_jobs
    sqlx::query(
        "UPDATE jobs SET blocked = 0
         WHERE id IN (
             SELECT (SELECT e.id FROM jobs e WHERE e.lane = l.value AND e.parked_at IS NULL ORDER BY e.sequence LIMIT 1)
             FROM jsonb_each($1) AS l)
           AND blocked",
    )
    .bind(json(&lanes)?)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct WantedColumns {
    id: ConversationId,
    n: i64,
}

/// Reserves sequence numbers; answers the last number of each conversation.
pub(super) async fn reserve(
    connection: &mut SqliteConnection,
    wanted: &[(ConversationId, i64)],
) -> Result<Vec<(ConversationId, i64)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = wanted.iter().map(|(id, n)| WantedColumns { id: *id, n: *n }).collect();
    // store::reserve_sequences
    let rows = sqlx::query_as(
        "UPDATE conversations SET last_sequence = last_sequence + w.n
         FROM (SELECT value ->> 'id' AS conversation, value ->> 'n' AS n FROM jsonb_each($1)) AS w
         WHERE conversations.id = w.conversation
         RETURNING id, last_sequence",
    )
    .bind(json(&rows)?)
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Puts a job at the end of its lane, or of its lane's API messages: for what a person retries.
pub(super) async fn requeue(
    connection: &mut SqliteConnection,
    job: JobId,
    sequence: i64,
    now: i64,
) -> Result<()> {
    // store::requeue_job
    sqlx::query(
        "UPDATE jobs SET parked_at = NULL, due_at = $3, sequence = p.place, attempts = 0, first_attempt_at = NULL,
             lease_token = NULL, lease_until = NULL, dispatched_at = NULL,
             blocked = lane IS NOT NULL AND EXISTS (
                 SELECT 1 FROM jobs e
                 WHERE e.lane = jobs.lane AND e.parked_at IS NULL AND e.id <> jobs.id AND e.sequence < p.place)
         -- An API message stays behind every reply.
         FROM (SELECT j.id, $2 + CASE WHEN j.sequence >= $4 THEN $4 ELSE 0 END AS place FROM jobs j WHERE j.id = $1) AS p
         WHERE jobs.id = p.id",
    )
    .bind(job)
    .bind(sequence)
    .bind(now)
    .bind(API_PLACES_FROM)
    .execute(connection)
    .await?;
    Ok(())
}
