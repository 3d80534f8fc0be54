//! The fence before a request leaves: whether it may, decided under lock.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{PostgresStore, journal, queue};
use super::rate::{lock_bucket, write_bucket};
use super::write_fate;
use crate::connectly::throttle::Bucket;
use crate::model::id::ConversationId;
use crate::model::job::Lease;
use crate::model::sending::{Facts, SendPolicy, Verdict, minute_before};
use crate::store::Result;
use crate::store::plan::journal::MessageRecord;
use crate::store::plan::sending::{self, Brakes, JobView, Judgement};
use crate::store::rows::{ConversationRow, SendJobRow, duration_ms, millis};
use crate::store::work::{Dispatch, Sending};

pub(in crate::store::postgres) async fn dispatch(
    store: &PostgresStore,
    sending: &Sending,
    policy: &SendPolicy,
) -> Result<Dispatch> {
    let mut tx = store.pool.begin().await?;
    let conversation = queue::lock_of_message(&mut tx, sending.message).await?;
    let record = journal::load(&mut tx, &[sending.message]).await?.pop();
    let (Some(conversation), Some(mut record)) = (conversation, record) else {
        tx.rollback().await?;
        return Ok(Dispatch::Lost);
    };
    let Some(job) = fenced_job(&mut tx, sending.lease).await?.filter(|job| job.dispatched_at.is_none())
    else {
        // Now, since a claim that finds the row locked passes it by.
        tx.rollback().await?;
        return Ok(Dispatch::Lost);
    };
    if is_paused(&mut tx).await? {
        ready_again(&mut tx, sending).await?;
        tx.commit().await?;
        return Ok(Dispatch::Paused);
    }
    let now = store.clock.now();
    if another_is_under_way(&mut tx, sending).await? {
        ready_again(&mut tx, sending).await?;
        tx.commit().await?;
        return Ok(Dispatch::Behind);
    }
    let facts = facts(&mut tx, &record, &job, conversation, now).await?;
    let Judgement { verdict, fell_back } = sending::judge(&mut record, facts, policy);
    let answer = match verdict {
        Verdict::Leave => leave(store, &mut tx, sending, record, fell_back, policy, now).await?,
        Verdict::Expire | Verdict::Suppress | Verdict::Park(_) | Verdict::Settled | Verdict::FallBack => {
            let ended = sending::end(verdict, record, &job, sending.attempt, now);
            write_end(store, &mut tx, &ended, millis(now)).await?;
            Dispatch::Ended(ended.outcome)
        }
    };
    tx.commit().await?;
    Ok(answer)
}

async fn fenced_job(connection: &mut PgConnection, lease: Lease) -> Result<Option<JobView>> {
    // store::dispatch (fence)
    let row: Option<SendJobRow> = sqlx::query_as(
        "SELECT id, dispatched_at, first_attempt_at, log FROM jobs WHERE id = $1 AND lease_token = $2 AND parked_at IS NULL FOR UPDATE",
    )
    .bind(lease.job)
    .bind(Uuid::from_u128(lease.token.0))
    .fetch_optional(connection)
    .await?;
    Ok(row.map(SendJobRow::into_view))
}

async fn is_paused(connection: &mut PgConnection) -> Result<bool> {
    // store::dispatch (paused)
    let paused = sqlx::query_scalar("SELECT EXISTS (SELECT FROM settings WHERE key = 'pause/sends')");
    Ok(paused.fetch_one(connection).await?)
}

/// Whether another message of the conversation has left and is not settled. A claim passes such a lane by, but two claims
/// at a time may each take one: of a reply and of an API message, which begins its lane beside the replies. And two may have
/// been claimed before their conversations became one.
async fn another_is_under_way(connection: &mut PgConnection, sending: &Sending) -> Result<bool> {
    // store::dispatch (another)
    let another = sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM jobs j JOIN jobs e ON e.lane = j.lane AND e.id <> j.id
             WHERE j.id = $1 AND e.parked_at IS NULL AND e.dispatched_at IS NOT NULL)",
    );
    Ok(another.bind(sending.lease.job).fetch_one(connection).await?)
}

