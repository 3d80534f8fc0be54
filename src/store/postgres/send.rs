//! Sends: claiming, the fence before a request leaves, and settling its answer.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{PostgresStore, journal, queue};
use crate::connectly::throttle::Bucket;
use crate::model::id::{ConversationId, JobId, MessageId};
use crate::model::job::{Lease, place_of_send};
use crate::model::message::{Message, Origin, OwnState};
use crate::model::sending::{Facts, SendPolicy, Verdict, minute_before};
use crate::store::plan::journal::MessageRecord;
use crate::store::plan::outbox::send_job;
use crate::store::plan::sending::{self, Brakes, Holder, JobView, account_of, bucket_key};
use crate::store::plan::settle::{Finished, Postponed};
use crate::store::rows::{ConversationRow, MessageRow, SendingRow, attempts, duration_ms, millis, timestamp};
use crate::store::work::{
    Answer, ClaimSends, ClaimedSends, Dispatch, Resolution, SendAnswered, SendResult, Sending,
};
use crate::store::{Result, StoreError};

pub(super) async fn claim_sends(store: &PostgresStore, claim: &ClaimSends) -> Result<ClaimedSends> {
    let (buckets, now) = buckets(store, claim).await?;
    let budget = sending::budget(claim, &buckets, now);
    let exhausted = budget.exhausted.clone();
    if budget.accounts.is_empty() {
        return Ok(ClaimedSends { sends: Vec::new(), exhausted });
    }
    // store::claim_sends
    let rows: Vec<SendingRow> = sqlx::query_as(
        "WITH clock AS MATERIALIZED (SELECT switchboard_now($3) AS now),
         -- Looked up once, before any job is read.
         open AS MATERIALIZED (
             SELECT b.account, b.messages, b.replies FROM unnest($4::text[], $5::bigint[], $6::bigint[])
                 AS b (account, messages, replies)
             WHERE NOT EXISTS (SELECT FROM settings p WHERE p.key = 'pause/sends')
         ),
         replies AS MATERIALIZED (
             SELECT c.id, o.account FROM open o CROSS JOIN clock CROSS JOIN LATERAL (
                 SELECT j.id FROM jobs j
                 WHERE j.route = '' AND j.account = o.account AND j.parked_at IS NULL AND NOT j.blocked
                   AND j.sequence < 281474976710656 AND j.due_at <= clock.now
                   -- A request that left is never made again by a claim; an ended lease without one is.
                   AND j.dispatched_at IS NULL AND (j.lease_until IS NULL OR j.lease_until <= clock.now)
                   AND NOT EXISTS (
                       SELECT FROM jobs e WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence < j.sequence)
                   -- It may overtake API messages, but not one that is being sent: that is the first of them.
                   AND NOT EXISTS (
                       SELECT FROM (
                           SELECT e.dispatched_at, e.lease_until FROM jobs e
                           WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence >= 281474976710656
                           ORDER BY e.sequence LIMIT 1) e
                       WHERE e.dispatched_at IS NOT NULL OR e.lease_until > clock.now)
                 ORDER BY j.due_at, j.id
                 LIMIT o.replies
                 FOR UPDATE OF j SKIP LOCKED
             ) c
             LIMIT $1
         ),
         api AS MATERIALIZED (
             SELECT c.id FROM open o CROSS JOIN clock CROSS JOIN LATERAL (
                 SELECT j.id FROM jobs j
                 WHERE j.route = '' AND j.account = o.account AND j.parked_at IS NULL AND NOT j.blocked
                   AND j.sequence >= 281474976710656 AND j.due_at <= clock.now
                   AND j.dispatched_at IS NULL AND (j.lease_until IS NULL OR j.lease_until <= clock.now)
                   AND NOT EXISTS (
                       SELECT FROM jobs e WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence < j.sequence)
                 ORDER BY j.due_at, j.id
                 LIMIT o.messages - (SELECT count(*) FROM replies r WHERE r.account = o.account)
                 FOR UPDATE OF j SKIP LOCKED
             ) c
             LIMIT least($7, $1 - (SELECT count(*) FROM replies))
         ),
         leased AS (
             UPDATE jobs j SET lease_token = gen_random_uuid(), lease_until = clock.now + $2, attempts = j.attempts + 1,
                 first_attempt_at = coalesce(j.first_attempt_at, clock.now)
             FROM (SELECT id FROM replies UNION ALL SELECT id FROM api) due, clock WHERE j.id = due.id
             RETURNING j.id, j.lease_token, j.message_id, j.attempts, j.sequence
         )
         SELECT l.id AS job_id, l.lease_token::text AS token, l.attempts, v.id AS message_id, v.account,
             v.conversation_id, v.origin, v.business, v.phone, v.user_id, v.content, v.fallback, v.callback_data,
             v.campaign
         FROM leased l JOIN message_view v ON v.id = l.message_id
         ORDER BY l.sequence >= 281474976710656, l.id",
    )
    .bind(i64::from(claim.limit))
    .bind(duration_ms(claim.lease))
    .bind(store.clock.offset_ms())
    .bind(budget.accounts)
    .bind(budget.messages)
    .bind(budget.replies)
    .bind(i64::from(claim.api_limit))
    .fetch_all(&store.pool)
    .await?;
    let sends = rows.into_iter().map(SendingRow::into_sending).collect::<Result<_>>()?;
    Ok(ClaimedSends { sends, exhausted })
}

