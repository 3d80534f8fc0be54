//! Rows of the queue: inserting jobs, finishing them, numbering them anew.

use std::collections::HashMap;

use sqlx::PgConnection;
use ulid::Ulid;
use uuid::Uuid;

use super::heads::Waiting;
use crate::model::id::{ConversationId, JobId, MessageId};
use crate::model::job::API_PLACES_FROM;
use crate::store::plan::group::NewJob;
use crate::store::plan::settle::Finished;
use crate::store::rows::duration_ms;
use crate::store::{Result, StoreError};

/// Inserts jobs, due at once. Of those that are offered, the ones that head their lane are leased, unless their route is
/// paused; answers these, with the time of their first attempt.
pub(super) async fn insert(
    connection: &mut PgConnection,
    jobs: &[NewJob],
    now: i64,
    offset_ms: i64,
) -> Result<HashMap<JobId, i64>> {
    if jobs.is_empty() {
        return Ok(HashMap::new());
    }
    // store::insert_jobs
    let born: Vec<(JobId, Option<i64>)> = sqlx::query_as(
        "WITH clock AS MATERIALIZED (SELECT switchboard_now($12) AS now),
         placed AS (
             SELECT n.*, lane IS NOT NULL AND reason IS NULL AND (
                 row_number() OVER (PARTITION BY lane, reason IS NULL ORDER BY sequence) > 1
                 -- A reply is put in front of API messages.
                 OR EXISTS (
                     SELECT FROM jobs e WHERE e.lane = n.lane AND e.parked_at IS NULL AND e.sequence < n.sequence))
                 AS blocked
             FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[],
                 $9::bigint[], $10::text[], $13::bigint[], $14::uuid[], $15::bigint[])
                 AS n (id, kind, account, route, event_id, message_id, conversation_id, lane, sequence, reason, run, token,
                     lasts)
         ), born AS (
             SELECT *, token IS NOT NULL AND NOT blocked
                 AND NOT EXISTS (SELECT FROM settings p WHERE p.key = 'pause/route/' || placed.route) AS leased
             FROM placed
         )
         INSERT INTO jobs (id, kind, account, route, event_id, message_id, conversation_id, lane, sequence, due_at,
             parked_at, last_error, created_at, run, blocked, lease_token, lease_until, attempts, first_attempt_at)
         SELECT id, kind, account, route, event_id, message_id, conversation_id, lane, sequence, now,
             CASE WHEN reason IS NULL THEN NULL ELSE $11 END, reason, $11, run, blocked, CASE WHEN leased THEN token END,
             CASE WHEN leased THEN now + lasts END, CASE WHEN leased THEN 1 ELSE 0 END, CASE WHEN leased THEN now END
         FROM born, clock
         RETURNING id, first_attempt_at",
    )
    .bind(jobs.iter().map(|job| job.id).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.kind.as_str()).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.account.as_str()).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.route.as_str()).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.event).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.message).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.conversation).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.lane.as_ref().map(crate::model::job::Lane::as_str)).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.sequence).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.parked.as_deref()).collect::<Vec<_>>())
    .bind(now)
    .bind(offset_ms)
    .bind(jobs.iter().map(|job| job.run).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.offered.map(|lease| Uuid::from_u128(lease.token.0))).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.offered.map(|lease| duration_ms(lease.lasts))).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(born.into_iter().filter_map(|(job, at)| Some((job, at?))).collect())
}

/// Moves jobs from the queue to the record of outcomes, and lets the next of their lanes run, which it answers. The caller holds
/// their locks, and the conversations'.
pub(super) async fn finish(
    connection: &mut PgConnection,
    finished: &[Finished],
    at: i64,
    ids: Vec<Ulid>,
) -> Result<Vec<Waiting>> {
    if finished.is_empty() {
        return Ok(Vec::new());
    }
    // store::finish_jobs
    let next = sqlx::query_as(
        "WITH gone AS (
             DELETE FROM jobs j USING unnest($2::uuid[], $1::uuid[], $3::text[], $4::text[], $5::text[])
                 AS f (job_id, id, outcome, last_error, log)
             WHERE j.id = f.job_id AND j.id = ANY($2)
             RETURNING f.id, j.id AS job_id, j.lane, j.kind, nullif(j.route, '') AS route, j.event_id, j.message_id, j.run,
                 f.outcome, j.attempts, coalesce(f.last_error, j.last_error) AS last_error, f.log
         ), kept AS (
         INSERT INTO outcomes (id, job_id, kind, route, event_id, message_id, run, outcome, at, attempts, last_error, log)
         SELECT id, job_id, kind, route, event_id, message_id, run, outcome, $6, attempts, last_error, log FROM gone
         )
         -- As `promote` does; within this statement the jobs that leave can still be seen.
         UPDATE jobs j SET blocked = false
         WHERE j.blocked AND j.id = ANY(ARRAY(
             SELECT (SELECT e.id FROM jobs e
                     WHERE e.lane = l.lane AND e.parked_at IS NULL AND e.id NOT IN (SELECT unnest($2::uuid[]))
                     ORDER BY e.sequence LIMIT 1)
             FROM (SELECT DISTINCT lane FROM gone WHERE lane IS NOT NULL) l))
         RETURNING j.route, j.due_at",
    )
    .bind(ids.into_iter().map(|id| uuid::Uuid::from_u128(id.0)).collect::<Vec<_>>())
    .bind(finished.iter().map(|job| job.job).collect::<Vec<_>>())
    .bind(finished.iter().map(|job| job.outcome).collect::<Vec<_>>())
    .bind(finished.iter().map(|job| job.detail.as_deref()).collect::<Vec<_>>())
    .bind(finished.iter().map(|job| job.log.as_str()).collect::<Vec<_>>())
    .bind(at)
    .fetch_all(connection)
    .await?;
    Ok(next)
}