/// Gives a claimed send back, due when it was: the attempt is not counted.
async fn ready_again(connection: &mut PgConnection, sending: &Sending) -> Result<()> {
    // store::dispatch (ready again)
    sqlx::query(
        "UPDATE jobs SET attempts = attempts - 1, lease_token = NULL, lease_until = NULL,
             first_attempt_at = CASE WHEN attempts > 1 THEN first_attempt_at END
         WHERE id = $1",
    )
    .bind(sending.lease.job)
    .execute(connection)
    .await?;
    Ok(())
}

async fn facts(
    connection: &mut PgConnection,
    record: &MessageRecord,
    job: &JobView,
    conversation: ConversationId,
    now: jiff::Timestamp,
) -> Result<Facts> {
    // store::dispatch (conversation)
    let sides: ConversationRow = sqlx::query_as("SELECT * FROM conversation_view WHERE id = $1")
        .bind(conversation)
        .fetch_one(&mut *connection)
        .await?;
    // store::dispatch (loop guard)
    let brakes: Brakes = sqlx::query_as(
        "SELECT m.confirms_opt_out,
             (SELECT count(*) FROM sends s JOIN messages r ON r.id = s.message_id
              WHERE s.conversation_id = $2 AND s.dispatched_at > $3 AND r.origin = 'reply') AS replies_last_minute
         FROM messages m WHERE m.id = $1",
    )
    .bind(record.id)
    .bind(conversation)
    .bind(millis(minute_before(now)))
    .fetch_one(connection)
    .await?;
    Ok(sending::facts(record, &sides, job, brakes, now))
}

/// Draws from the account's rate and sets the fence, or postpones the job.
async fn leave(
    store: &PostgresStore,
    connection: &mut PgConnection,
    sending: &Sending,
    mut record: MessageRecord,
    fell_back: bool,
    policy: &SendPolicy,
    now: jiff::Timestamp,
) -> Result<Dispatch> {
    let (left, bucket_now) = lock_bucket(store, connection, &sending.account).await?;
    let mut bucket = Bucket { rate: policy.rate, ..left.unwrap_or_else(|| Bucket::new(policy.rate)) };
    let taken = bucket.take(bucket_now);
    write_bucket(connection, &sending.account, &bucket, bucket_now).await?;
    if let Err(delay) = taken {
        // store::dispatch (later)
        sqlx::query(
            "UPDATE jobs SET due_at = switchboard_now($3) + $2, attempts = attempts - 1, lease_token = NULL,
                 lease_until = NULL, first_attempt_at = CASE WHEN attempts > 1 THEN first_attempt_at END
             WHERE id = $1",
        )
        .bind(sending.lease.job)
        .bind(duration_ms(delay).max(1))
        .bind(store.clock.offset_ms())
        .execute(connection)
        .await?;
        return Ok(Dispatch::Later(delay));
    }
    // store::dispatch (go)
    sqlx::query(
        "UPDATE jobs SET dispatched_at = $2, lease_until = switchboard_now($4) + $3,
             first_attempt_at = CASE WHEN $5 THEN $2 ELSE first_attempt_at END
         WHERE id = $1 AND dispatched_at IS NULL",
    )
    .bind(sending.lease.job)
    .bind(millis(now))
    .bind(duration_ms(policy.lease))
    .bind(store.clock.offset_ms())
    .bind(fell_back)
    .execute(&mut *connection)
    .await?;
    let departure = sending::depart(&mut record, now);
    journal::write_sends(connection, &[record]).await?;
    Ok(Dispatch::Go(departure))
}

async fn write_end(
    store: &PostgresStore,
    connection: &mut PgConnection,
    ended: &sending::Ended,
    now: i64,
) -> Result<()> {
    journal::update(connection, std::slice::from_ref(&ended.record), now).await?;
    write_fate(store, connection, ended.finished.as_ref(), ended.postponed.as_ref(), now).await
}
