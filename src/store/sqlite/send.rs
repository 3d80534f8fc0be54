//! Sends: claiming, the fence before a request leaves, and settling its answer.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{FromRow, SqliteConnection};

use super::{SqliteStore, journal, json, queue, settle};
use crate::connectly::throttle::Bucket;
use crate::model::id::{ConversationId, JobId, MessageId};
use crate::model::job::{Lease, place_of_send};
use crate::model::message::{Message, Origin, OwnState};
use crate::model::sending::{Facts, SendPolicy, Verdict, minute_before};
use crate::store::plan::journal::MessageRecord;
use crate::store::plan::outbox::send_job;
use crate::store::plan::sending::{self, Brakes, Budget, Holder, JobView, bucket_key};
use crate::store::plan::settle::{Finished, Postponed};
use crate::store::rows::{ConversationRow, MessageRow, SendingRow, attempts, duration_ms, millis, timestamp};
use crate::store::work::{
    Answer, ClaimSends, ClaimedSends, Dispatch, Resolution, SendAnswered, SendResult, Sending,
};
use crate::store::{Result, StoreError};

pub(super) async fn claim_sends(store: &SqliteStore, claim: &ClaimSends) -> Result<ClaimedSends> {
    let now = millis(store.clock.now());
    let mut tx = store.write().await?;
    let mut budget = sending::budget(claim, &buckets(&mut tx, claim).await?, now);
    let exhausted = std::mem::take(&mut budget.exhausted);
    let due = due(&mut tx, claim, &budget, now).await?;
    if due.is_empty() {
        return Ok(ClaimedSends { sends: Vec::new(), exhausted });
    }
    queue::lease(store, &mut tx, due.iter().copied(), now, duration_ms(claim.lease)).await?;
    // store::claim_sends (messages)
    let rows: Vec<SendingRow> = sqlx::query_as(
        "SELECT j.id AS job_id, j.lease_token AS token, j.attempts, v.id AS message_id, v.account,
             v.conversation_id, v.origin, v.business, v.phone, v.user_id, v.content, v.fallback, v.callback_data,
             v.campaign
         FROM jobs j JOIN message_view v ON v.id = j.message_id
         WHERE j.id IN (SELECT value FROM json_each($1))
         ORDER BY j.sequence >= 281474976710656, j.due_at, j.id",
    )
    .bind(json(&due)?)
    .fetch_all(&mut *tx)
    .await?;
    let sends = rows.into_iter().map(SendingRow::into_sending).collect::<Result<_>>()?;
    tx.commit().await?;
    Ok(ClaimedSends { sends, exhausted })
}

/// The sends to claim, of each account as many as it may send, replies before API messages.
async fn due(
    connection: &mut SqliteConnection,
    claim: &ClaimSends,
    budget: &Budget,
    now: i64,
) -> Result<Vec<JobId>> {
    let mut due = Vec::new();
    let (mut left, mut api_left) = (i64::from(claim.limit), i64::from(claim.api_limit));
    let accounts = budget.accounts.iter().zip(budget.messages.iter().zip(&budget.replies));
    for (account, (messages, replies)) in accounts {
        let found = due_of(connection, account, Class::Replies, (*replies).min(left), now).await?;
        let replies = i64::try_from(found.len()).unwrap_or(i64::MAX);
        left -= replies;
        due.extend(found);
        let most = (messages - replies).min(left).min(api_left);
        let found = due_of(connection, account, Class::Api, most, now).await?;
        let api = i64::try_from(found.len()).unwrap_or(i64::MAX);
        (left, api_left) = (left - api, api_left - api);
        due.extend(found);
    }
    Ok(due)
}

/// What the places of a lane of sends are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Replies,
    Api,
}

async fn due_of(
    connection: &mut SqliteConnection,
    account: &str,
    class: Class,
    most: i64,
    now: i64,
) -> Result<Vec<JobId>> {
    if most <= 0 {
        return Ok(Vec::new());
    }
    let statement = match class {
        // store::claim_sends (replies)
        Class::Replies => {
            "SELECT j.id FROM jobs j
             WHERE j.route = '' AND j.account = $3 AND j.parked_at IS NULL AND j.blocked = 0
               AND j.sequence < 281474976710656 AND j.due_at <= $1
               -- Looked up once: it does not depend on the job.
               AND NOT EXISTS (SELECT 1 FROM settings p WHERE p.key = 'pause/sends')
               -- A request that left is never made again by a claim; an ended lease without one is.
               AND j.dispatched_at IS NULL AND (j.lease_until IS NULL OR j.lease_until <= $1)
               AND NOT EXISTS (
                   SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence < j.sequence)
               -- It may overtake API messages, but not one that is being sent: that is the first of them.
               AND NOT EXISTS (
                   SELECT 1 FROM (
                       SELECT e.dispatched_at, e.lease_until FROM jobs e
                       WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence >= 281474976710656
                       ORDER BY e.sequence LIMIT 1) AS e
                   WHERE e.dispatched_at IS NOT NULL OR e.lease_until > $1)
             ORDER BY j.due_at, j.id
             LIMIT $2"
        }
        // store::claim_sends (API messages)
        Class::Api => {
            "SELECT j.id FROM jobs j
             WHERE j.route = '' AND j.account = $3 AND j.parked_at IS NULL AND j.blocked = 0
               AND j.sequence >= 281474976710656 AND j.due_at <= $1
               AND NOT EXISTS (SELECT 1 FROM settings p WHERE p.key = 'pause/sends')
               AND j.dispatched_at IS NULL AND (j.lease_until IS NULL OR j.lease_until <= $1)
               AND NOT EXISTS (
                   SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence < j.sequence)
             ORDER BY j.due_at, j.id
             LIMIT $2"
        }
    };
    Ok(sqlx::query_scalar(statement).bind(now).bind(most).bind(account).fetch_all(connection).await?)
}

