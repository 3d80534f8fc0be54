//! Questions about jobs, and what a person does with them.

use sqlx::{PgConnection, QueryBuilder};

use super::{PostgresStore, journal, queue};
use crate::model::id::{JobId, MessageId};
use crate::model::job::{Job, JobState};
use crate::store::plan::journal::MessageRecord;
use crate::store::plan::sending;
use crate::store::plan::settle::Finished;
use crate::store::query::{JobCount, JobFilter, Page, PageRequest};
use crate::store::question::narrow;
use crate::store::rows::{JobRow, millis};
use crate::store::{Result, StoreError};

pub(super) async fn job(store: &PostgresStore, id: JobId) -> Result<Option<Job>> {
    let mut connection = store.readers.acquire().await?;
    find(store, &mut connection, id).await
}

async fn find(store: &PostgresStore, connection: &mut PgConnection, id: JobId) -> Result<Option<Job>> {
    // store::job
    let row: Option<JobRow> = sqlx::query_as(
        "SELECT id, kind, route, event_id, message_id, attempts, due_at, last_error, log,
             CASE WHEN parked_at IS NOT NULL THEN 'parked'
                 WHEN dispatched_at IS NOT NULL OR lease_until > switchboard_now($2) THEN 'running'
                 ELSE 'ready' END AS state
         FROM jobs WHERE id = $1
         UNION ALL
         SELECT job_id, kind, route, event_id, message_id, attempts, NULL, last_error, log,
             CASE outcome WHEN 'discarded' THEN 'discarded' ELSE 'done' END
         FROM outcomes WHERE job_id = $1
         LIMIT 1",
    )
    .bind(id)
    .bind(store.clock.offset_ms())
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.into_job(true)).transpose()
}

pub(super) async fn jobs(
    store: &PostgresStore,
    filter: &JobFilter,
    page: PageRequest<JobId>,
) -> Result<Page<Job>> {
    let mut query = match filter.state {
        Some(JobState::Done | JobState::Discarded) => QueryBuilder::new(
            "/* store::jobs (finished) */ SELECT * FROM (
                 SELECT o.job_id AS id, o.kind, o.route, o.event_id, o.message_id, o.attempts, NULL::bigint AS due_at,
                     o.last_error, o.log,
                     CASE o.outcome WHEN 'discarded' THEN 'discarded' ELSE 'done' END AS state
                 FROM outcomes o) j WHERE true",
        ),
        Some(JobState::Ready | JobState::Running | JobState::Parked) | None => {
            let mut query =
                QueryBuilder::new("/* store::jobs */ WITH clock AS MATERIALIZED (SELECT switchboard_now(");
            query.push_bind(store.clock.offset_ms());
            // The time from beside it: a subquery that calls a volatile function is not merged with what is around it, and every
            // job would be read and sorted before the page is cut off.
            query.push(
                ") AS now)
                 SELECT * FROM (
                     SELECT id, kind, route, event_id, message_id, attempts, due_at, last_error, log,
                         CASE WHEN parked_at IS NOT NULL THEN 'parked'
                             WHEN dispatched_at IS NOT NULL OR lease_until > (SELECT now FROM clock) THEN 'running'
                             ELSE 'ready' END AS state
                     FROM jobs) j WHERE true",
            );
            query
        }
    };
    narrow::jobs(&mut query, filter);
    narrow::page(&mut query, page);
    let rows: Vec<JobRow> = query.build_query_as().fetch_all(&store.readers).await?;
    let jobs = rows.into_iter().map(|row| row.into_job(false)).collect::<Result<Vec<_>>>()?;
    Ok(Page::of(jobs, page.limit))
}

pub(super) async fn retry(store: &PostgresStore, id: JobId) -> Result<Option<Job>> {
    let mut tx = store.pool.begin().await?;
    let Some(job) = find(store, &mut tx, id).await? else {
        return Ok(None);
    };
    let conversations = queue::lock_of_jobs(&mut tx, &[id], &[]).await?;
    change_message(store, &mut tx, job.message_id, sending::retry).await?;
    if lock_state(store, &mut tx, id).await? != Some(JobState::Parked) {
        // Now, since a claim that finds the row locked passes it by.
        tx.rollback().await?;
        return Err(StoreError::Conflict("only a parked job can be retried"));
    }
    let wanted: Vec<_> = conversations.into_iter().map(|conversation| (conversation, 1)).collect();
    let last = queue::reserve(&mut tx, &wanted).await?;
    queue::requeue(&mut tx, id, last.first().map_or(0, |(_, last)| *last), store.clock.offset_ms()).await?;
    let job = find(store, &mut tx, id).await?;
    tx.commit().await?;
    Ok(job)
}

async fn change_message(
    store: &PostgresStore,
    connection: &mut PgConnection,
    message: Option<MessageId>,
    change: fn(&mut MessageRecord),
) -> Result<()> {
    let Some(mut record) = journal::load(connection, message.as_slice()).await?.pop() else {
        return Ok(());
    };
    change(&mut record);
    journal::update(connection, &[record], millis(store.clock.now())).await
}

pub(super) async fn discard(store: &PostgresStore, id: JobId) -> Result<Option<Job>> {
    let mut tx = store.pool.begin().await?;
    let Some(job) = find(store, &mut tx, id).await? else {
        return Ok(None);
    };
    queue::lock_of_jobs(&mut tx, &[id], &[]).await?;
    change_message(store, &mut tx, job.message_id, sending::discard).await?;
    let conflict = match lock_state(store, &mut tx, id).await? {
        Some(JobState::Parked | JobState::Ready) => None,
        Some(JobState::Running) => Some("a running job cannot be discarded"),
        Some(JobState::Done | JobState::Discarded) | None => Some("the job is finished already"),
    };
    if let Some(conflict) = conflict {
        tx.rollback().await?;
        return Err(StoreError::Conflict(conflict));
    }
    let log = serde_json::to_string(&job.log).unwrap_or_else(|_| "[]".to_owned());
    let finished = Finished { job: id, outcome: "discarded", detail: None, log };
    let next =
        queue::finish(&mut tx, &[finished], millis(store.clock.now()), vec![store.clock.ulid()]).await?;
    let job = find(store, &mut tx, id).await?;
    tx.commit().await?;
    store.heads.back_to(&next);
    Ok(job)
}

async fn lock_state(
    store: &PostgresStore,
    connection: &mut PgConnection,
    id: JobId,
) -> Result<Option<JobState>> {
    // store::lock_job
    sqlx::query("SELECT id FROM jobs WHERE id = $1 FOR UPDATE").bind(id).execute(&mut *connection).await?;
    Ok(find(store, connection, id).await?.map(|job| job.state))
}

pub(super) async fn counts(store: &PostgresStore) -> Result<Vec<JobCount>> {
    // store::job_counts
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT kind, route, state, count(*) FROM (
             SELECT kind, route, CASE WHEN parked_at IS NOT NULL THEN 'parked'
                 WHEN dispatched_at IS NOT NULL OR lease_until > (SELECT switchboard_now($1)) THEN 'running'
                 ELSE 'ready' END AS state
             FROM jobs) j
         GROUP BY kind, route, state ORDER BY kind, route, state",
    )
    .bind(store.clock.offset_ms())
    .fetch_all(&store.readers)
    .await?;
    Ok(rows.into_iter().filter_map(JobCount::of).collect())
}
