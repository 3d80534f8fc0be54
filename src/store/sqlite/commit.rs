//! A group of deliveries in one transaction of two steps, as in the other backend: first the ledger, customers and
//! conversations, then what they allow (events, bodies, jobs, messages, counts of repeats).

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use sqlx::{Row as _, SqliteConnection};

use super::{SqliteStore, callback, hex, journal, json, people, queue};
use crate::model::id::{ConversationTag, EventId};
use crate::store::arrival::Arrival;
use crate::store::plan::conversations::LockedConversation;
use crate::store::plan::dedupe::{LedgerRow, Round, Verdict};
use crate::store::plan::group::{self, Kept};
use crate::store::rows::millis;
use crate::store::work::{Committed, Offer};
use crate::store::{Result, StoreError};

pub(super) async fn commit(store: &SqliteStore, group: &[Arrival], offer: &Offer) -> Result<Committed> {
    let mut tx = store.write().await?;
    let (verdicts, repeats) = dedupe(&mut tx, group).await?;
    let mut kept = group::kept(group, &verdicts);
    let mut leased = Vec::new();
    if !kept.is_empty() {
        let conversations = converse(store, &mut tx, &mut kept).await?;
        let mut jobs = group::jobs(&mut kept, &conversations, || store.id());
        group::offer(&mut jobs, offer, || store.clock.ulid());
        insert(&mut tx, &kept).await?;
        let born = queue::insert(&mut tx, &jobs, millis(store.clock.now())).await?;
        leased = group::leased(&kept, jobs, &born);
        journal::learn(store, &mut tx, &kept).await?;
    }
    count_repeats(&mut tx, &repeats).await?;
    tx.commit().await?;
    Ok(Committed { receipts: group::receipts(group, &verdicts), leased })
}

/// Asks the ledger, at most twice, which deliveries are new, and how often each event came again.
async fn dedupe(
    connection: &mut SqliteConnection,
    group: &[Arrival],
) -> Result<(Vec<Verdict>, BTreeMap<EventId, i64>)> {
    let mut verdicts: HashMap<usize, Verdict> = HashMap::with_capacity(group.len());
    let mut repeats = BTreeMap::new();
    let mut round = Some(Round::first(group));
    while let Some(asking) = round {
        let ledger = claim_keys(connection, asking.rows(group)).await?;
        let judged = asking.judge(group, &ledger);
        verdicts.extend(judged.verdicts);
        for (event, times) in judged.repeats {
            *repeats.entry(event).or_default() += times;
        }
        round = judged.again;
    }
    let missing = || StoreError::Internal("the ledger lost a key".to_owned());
    let verdicts = (0..group.len()).map(|position| verdicts.get(&position).copied().ok_or_else(missing));
    Ok((verdicts.collect::<Result<_>>()?, repeats))
}

#[derive(Serialize)]
struct KeyColumns<'a> {
    key: String,
    account: &'a str,
    event: EventId,
    body_hash: String,
}

/// Inserts the keys that are missing, and answers whose each key is.
async fn claim_keys(connection: &mut SqliteConnection, mut rows: Vec<LedgerRow>) -> Result<Vec<LedgerRow>> {
    let asked: Vec<_> = rows
        .iter()
        .map(|row| KeyColumns {
            key: hex(row.key.as_bytes()),
            account: &row.account,
            event: row.event,
            body_hash: hex(&row.body_hash),
        })
        .collect();
    let asked = json(&asked)?;
    // store::commit (ledger)
    let inserted: Vec<EventId> = sqlx::query_scalar(
        "INSERT INTO dedupe (key, account, event_id, body_hash)
         SELECT unhex(value ->> 'key'), value ->> 'account', value ->> 'event', unhex(value ->> 'body_hash')
         FROM jsonb_each($1)
         WHERE true -- Without it, SQLite reads ON as the condition of a join.
         ON CONFLICT (key, account) DO NOTHING
         RETURNING event_id",
    )
    .bind(&asked)
    .fetch_all(&mut *connection)
    .await?;
    if inserted.len() == rows.len() {
        return Ok(rows);
    }
    let inserted: HashSet<EventId> = inserted.into_iter().collect();
    // store::commit (known keys)
    let known = sqlx::query(
        "SELECT k.key AS position, d.event_id, d.body_hash
         FROM jsonb_each($1) AS k
         CROSS JOIN dedupe d ON d.key = unhex(k.value ->> 'key') AND d.account = k.value ->> 'account'",
    )
    .bind(&asked)
    .fetch_all(connection)
    .await?;
    for row in known {
        let position = usize::try_from(row.try_get::<i64, _>("position")?).unwrap_or(usize::MAX);
        let Some(asked) = rows.get_mut(position) else {
            continue;
        };
        let hash: &[u8] = row.try_get("body_hash")?;
        asked.event = row.try_get("event_id")?;
        asked.inserted = inserted.contains(&asked.event);
        asked.body_hash =
            hash.try_into().map_err(|_| StoreError::Internal("a digest of another length".to_owned()))?;
    }
    Ok(rows)
}

