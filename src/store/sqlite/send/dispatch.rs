//! The fence before a request leaves: whether it may, decided under lock.

use sqlx::{FromRow, SqliteConnection};

use super::super::{SqliteStore, journal};
use super::rate::write_bucket;
use super::write_fate;
use crate::connectly::throttle::Bucket;
use crate::model::sending::{SendPolicy, Verdict, minute_before};
use crate::store::Result;
use crate::store::plan::journal::MessageRecord;
use crate::store::plan::sending::{self, Fence, Judgement, bucket_key};
use crate::store::rows::{duration_ms, millis};
use crate::store::work::{Dispatch, Sending};

pub(in crate::store::sqlite) async fn dispatch(
    store: &SqliteStore,
    sending: &Sending,
    policy: &SendPolicy,
) -> Result<Dispatch> {
    let mut tx = store.write().await?;
    let Some(mut record) = journal::load(&mut tx, &[sending.message]).await?.pop() else {
        return Ok(Dispatch::Lost);
    };
    let now = store.clock.now();
    let Some(Found { fence, bucket }) = find(&mut tx, sending, now).await? else {
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
        Verdict::Leave => leave(&mut tx, sending, bucket, record, fell_back, policy, now).await?,
        Verdict::Expire | Verdict::Suppress | Verdict::Park(_) | Verdict::Settled | Verdict::FallBack => {
            let ended = sending::end(verdict, record, &fence.job(sending.lease), sending.attempt, now);
            write_end(store, &mut tx, &ended, millis(now)).await?;
            Dispatch::Ended(ended.outcome)
        }
    };
    tx.commit().await?;
    Ok(answer)
}

/// What there is about a message that is still ours to send.
#[derive(FromRow)]
struct Found {
    #[sqlx(flatten)]
    fence: Fence,
    /// The account's bucket as the last send left it.
    bucket: Option<String>,
}

async fn find(
    connection: &mut SqliteConnection,
    sending: &Sending,
    now: jiff::Timestamp,
) -> Result<Option<Found>> {
    // store::dispatch (fence)
    let found = sqlx::query_as(
        "SELECT v.*, j.first_attempt_at, j.log, m.confirms_opt_out,
             (SELECT count(*) FROM sends s
              WHERE s.conversation_id = v.id AND s.dispatched_at > $3
                AND (SELECT r.origin FROM messages r WHERE r.id = s.message_id) = 'reply') AS replies_last_minute,
             EXISTS (SELECT 1 FROM settings p WHERE p.key = 'pause/sends') AS is_paused,
             EXISTS (
                 SELECT 1 FROM jobs e INDEXED BY jobs_under_way
                 WHERE e.lane = j.lane AND e.id <> j.id AND e.parked_at IS NULL AND e.dispatched_at IS NOT NULL
             ) AS another_is_under_way,
             (SELECT b.value FROM settings b WHERE b.key = $4) AS bucket
         FROM jobs j JOIN messages m ON m.id = j.message_id CROSS JOIN conversation_view v
         WHERE j.id = $1 AND j.lease_token = $2 AND j.parked_at IS NULL AND j.dispatched_at IS NULL
           AND v.id = m.conversation_id",
    )
    .bind(sending.lease.job)
    .bind(sending.lease.token.to_string())
    .bind(millis(minute_before(now)))
    .bind(bucket_key(&sending.account))
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Gives a claimed send back, due when it was: the attempt is not counted.
async fn ready_again(connection: &mut SqliteConnection, sending: &Sending) -> Result<()> {
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
    connection: &mut SqliteConnection,
    sending: &Sending,
    bucket: Option<String>,
    mut record: MessageRecord,
    fell_back: bool,
    policy: &SendPolicy,
    now: jiff::Timestamp,
) -> Result<Dispatch> {
    let left = bucket.and_then(|bucket| serde_json::from_str(&bucket).ok());
    let mut bucket = Bucket { rate: policy.rate, ..left.unwrap_or_else(|| Bucket::new(policy.rate)) };
    let taken = bucket.take(millis(now));
    write_bucket(connection, &sending.account, &bucket, millis(now)).await?;
    if let Err(delay) = taken {
        // store::dispatch (later)
        sqlx::query(
            "UPDATE jobs SET due_at = $2, attempts = attempts - 1, lease_token = NULL, lease_until = NULL,
                 first_attempt_at = CASE WHEN attempts > 1 THEN first_attempt_at END
             WHERE id = $1",
        )
        .bind(sending.lease.job)
        .bind(millis(now) + duration_ms(delay).max(1))
        .execute(connection)
        .await?;
        return Ok(Dispatch::Later(delay));
    }
    // store::dispatch (go)
    sqlx::query(
        "UPDATE jobs SET dispatched_at = $2, lease_until = $2 + $3,
             first_attempt_at = CASE WHEN $4 THEN $2 ELSE first_attempt_at END
         WHERE id = $1 AND dispatched_at IS NULL",
    )
    .bind(sending.lease.job)
    .bind(millis(now))
    .bind(duration_ms(policy.lease))
    .bind(fell_back)
    .execute(&mut *connection)
    .await?;
    let departure = sending::depart(&mut record, now);
    journal::write_sends(connection, &[record]).await?;
    Ok(Dispatch::Go(departure))
}

async fn write_end(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    ended: &sending::Ended,
    now: i64,
) -> Result<()> {
    journal::update(connection, std::slice::from_ref(&ended.record), now).await?;
    write_fate(store, connection, ended.finished.as_ref(), ended.postponed.as_ref(), now).await
}