/// The accounts' buckets as the last sends left them, and the time by which they fill.
async fn buckets(store: &PostgresStore, claim: &ClaimSends) -> Result<(HashMap<String, Bucket>, i64)> {
    let keys: Vec<String> = claim.accounts.iter().map(|account| bucket_key(&account.name)).collect();
    // store::claim_sends (buckets)
    let rows: Vec<(Option<String>, Option<String>, i64)> = sqlx::query_as(
        "SELECT s.key, s.value, c.now FROM (SELECT switchboard_now($2) AS now) c
         LEFT JOIN settings s ON s.key = ANY($1)",
    )
    .bind(keys)
    .bind(store.clock.offset_ms())
    .fetch_all(&store.pool)
    .await?;
    let now = rows.first().map_or_else(|| millis(store.clock.now()), |(_, _, now)| *now);
    let bucket = |(key, value, _): (Option<String>, Option<String>, i64)| {
        let account = account_of(&key?)?.to_owned();
        Some((account, serde_json::from_str(&value?).ok()?))
    };
    Ok((rows.into_iter().filter_map(bucket).collect(), now))
}

pub(super) async fn dispatch(
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
    let verdict = sending::judge(&mut record, facts, policy);
    let answer = match verdict {
        Verdict::Leave => leave(store, &mut tx, sending, record, policy, now).await?,
        Verdict::Expire | Verdict::Suppress | Verdict::Park(_) | Verdict::Settled | Verdict::FallBack => {
            let ended = sending::end(verdict, record, &job, sending.attempt, now);
            write_end(store, &mut tx, &ended, millis(now)).await?;
            Dispatch::Ended(ended.outcome)
        }
    };
    tx.commit().await?;
    Ok(answer)
}

#[derive(FromRow)]
struct JobFacts {
    id: JobId,
    dispatched_at: Option<i64>,
    first_attempt_at: Option<i64>,
    log: String,
}

impl JobFacts {
    fn into_view(self) -> JobView {
        JobView {
            id: self.id,
            dispatched_at: self.dispatched_at.map(timestamp),
            first_attempt_at: self.first_attempt_at.map(timestamp),
            log: attempts(Some(&self.log)),
        }
    }
}

async fn fenced_job(connection: &mut PgConnection, lease: Lease) -> Result<Option<JobView>> {
    // store::dispatch (fence)
    let row: Option<JobFacts> = sqlx::query_as(
        "SELECT id, dispatched_at, first_attempt_at, log FROM jobs WHERE id = $1 AND lease_token = $2 AND parked_at IS NULL FOR UPDATE",
    )
    .bind(lease.job)
    .bind(Uuid::from_u128(lease.token.0))
    .fetch_optional(connection)
    .await?;
    Ok(row.map(JobFacts::into_view))
}

async fn is_paused(connection: &mut PgConnection) -> Result<bool> {
    // store::dispatch (paused)
    let paused = sqlx::query_scalar("SELECT EXISTS (SELECT FROM settings WHERE key = 'pause/sends')");
    Ok(paused.fetch_one(connection).await?)
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

/// Whether another message of the conversation has left and is not settled. A claim passes such a lane by, but two claims
/// at a time may each take one: of a reply and of an API message, which begins its lane beside the replies.
async fn another_is_under_way(connection: &mut PgConnection, sending: &Sending) -> Result<bool> {
    // store::dispatch (another)
    let another = sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM jobs j JOIN jobs e ON e.lane = j.lane AND e.id <> j.id
             WHERE j.id = $1 AND e.parked_at IS NULL AND e.dispatched_at IS NOT NULL)",
    );
    Ok(another.bind(sending.lease.job).fetch_one(connection).await?)
}