/// The accounts' buckets as the last sends left them.
async fn buckets(connection: &mut SqliteConnection, claim: &ClaimSends) -> Result<HashMap<String, Bucket>> {
    let mut buckets = HashMap::new();
    for account in &claim.accounts {
        if let Some(left) = bucket(connection, &account.name).await? {
            buckets.insert(account.name.clone(), left);
        }
    }
    Ok(buckets)
}

pub(super) async fn dispatch(
    store: &SqliteStore,
    sending: &Sending,
    policy: &SendPolicy,
) -> Result<Dispatch> {
    let mut tx = store.write().await?;
    let Some(mut record) = journal::load(&mut tx, &[sending.message]).await?.pop() else {
        return Ok(Dispatch::Lost);
    };
    let Some(job) = fenced_job(&mut tx, sending.lease).await?.filter(|job| job.dispatched_at.is_none())
    else {
        return Ok(Dispatch::Lost);
    };
    if is_paused(&mut tx).await? {
        ready_again(&mut tx, sending).await?;
        tx.commit().await?;
        return Ok(Dispatch::Paused);
    }
    let now = store.clock.now();
    let facts = facts(&mut tx, &record, &job, now).await?;
    let verdict = sending::judge(&mut record, facts, policy);
    let answer = match verdict {
        Verdict::Leave => leave(&mut tx, sending, record, policy, now).await?,
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

async fn fenced_job(connection: &mut SqliteConnection, lease: Lease) -> Result<Option<JobView>> {
    // store::dispatch (fence)
    let row: Option<JobFacts> = sqlx::query_as(
        "SELECT id, dispatched_at, first_attempt_at, log FROM jobs WHERE id = $1 AND lease_token = $2 AND parked_at IS NULL",
    )
    .bind(lease.job)
    .bind(lease.token.to_string())
    .fetch_optional(connection)
    .await?;
    Ok(row.map(JobFacts::into_view))
}

async fn is_paused(connection: &mut SqliteConnection) -> Result<bool> {
    // store::dispatch (paused)
    let paused = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM settings WHERE key = 'pause/sends')");
    Ok(paused.fetch_one(connection).await?)
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

async fn facts(
    connection: &mut SqliteConnection,
    record: &MessageRecord,
    job: &JobView,
    now: jiff::Timestamp,
) -> Result<Facts> {
    // store::dispatch (conversation)
    let conversation: ConversationRow = sqlx::query_as("SELECT * FROM conversation_view WHERE id = $1")
        .bind(record.conversation)
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
    .bind(record.conversation)
    .bind(millis(minute_before(now)))
    .fetch_one(connection)
    .await?;
    Ok(sending::facts(record, &conversation, job, brakes, now))
}

/// Draws from the account's rate and sets the fence, or postpones the job.
async fn leave(
    connection: &mut SqliteConnection,
    sending: &Sending,
    mut record: MessageRecord,
    policy: &SendPolicy,
    now: jiff::Timestamp,
) -> Result<Dispatch> {
    let left = bucket(connection, &sending.account).await?;
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
        "UPDATE jobs SET dispatched_at = $2, lease_until = $2 + $3 WHERE id = $1 AND dispatched_at IS NULL",
    )
    .bind(sending.lease.job)
    .bind(millis(now))
    .bind(duration_ms(policy.lease))
    .execute(&mut *connection)
    .await?;
    let departure = sending::depart(&mut record, now);
    journal::write_sends(connection, &[record]).await?;
    Ok(Dispatch::Go(departure))
}

/// The account's bucket as the last send left it.
async fn bucket(connection: &mut SqliteConnection, account: &str) -> Result<Option<Bucket>> {
    // store::dispatch (bucket)
    let value: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE key = $1")
        .bind(bucket_key(account))
        .fetch_optional(connection)
        .await?;
    Ok(value.and_then(|bucket| serde_json::from_str(&bucket).ok()))
}

/// Holds all sends of an account that Connectly refused for its rate.
async fn hold(connection: &mut SqliteConnection, account: &str, after: Duration, now: i64) -> Result<()> {
    // Without a bucket nothing has left, so there is nothing to hold.
    let Some(mut bucket) = bucket(connection, account).await? else {
        return Ok(());
    };
    bucket.drain_until(now.saturating_add(duration_ms(after)));
    write_bucket(connection, account, &bucket, now).await
}

async fn write_bucket(
    connection: &mut SqliteConnection,
    account: &str,
    bucket: &Bucket,
    now: i64,
) -> Result<()> {
    let value = serde_json::to_string(bucket).map_err(|error| StoreError::Internal(error.to_string()))?;
    // store::dispatch (bucket drawn)
    sqlx::query(
        "INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )
    .bind(bucket_key(account))
    .bind(value)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
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

async fn write_fate(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    finished: Option<&Finished>,
    postponed: Option<&Postponed>,
    now: i64,
) -> Result<()> {
    if let Some(finished) = finished {
        let finished = std::slice::from_ref(finished);
        queue::finish(connection, finished, now, vec![store.clock.ulid()]).await?;
    }
    if let Some(postponed) = postponed {
        settle::postpone(connection, std::slice::from_ref(postponed), now).await?;
    }
    Ok(())
}

pub(super) async fn settle_send(
    store: &SqliteStore,
    sending: &Sending,
    answered: &SendAnswered,
) -> Result<SendResult> {
    let settled = settle_answer(store, sending, answered).await?;
    Ok(settled.map_or(SendResult::Superseded, |_| SendResult::Applied))
}

/// Settles a send, and says what we know of its message then; `None` when it was settled otherwise meanwhile.
pub(super) async fn settle_answer(
    store: &SqliteStore,
    sending: &Sending,
    answered: &SendAnswered,
) -> Result<Option<OwnState>> {
    let mut tx = store.write().await?;
    let holder = holder(&mut tx, sending, &answered.answer).await?;
    let ids: Vec<MessageId> = std::iter::once(sending.message).chain(holder.observed()).collect();
    let records = journal::load(&mut tx, &ids).await?;
    let (record, observed): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.id == sending.message);
    let job = job_of(&mut tx, sending.message).await?;
    let now = store.clock.now();
    let Some(answer) = sending::answer(record, observed, holder, job, answered, now) else {
        return Ok(None);
    };
    write_answer(store, &mut tx, sending, &answer, answered).await?;
    tx.commit().await?;
    Ok(Some(answer.record.own))
}

async fn write_answer(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    sending: &Sending,
    answer: &sending::Answered,
    answered: &SendAnswered,
) -> Result<()> {
    let now = store.clock.now();
    if let Some(observed) = answer.absorbed {
        // store::settle_send (observed before)
        sqlx::query("DELETE FROM messages WHERE id = $1").bind(observed).execute(&mut *connection).await?;
    }
    journal::update(connection, std::slice::from_ref(&answer.record), millis(now)).await?;
    // As it is now: a merge may have put the message into another since it was claimed.
    let conversation = answer.record.conversation.unwrap_or(sending.conversation);
    if answer.window_closed {
        journal::close_windows(connection, &[(conversation, answered.departure.at)].into()).await?;
    }
    if answer.opted_out {
        journal::opt_out(connection, conversation, millis(now)).await?;
    }
    write_fate(store, connection, answer.finished.as_ref(), answer.postponed.as_ref(), millis(now)).await?;
    if answer.clears_fence {
        // store::settle_send (not processed)
        sqlx::query("UPDATE jobs SET dispatched_at = NULL WHERE message_id = $1")
            .bind(sending.message)
            .execute(&mut *connection)
            .await?;
    }
    if answer.requeue {
        enqueue(store, connection, conversation, sending.message).await?;
    }
    if let Answer::NotProcessed { after, drain: true } = &answered.answer {
        hold(connection, &sending.account, *after, millis(now)).await?;
    }
    Ok(())
}

/// Which other message holds the accepted id.
async fn holder(connection: &mut SqliteConnection, sending: &Sending, answer: &Answer) -> Result<Holder> {
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

async fn job_of(connection: &mut SqliteConnection, message: MessageId) -> Result<Option<JobView>> {
    // store::settle_send (job)
    let row: Option<JobFacts> =
        sqlx::query_as("SELECT id, dispatched_at, first_attempt_at, log FROM jobs WHERE message_id = $1")
            .bind(message)
            .fetch_optional(connection)
            .await?;
    Ok(row.map(JobFacts::into_view))
}

/// A new job for a message at the end of its class in the conversation's lane.
async fn enqueue(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
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
    queue::insert(connection, &[job], millis(store.clock.now())).await
}

/// The same, unless the message has a job: that is still at its first send, and goes on to the next one by itself.
pub(super) async fn enqueue_unless_queued(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    conversation: ConversationId,
    message: MessageId,
) -> Result<()> {
    // store::enqueue (queued)
    let queued: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM jobs WHERE message_id = $1)")
        .bind(message)
        .fetch_one(&mut *connection)
        .await?;
    if queued { Ok(()) } else { enqueue(store, connection, conversation, message).await }
}

pub(super) async fn resolve(
    store: &SqliteStore,
    message: MessageId,
    resolution: Resolution,
) -> Result<Message> {
    let mut tx = store.write().await?;
    let record = journal::load(&mut tx, &[message]).await?.pop();
    let conversation = record.as_ref().and_then(|record| record.conversation);
    let Some(conversation) = conversation else {
        return Err(sending::NOT_UNCONFIRMED);
    };
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
