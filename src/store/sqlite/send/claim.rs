//! Claiming sends: of each account what its rate lets leave, replies before API messages.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::super::{SqliteStore, json, queue};
use super::rate::bucket;
use crate::connectly::throttle::Bucket;
use crate::model::id::JobId;
use crate::store::Result;
use crate::store::plan::sending::{self, Budget};
use crate::store::rows::{SendingRow, duration_ms, millis};
use crate::store::work::{ClaimSends, ClaimedSends};

pub(in crate::store::sqlite) async fn claim_sends(
    store: &SqliteStore,
    claim: &ClaimSends,
) -> Result<ClaimedSends> {
    let now = millis(store.clock.now());
    // Looked for first without waiting for the one connection that writes: most often there is nothing. Whoever queues a
    // message meanwhile calls for the next claim.
    let mut reader = store.readers.acquire().await?;
    let (seen, budget) = may_leave(&mut reader, claim, now).await?;
    if seen.is_empty() {
        return Ok(budget.nothing(claim));
    }
    drop(reader);
    let mut tx = store.write().await?;
    let (due, budget) = may_leave(&mut tx, claim, now).await?;
    if due.is_empty() {
        return Ok(budget.nothing(claim));
    }
    queue::lease(store, &mut tx, due.iter().copied(), now, duration_ms(claim.lease)).await?;
    // store::claim_sends (messages)
    let rows: Vec<SendingRow> = sqlx::query_as(
        "SELECT j.id AS job_id, j.lease_token AS token, j.attempts, v.id AS message_id, v.account,
             v.conversation_id, v.origin, v.business, v.phone, v.user_id, v.content, v.fallback, v.callback_data,
             v.campaign, v.dispatch_order
         FROM jobs j JOIN message_view v ON v.id = j.message_id
         WHERE j.id IN (SELECT value FROM jsonb_each($1))
         ORDER BY j.sequence >= 281474976710656, j.due_at, j.id",
    )
    .bind(json(&due)?)
    .fetch_all(&mut *tx)
    .await?;
    let sends = rows.into_iter().map(SendingRow::into_sending).collect::<Result<_>>()?;
    tx.commit().await?;
    Ok(budget.spent(claim, sends))
}

/// The sends to claim, and what there was to spend.
async fn may_leave(
    connection: &mut SqliteConnection,
    claim: &ClaimSends,
    now: i64,
) -> Result<(Vec<JobId>, Budget)> {
    let budget = sending::budget(claim, &buckets(connection, claim).await?, now);
    Ok((due(connection, claim, &budget, now).await?, budget))
}

/// The sends to claim, of each account as many as it may send, replies of all accounts before API messages.
async fn due(
    connection: &mut SqliteConnection,
    claim: &ClaimSends,
    budget: &Budget,
    now: i64,
) -> Result<Vec<JobId>> {
    let mut due = Vec::new();
    let mut messages_left = budget.messages.clone();
    let mut left = budget.reply_limit;
    let accounts = budget.accounts.iter().zip(&budget.replies).zip(&mut messages_left);
    for ((account, replies), messages) in accounts {
        let found = due_of(connection, account, Class::Replies, (*replies).min(left), now).await?;
        let taken = count(&found);
        (left, *messages) = (left - taken, *messages - taken);
        due.extend(found);
    }
    let mut left = i64::from(claim.api_limit).min(i64::from(claim.limit) - count(&due));
    for (account, messages) in budget.accounts.iter().zip(messages_left) {
        let found = due_of(connection, account, Class::Api, messages.min(left), now).await?;
        left -= count(&found);
        due.extend(found);
    }
    Ok(due)
}

fn count(jobs: &[JobId]) -> i64 {
    i64::try_from(jobs.len()).unwrap_or(i64::MAX)
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
               -- Two that left before their conversations became one are in one lane, and may be settled in any order.
               AND NOT EXISTS (
                   SELECT 1 FROM jobs e INDEXED BY jobs_under_way
                   WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.dispatched_at IS NOT NULL)
               -- It may overtake API messages, but not one that is about to leave: that is the first of them.
               AND NOT EXISTS (
                   SELECT 1 FROM (
                       SELECT e.lease_until FROM jobs e
                       WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence >= 281474976710656
                       ORDER BY e.sequence LIMIT 1) AS e
                   WHERE e.lease_until > $1)
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
               AND NOT EXISTS (
                   SELECT 1 FROM jobs e INDEXED BY jobs_under_way
                   WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.dispatched_at IS NOT NULL)
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