/// Lets the first unfinished job of each lane run, after another has left the lane; answers these. The caller holds the
/// conversations' locks, so that no job is being put into the lane meanwhile.
pub(super) async fn promote(connection: &mut PgConnection, lanes: &[String]) -> Result<Vec<Waiting>> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    // store::promote_jobs
    let next = sqlx::query_as(
        "UPDATE jobs j SET blocked = false
         WHERE j.blocked AND j.id = ANY(ARRAY(
             SELECT (SELECT e.id FROM jobs e WHERE e.lane = l.lane AND e.parked_at IS NULL ORDER BY e.sequence LIMIT 1)
             FROM unnest($1::text[]) AS l (lane)))
         RETURNING j.route, j.due_at",
    )
    .bind(lanes)
    .fetch_all(connection)
    .await?;
    Ok(next)
}

/// Locks the conversation of a message, as it is now: a merge may have put it into another.
pub(super) async fn lock_of_message(
    connection: &mut PgConnection,
    message: MessageId,
) -> Result<Option<ConversationId>> {
    // store::lock_conversations (of a message)
    let locked: Vec<LockedRow> = sqlx::query_as(
        "SELECT id, merged_into FROM conversations
         WHERE id = (SELECT m.conversation_id FROM messages m WHERE m.id = $1) FOR UPDATE",
    )
    .bind(message)
    .fetch_all(connection)
    .await?;
    Ok(standing(locked)?.pop())
}

/// Locks the conversations that jobs belong to, and more, in the one order that everybody takes them in: that of their
/// keys, as a group's upsert does.
pub(super) async fn lock_of_jobs(
    connection: &mut PgConnection,
    jobs: &[JobId],
    more: &[ConversationId],
) -> Result<Vec<ConversationId>> {
    // store::lock_conversations (of jobs)
    let locked: Vec<LockedRow> = sqlx::query_as(
        "SELECT id, merged_into FROM conversations
         -- One list: with OR, every conversation would be looked at.
         WHERE id = ANY(ARRAY(SELECT unnest($2::uuid[]) UNION SELECT j.conversation_id FROM jobs j WHERE j.id = ANY($1)))
         ORDER BY account COLLATE \"C\", business COLLATE \"C\", customer_id FOR UPDATE",
    )
    .bind(jobs)
    .bind(more)
    .fetch_all(connection)
    .await?;
    standing(locked)
}

/// A conversation's id, and that of the one it was merged into.
pub(super) type LockedRow = (ConversationId, Option<ConversationId>);

/// The conversations that were locked. One that was merged while its lock was waited for is not the right one any more.
pub(super) fn standing(locked: Vec<LockedRow>) -> Result<Vec<ConversationId>> {
    let standing = |(id, merged_into): LockedRow| match merged_into {
        None => Ok(id),
        Some(_) => Err(StoreError::Contention("a conversation was merged by another transaction".to_owned())),
    };
    locked.into_iter().map(standing).collect()
}

/// Reserves sequence numbers in locked conversations; answers the last number of each.
pub(super) async fn reserve(
    connection: &mut PgConnection,
    wanted: &[(ConversationId, i64)],
) -> Result<Vec<(ConversationId, i64)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // store::reserve_sequences
    let rows = sqlx::query_as(
        "UPDATE conversations c SET last_sequence = c.last_sequence + w.n
         FROM unnest($1::uuid[], $2::bigint[]) AS w (id, n) WHERE c.id = w.id AND c.id = ANY($1)
         RETURNING c.id, c.last_sequence",
    )
    .bind(wanted.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, n)| *n).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Puts a job at the end of its lane, or of its lane's API messages: for what a person retries.
pub(super) async fn requeue(
    connection: &mut PgConnection,
    job: JobId,
    sequence: i64,
    offset_ms: i64,
) -> Result<()> {
    // store::requeue_job
    sqlx::query(
        "UPDATE jobs SET parked_at = NULL, due_at = switchboard_now($3), sequence = p.place, attempts = 0,
             first_attempt_at = NULL, lease_token = NULL, lease_until = NULL, dispatched_at = NULL,
             blocked = lane IS NOT NULL AND EXISTS (
                 SELECT FROM jobs e
                 WHERE e.lane = jobs.lane AND e.parked_at IS NULL AND e.id <> jobs.id AND e.sequence < p.place)
         -- An API message stays behind every reply.
         FROM (SELECT j.id, $2 + CASE WHEN j.sequence >= $4 THEN $4 ELSE 0 END AS place FROM jobs j WHERE j.id = $1) p
         WHERE jobs.id = p.id",
    )
    .bind(job)
    .bind(sequence)
    .bind(offset_ms)
    .bind(API_PLACES_FROM)
    .execute(connection)
    .await?;
    Ok(())
}