/// Draws from the account's rate and sets the fence, or postpones the job.
async fn leave(
    store: &PostgresStore,
    connection: &mut PgConnection,
    sending: &Sending,
    mut record: MessageRecord,
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
        "UPDATE jobs SET dispatched_at = $2, lease_until = switchboard_now($4) + $3
         WHERE id = $1 AND dispatched_at IS NULL",
    )
    .bind(sending.lease.job)
    .bind(millis(now))
    .bind(duration_ms(policy.lease))
    .bind(store.clock.offset_ms())
    .execute(&mut *connection)
    .await?;
    let departure = sending::depart(&mut record, now);
    journal::write_sends(connection, &[record]).await?;
    Ok(Dispatch::Go(departure))
}

/// Locks the account's bucket as the last send left it; the time is the database's, one for all instances.
async fn lock_bucket(
    store: &PostgresStore,
    connection: &mut PgConnection,
    account: &str,
) -> Result<(Option<Bucket>, i64)> {
    // store::dispatch (bucket)
    let (value, now): (String, i64) = sqlx::query_as(
        "INSERT INTO settings AS s (key, value, updated_at) VALUES ($1, '', switchboard_now($2))
         ON CONFLICT (key) DO UPDATE SET key = s.key
         RETURNING s.value, switchboard_now($2)",
    )
    .bind(bucket_key(account))
    .bind(store.clock.offset_ms())
    .fetch_one(connection)
    .await?;
    Ok((serde_json::from_str(&value).ok(), now))
}

/// Holds all sends of an account that Connectly refused for its rate.
async fn hold(
    store: &PostgresStore,
    connection: &mut PgConnection,
    account: &str,
    after: Duration,
) -> Result<()> {
    // Without a bucket nothing has left, so there is nothing to hold.
    let (Some(mut bucket), now) = lock_bucket(store, connection, account).await? else {
        return Ok(());
    };
    bucket.drain_until(now.saturating_add(duration_ms(after)));
    write_bucket(connection, account, &bucket, now).await
}

async fn write_bucket(connection: &mut PgConnection, account: &str, bucket: &Bucket, now: i64) -> Result<()> {
    let value = serde_json::to_string(bucket).map_err(|error| StoreError::Internal(error.to_string()))?;
    // store::dispatch (bucket drawn)
    sqlx::query("UPDATE settings SET value = $2, updated_at = $3 WHERE key = $1")
        .bind(bucket_key(account))
        .bind(value)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
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

async fn write_fate(
    store: &PostgresStore,
    connection: &mut PgConnection,
    finished: Option<&Finished>,
    postponed: Option<&Postponed>,
    now: i64,
) -> Result<()> {
    if let Some(finished) = finished {
        queue::finish(connection, std::slice::from_ref(finished), now, vec![store.clock.ulid()]).await?;
    }
    if let Some(postponed) = postponed {
        super::settle::postpone(connection, std::slice::from_ref(postponed), now, store.clock.offset_ms())
            .await?;
    }
    Ok(())
}

pub(super) async fn settle_send(
    store: &PostgresStore,
    sending: &Sending,
    answered: &SendAnswered,
) -> Result<SendResult> {
    let settled = settle_answer(store, sending, answered).await?;
    Ok(settled.map_or(SendResult::Superseded, |_| SendResult::Applied))
}

/// Settles a send, and says what we know of its message then; `None` when it was settled otherwise meanwhile.
pub(super) async fn settle_answer(
    store: &PostgresStore,
    sending: &Sending,
    answered: &SendAnswered,
) -> Result<Option<OwnState>> {
    let mut tx = store.pool.begin().await?;
    if matches!(answered.answer, Answer::OptedOut(_)) {
        lock_customer(&mut tx, sending.conversation).await?;
    }
    let Some(conversation) = queue::lock_of_message(&mut tx, sending.message).await? else {
        return Ok(None);
    };
    let holder = holder(&mut tx, sending, &answered.answer).await?;
    let ids: Vec<MessageId> = std::iter::once(sending.message).chain(holder.observed()).collect();
    let records = journal::load(&mut tx, &ids).await?;
    let (record, observed): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.id == sending.message);
    let job = job_of(&mut tx, sending.message).await?;
    let now = store.clock.now();
    let Some(answer) = sending::answer(record, observed, holder, job, answered, now) else {
        tx.rollback().await?;
        return Ok(None);
    };
    if let Some(observed) = answer.absorbed {
        // store::settle_send (observed before)
        sqlx::query("DELETE FROM messages WHERE id = $1").bind(observed).execute(&mut *tx).await?;
    }
    journal::update(&mut tx, std::slice::from_ref(&answer.record), millis(now)).await?;
    if answer.window_closed {
        journal::close_windows(&mut tx, &[(conversation, answered.departure.at)].into()).await?;
    }
    if answer.opted_out {
        journal::opt_out(&mut tx, conversation, millis(now)).await?;
    }
    write_fate(store, &mut tx, answer.finished.as_ref(), answer.postponed.as_ref(), millis(now)).await?;
    if answer.clears_fence {
        // store::settle_send (not processed)
        sqlx::query("UPDATE jobs SET dispatched_at = NULL WHERE message_id = $1")
            .bind(sending.message)
            .execute(&mut *tx)
            .await?;
    }
    if answer.requeue {
        enqueue(store, &mut tx, conversation, sending.message).await?;
    }
    if let Answer::NotProcessed { after, drain: true } = &answered.answer {
        hold(store, &mut tx, &sending.account, *after).await?;
    }
    tx.commit().await?;
    Ok(Some(answer.record.own))
}

