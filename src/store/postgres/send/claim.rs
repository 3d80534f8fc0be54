//! Claiming sends: of each account what its rate lets leave, replies before API messages.

use std::collections::HashMap;

use super::super::PostgresStore;
use crate::connectly::throttle::Bucket;
use crate::store::Result;
use crate::store::plan::sending::{self, account_of, bucket_key};
use crate::store::rows::{SendingRow, duration_ms, millis};
use crate::store::work::{ClaimSends, ClaimedSends};

pub(in crate::store::postgres) async fn claim_sends(
    store: &PostgresStore,
    claim: &ClaimSends,
) -> Result<ClaimedSends> {
    let (buckets, now) = buckets(store, claim).await?;
    let budget = sending::budget(claim, &buckets, now);
    if budget.accounts.is_empty() {
        return Ok(budget.nothing(claim));
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
                   -- Two that left before their conversations became one are in one lane, and may be settled in any order.
                   AND NOT EXISTS (
                       SELECT FROM jobs e
                       WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.dispatched_at IS NOT NULL)
                   -- It may overtake API messages, but not one that is about to leave: that is the first of them.
                   AND NOT EXISTS (
                       SELECT FROM (
                           SELECT e.lease_until FROM jobs e
                           WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence >= 281474976710656
                           ORDER BY e.sequence LIMIT 1) e
                       WHERE e.lease_until > clock.now)
                 ORDER BY j.due_at, j.id
                 LIMIT o.replies
                 FOR UPDATE OF j SKIP LOCKED
             ) c
             LIMIT $8
         ),
         api AS MATERIALIZED (
             SELECT c.id FROM open o CROSS JOIN clock CROSS JOIN LATERAL (
                 SELECT j.id FROM jobs j
                 WHERE j.route = '' AND j.account = o.account AND j.parked_at IS NULL AND NOT j.blocked
                   AND j.sequence >= 281474976710656 AND j.due_at <= clock.now
                   AND j.dispatched_at IS NULL AND (j.lease_until IS NULL OR j.lease_until <= clock.now)
                   AND NOT EXISTS (
                       SELECT FROM jobs e WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.sequence < j.sequence)
                   AND NOT EXISTS (
                       SELECT FROM jobs e
                       WHERE e.lane = j.lane AND e.parked_at IS NULL AND e.dispatched_at IS NOT NULL)
                 ORDER BY j.due_at, j.id
                 LIMIT o.messages - (SELECT count(*) FROM replies r WHERE r.account = o.account)
                 FOR UPDATE OF j SKIP LOCKED
             ) c
             LIMIT least($7, $1 - (SELECT count(*) FROM replies))
         ),
         leased AS (
             UPDATE jobs j SET lease_token = gen_random_uuid(), lease_until = clock.now + $2, attempts = j.attempts + 1,
                 first_attempt_at = coalesce(j.first_attempt_at, clock.now)
             FROM clock WHERE j.id = ANY(ARRAY(SELECT id FROM replies UNION ALL SELECT id FROM api))
             RETURNING j.id, j.lease_token, j.message_id, j.attempts, j.sequence
         )
         SELECT l.id AS job_id, l.lease_token::text AS token, l.attempts, v.id AS message_id, v.account,
             v.conversation_id, v.origin, v.business, v.phone, v.user_id, v.content, v.fallback, v.callback_data,
             v.campaign, v.dispatch_order
         FROM leased l JOIN message_view v ON v.id = l.message_id
         ORDER BY l.sequence >= 281474976710656, l.id",
    )
    .bind(i64::from(claim.limit))
    .bind(duration_ms(claim.lease))
    .bind(store.clock.offset_ms())
    .bind(&budget.accounts)
    .bind(&budget.messages)
    .bind(&budget.replies)
    .bind(i64::from(claim.api_limit))
    .bind(budget.reply_limit)
    .fetch_all(&store.pool)
    .await?;
    let sends = rows.into_iter().map(SendingRow::into_sending).collect::<Result<_>>()?;
    Ok(budget.spent(claim, sends))
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
