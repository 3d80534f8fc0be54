//! The fence before a request leaves: whether it may, decided under lock.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{PostgresStore, journal, queue};
use super::rate::{lock_bucket, write_bucket};
use super::write_fate;
use crate::connectly::throttle::Bucket;
use crate::model::id::ConversationId;
use crate::model::job::Lease;
use crate::model::sending::{SendPolicy, Verdict, minute_before};
use crate::store::Result;
use crate::store::plan::journal::MessageRecord;
use crate::store::plan::sending::{self, Fence, Judgement};
use crate::store::rows::{duration_ms, millis};
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
    let now = store.clock.now();
    let Some(fence) = fence(&mut tx, sending.lease, conversation, now).await? else {
        // Now, since a claim that finds the row locked passes it by.
        tx.rollback().await?;
        return Ok(Dispatch::Lost);
    };
    if let Some(held_back) = fence.holds_back() {
        ready_again(&mut tx, sending).await?;
        tx.commit().await?;
        return Ok(held_back);
    }
    let facts = fence.facts(&record, now);
    let Judgement { verdict, fell_back } = sending::judge(&mut record, facts, policy);
    let answer = match verdict {
        Verdict::Leave => leave(store, &mut tx, sending, record, fell_back, policy, now).await?,
        Verdict::Expire | Verdict::Suppress | Verdict::Park(_) | Verdict::Settled | Verdict::FallBack => {
            let ended = sending::end(verdict, record, &fence.job(sending.lease), sending.attempt, now);
            write_end(store, &mut tx, &ended, millis(now)).await?;
            Dispatch::Ended(ended.outcome)
        }
    };
    tx.commit().await?;
    Ok(answer)
}

/// What is known of a message that is still ours to send. The caller holds the conversation's lock.
async fn fence(
    connection: &mut PgConnection,
    lease: Lease,
    conversation: ConversationId,
    now: jiff::Timestamp,
) -> Result<Option<Fence>> {
    // store::dispatch (fence)
    let fence = sqlx::query_as(
        "SELECT v.*, j.first_attempt_at, j.log, m.confirms_opt_out,
             (SELECT count(*) FROM sends s
              WHERE s.conversation_id = v.id AND s.dispatched_at > $4
                AND (SELECT r.origin FROM messages r WHERE r.id = s.message_id) = 'reply') AS replies_last_minute,
             EXISTS (SELECT FROM settings p WHERE p.key = 'pause/sends') AS is_paused,
             EXISTS (
                 SELECT FROM jobs e
                 WHERE e.lane = j.lane AND e.id <> j.id AND e.parked_at IS NULL AND e.dispatched_at IS NOT NULL
             ) AS another_is_under_way
         FROM jobs j JOIN messages m ON m.id = j.message_id CROSS JOIN conversation_view v
         WHERE j.id = $1 AND j.lease_token = $2 AND j.parked_at IS NULL AND j.dispatched_at IS NULL AND v.id = $3
         FOR UPDATE OF j",
    )
    .bind(lease.job)
    .bind(Uuid::from_u128(lease.token.0))
    .bind(conversation)
    .bind(millis(minute_before(now)))
    .fetch_optional(connection)
    .await?;
    Ok(fence)
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