/// Locks the customer who is opted out, before any conversation, in the order that everybody takes them in.
async fn lock_customer(connection: &mut PgConnection, conversation: ConversationId) -> Result<()> {
    // store::settle_send (customer)
    sqlx::query(
        "SELECT id FROM customers WHERE id = (SELECT c.customer_id FROM conversations c WHERE c.id = $1) FOR UPDATE",
    )
    .bind(conversation)
    .execute(connection)
    .await?;
    Ok(())
}

/// Which other message holds the accepted id.
async fn holder(connection: &mut PgConnection, sending: &Sending, answer: &Answer) -> Result<Holder> {
    let Answer::Accepted(id) = answer else {
        return Ok(Holder::Nobody);
    };
    // store::settle_send (holder of the id)
    let found: Option<(MessageId, String)> = sqlx::query_as(
        "SELECT s.message_id, m.origin FROM sends s JOIN messages m ON m.id = s.message_id
         WHERE s.account = $1 AND s.provider_message_id = $2 AND m.id <> $3",
    )
    .bind(&sending.account)
    .bind(id)
    .bind(sending.message)
    .fetch_optional(connection)
    .await?;
    Ok(Holder::of(found))
}

async fn job_of(connection: &mut PgConnection, message: MessageId) -> Result<Option<JobView>> {
    // store::settle_send (job)
    let row: Option<JobFacts> = sqlx::query_as(
        "SELECT id, dispatched_at, first_attempt_at, log FROM jobs WHERE message_id = $1 FOR UPDATE",
    )
    .bind(message)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(JobFacts::into_view))
}

/// A new job for a message at the end of its class in the conversation's lane. The caller holds the conversation's lock.
async fn enqueue(
    store: &PostgresStore,
    connection: &mut PgConnection,
    conversation: ConversationId,
    message: MessageId,
) -> Result<()> {
    // store::enqueue (message)
    let (account, origin): (String, String) =
        sqlx::query_as("SELECT account, origin FROM messages WHERE id = $1")
            .bind(message)
            .fetch_one(&mut *connection)
            .await?;
    let last = queue::reserve(connection, &[(conversation, 1)]).await?;
    let origin = Origin::parse(&origin).unwrap_or(Origin::Reply);
    let place = place_of_send(origin, last.first().map_or(0, |(_, last)| *last));
    let job = send_job(store.id(), &account, message, conversation, place);
    queue::insert(connection, &[job], millis(store.clock.now()), store.clock.offset_ms()).await
}

/// The same, unless the message has a job: that is still at its first send, and goes on to the next one by itself.
pub(super) async fn enqueue_unless_queued(
    store: &PostgresStore,
    connection: &mut PgConnection,
    conversation: ConversationId,
    message: MessageId,
) -> Result<()> {
    // store::enqueue (queued)
    let queued: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM jobs WHERE message_id = $1)")
        .bind(message)
        .fetch_one(&mut *connection)
        .await?;
    if queued { Ok(()) } else { enqueue(store, connection, conversation, message).await }
}

pub(super) async fn resolve(
    store: &PostgresStore,
    message: MessageId,
    resolution: Resolution,
) -> Result<Message> {
    let mut tx = store.pool.begin().await?;
    let Some(conversation) = queue::lock_of_message(&mut tx, message).await? else {
        return Err(sending::NOT_UNCONFIRMED);
    };
    let record = journal::load(&mut tx, &[message]).await?.pop();
    let record = sending::resolve(record, resolution, store.clock.now())?;
    journal::update(&mut tx, std::slice::from_ref(&record), millis(store.clock.now())).await?;
    if resolution == Resolution::NotSent {
        enqueue(store, &mut tx, conversation, message).await?;
    }
    // store::resolve (answer)
    let row: MessageRow =
        sqlx::query_as("SELECT * FROM message_view WHERE id = $1").bind(message).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(row.into_message())
}
