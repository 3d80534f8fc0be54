//! A group of deliveries in one transaction of two steps: first what locks (the ledger, customers, conversations), then
//! what the locks allow (events, bodies, jobs, messages).

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, Row as _};

use super::{PostgresStore, callback, journal, people, queue, refusals};
use crate::model::id::{ConversationId, EventId};
use crate::store::arrival::Arrival;
use crate::store::plan::dedupe::{LedgerRow, Round, Verdict};
use crate::store::plan::group::{self, Kept};
use crate::store::rows::millis;
use crate::store::work::{Committed, Offer};
use crate::store::{Result, StoreError};

pub(super) async fn commit(store: &PostgresStore, group: &[Arrival], offer: &Offer) -> Result<Committed> {
    let mut tx = store.pool.begin().await?;
    let verdicts = dedupe(&mut tx, group).await?;
    let mut kept = group::kept(group, &verdicts);
    let mut leased = Vec::new();
    if !kept.is_empty() {
        let conversations = converse(store, &mut tx, &mut kept).await?;
        let mut jobs = group::jobs(&mut kept, &conversations, || store.id());
        group::offer(&mut jobs, offer, || store.clock.ulid());
        insert_events(&mut tx, &kept).await?;
        insert_bodies(&mut tx, &kept).await?;
        callback::insert(&mut tx, &group::callback_keys(&kept)).await?;
        let born = queue::insert(&mut tx, &jobs, millis(store.clock.now()), store.clock.offset_ms()).await?;
        leased = group::leased(jobs, &born);
        journal::learn(store, &mut tx, &kept).await?;
    }
    tx.commit().await?;
    Ok(Committed { receipts: group::receipts(group, &verdicts), leased })
}

/// Asks the ledger, at most twice, which deliveries are new, and counts the repeats.
async fn dedupe(connection: &mut PgConnection, group: &[Arrival]) -> Result<Vec<Verdict>> {
    let mut verdicts: HashMap<usize, Verdict> = HashMap::with_capacity(group.len());
    let mut round = Some(Round::first(group));
    while let Some(asking) = round {
        let ledger = claim_keys(connection, asking.rows(group)).await?;
        let judged = asking.judge(group, &ledger);
        verdicts.extend(judged.verdicts);
        count_repeats(connection, &judged.counts).await?;
        round = judged.again;
    }
    let missing = || StoreError::Internal("the ledger lost a key".to_owned());
    (0..group.len()).map(|position| verdicts.get(&position).copied().ok_or_else(missing)).collect()
}

/// Inserts the keys that are missing, and answers whose each key is. A key that another transaction is inserting is waited
/// for, so of concurrent repeats exactly one is new.
async fn claim_keys(connection: &mut PgConnection, rows: Vec<LedgerRow>) -> Result<Vec<LedgerRow>> {
    let keys: Vec<_> = rows.iter().map(|row| row.key.as_bytes()).collect();
    let accounts: Vec<_> = rows.iter().map(|row| row.account.as_str()).collect();
    // store::commit (ledger)
    let inserted: Vec<EventId> = sqlx::query_scalar(
        "INSERT INTO dedupe (key, account, event_id, body_hash)
         SELECT * FROM unnest($1::bytea[], $2::text[], $3::uuid[], $4::bytea[])
         ON CONFLICT (key, account) DO NOTHING
         RETURNING event_id",
    )
    .bind(&keys)
    .bind(&accounts)
    .bind(rows.iter().map(|row| row.event).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.body_hash.as_slice()).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    if inserted.len() == rows.len() {
        return Ok(rows);
    }
    let inserted: HashSet<EventId> = inserted.into_iter().collect();
    // store::commit (known keys)
    let known = sqlx::query(
        "SELECT d.account, d.key, d.event_id, d.body_hash
         FROM unnest($1::bytea[], $2::text[]) AS k (key, account) JOIN dedupe d USING (key, account)",
    )
    .bind(&keys)
    .bind(&accounts)
    .fetch_all(connection)
    .await?;
    let by_key: HashMap<_, _> =
        rows.iter().map(|row| ((row.key.as_bytes(), row.account.as_str()), row)).collect();
    let mut ledger = Vec::with_capacity(known.len());
    for row in known {
        let (key, account): (&[u8], &str) = (row.try_get("key")?, row.try_get("account")?);
        let Some(asked) = by_key.get(&(key, account)) else {
            continue;
        };
        let hash: &[u8] = row.try_get("body_hash")?;
        let event: EventId = row.try_get("event_id")?;
        ledger.push(LedgerRow {
            event,
            inserted: inserted.contains(&event),
            body_hash: hash
                .try_into()
                .map_err(|_| StoreError::Internal("a digest of another length".to_owned()))?,
            ..(*asked).clone()
        });
    }
    Ok(ledger)
}