async fn count_repeats(connection: &mut SqliteConnection, repeats: &BTreeMap<EventId, i64>) -> Result<()> {
    if repeats.is_empty() {
        return Ok(());
    }
    let repeats: Vec<_> = repeats.iter().collect();
    // store::commit (repeats)
    sqlx::query(
        "INSERT INTO repeats (event_id, times)
         SELECT value ->> 0, value ->> 1 FROM jsonb_each($1)
         WHERE true -- Without it, SQLite reads ON as the condition of a join.
         ON CONFLICT (event_id) DO UPDATE SET times = times + excluded.times",
    )
    .bind(json(&repeats)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Finds customers and conversations.
pub(super) async fn converse(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    kept: &mut [Kept<'_>],
) -> Result<Vec<(LockedConversation, i64)>> {
    let parties = group::parties(kept);
    if parties.is_empty() {
        return Ok(Vec::new());
    }
    let customers = people::resolve(store, connection, &parties).await?;
    let deltas = group::deltas(kept, &customers, || store.id::<ConversationTag>());
    let locked = people::lock_conversations(connection, &deltas, millis(store.clock.now())).await?;
    group::place(kept, &locked);
    Ok(locked.into_values().collect())
}

#[derive(Serialize)]
struct Span {
    id: EventId,
    /// Counted from 1, as `substr` does.
    start: usize,
    length: usize,
}

/// Inserts the events with their bodies, and what they are found by. Bodies are any bytes: they go as one blob beside the places
/// where each lies in it.
async fn insert(connection: &mut SqliteConnection, kept: &[Kept<'_>]) -> Result<()> {
    let events: Vec<_> = kept.iter().map(group::event_columns).collect();
    let mut bytes = Vec::with_capacity(kept.iter().map(|row| row.arrival.body.len()).sum());
    let mut spans = Vec::with_capacity(kept.len());
    for row in kept {
        spans.push(Span { id: row.arrival.id, start: bytes.len() + 1, length: row.arrival.body.len() });
        bytes.extend_from_slice(&row.arrival.body);
    }
    // store::commit (events)
    sqlx::query(
        "INSERT INTO events (id, account, type, conversation_id, provider_message_id, in_reply_to, status, error_code,
             business, callback_data, campaign, occurred_at, received_at)
         SELECT value ->> 'id', value ->> 'account', value ->> 'event_type', value ->> 'conversation',
             value ->> 'provider_message_id', value ->> 'in_reply_to', value ->> 'status', value ->> 'error_code',
             value ->> 'business', value ->> 'callback_data', value ->> 'campaign', value ->> 'occurred_at',
             value ->> 'received_at'
         FROM jsonb_each($1);
         INSERT INTO bodies (event_id, body)
         -- Of an empty blob there is no part, not even an empty one.
         SELECT value ->> 'id', coalesce(substr($3, value ->> 'start', value ->> 'length'), x'') FROM jsonb_each($2);
         INSERT INTO callback_keys (key, id) SELECT unhex(value ->> 'key'), value ->> 'id' FROM jsonb_each($4)
         WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(json(&events)?)
    .bind(json(&spans)?)
    .bind(bytes)
    .bind(callback::columns(&group::callback_keys(kept))?)
    .execute(connection)
    .await?;
    Ok(())
}