async fn count_repeats(
    connection: &mut PgConnection,
    counts: &[(String, crate::model::dedupe::DedupeKey, i64)],
) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    // store::commit (repeats)
    sqlx::query(
        "WITH repeats AS (
             SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[]) AS r (key, account, n)
         ), locked AS (
             SELECT d.key, d.account FROM dedupe d JOIN repeats USING (key, account)
             ORDER BY d.key, d.account FOR UPDATE OF d
         )
         UPDATE dedupe d SET duplicates = d.duplicates + r.n
         FROM repeats r JOIN locked USING (key, account) WHERE d.key = r.key AND d.account = r.account",
    )
    .bind(counts.iter().map(|(_, key, _)| key.as_bytes()).collect::<Vec<_>>())
    .bind(counts.iter().map(|(account, _, _)| account.as_str()).collect::<Vec<_>>())
    .bind(counts.iter().map(|(_, _, n)| *n).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Finds customers and conversations, and locks the latter.
pub(super) async fn converse(
    store: &PostgresStore,
    connection: &mut PgConnection,
    kept: &mut [Kept<'_>],
) -> Result<Vec<(crate::store::plan::conversations::LockedConversation, i64)>> {
    let parties = group::parties(kept);
    if parties.is_empty() {
        return Ok(Vec::new());
    }
    let customers = people::resolve(store, connection, &parties).await?;
    // Customers before conversations, and these in one order, as everybody takes them.
    let news = group::news(kept);
    refusals::lock_customers(connection, &news, group::opting_out(kept, &customers)).await?;
    let deltas =
        group::deltas(kept, &customers, || store.id::<crate::model::id::ConversationTag>() as ConversationId);
    refusals::lock_conversations(connection, &news, &deltas).await?;
    let locked = people::lock_conversations(connection, &deltas, millis(store.clock.now())).await?;
    group::place(kept, &locked);
    Ok(locked.into_values().collect())
}

async fn insert_events(connection: &mut PgConnection, kept: &[Kept<'_>]) -> Result<()> {
    let rows: Vec<_> = kept.iter().map(group::event_columns).collect();
    // store::commit (events)
    sqlx::query(
        "INSERT INTO events (id, account, type, conversation_id, provider_message_id, in_reply_to, status, error_code,
             business, callback_data, campaign, occurred_at, received_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[],
             $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[])",
    )
    .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.account).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.event_type).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.conversation).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.provider_message_id.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.in_reply_to.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.status).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.error_code.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.business).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.callback_data).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.campaign).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.occurred_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.received_at).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_bodies(connection: &mut PgConnection, kept: &[Kept<'_>]) -> Result<()> {
    // store::commit (bodies)
    sqlx::query("INSERT INTO bodies (event_id, body) SELECT * FROM unnest($1::uuid[], $2::bytea[])")
        .bind(kept.iter().map(|row| row.arrival.id).collect::<Vec<_>>())
        .bind(kept.iter().map(|row| row.arrival.body.as_ref()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
