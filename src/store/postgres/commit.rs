//! A group of deliveries in one transaction of two steps: first what locks (the ledger, customers, conversations), then
//! what the locks allow (events, bodies, jobs, messages, and at last counts of repeats).

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::by_key::for_each;
use super::people::{Known, who_shows};
use super::{PostgresStore, journal, people, queue, refusals};
use crate::model::id::{ConversationId, EventId};
use crate::store::arrival::Arrival;
use crate::store::plan::dedupe::{Judged, LedgerRow, Round, Verdict};
use crate::store::plan::group::{self, Kept};
use crate::store::plan::people::Identity;
use crate::store::rows::millis;
use crate::store::work::{Committed, GroupTurn, Offer};
use crate::store::{Result, StoreError};

pub(super) async fn commit(
    store: &PostgresStore,
    group: &[Arrival],
    offer: &Offer,
    turn: &GroupTurn,
) -> Result<Committed> {
    let mut tx = store.pool.begin().await?;
    let Asked { verdicts, known, repeats } = dedupe(&mut tx, group).await?;
    let mut kept = group::kept(group, &verdicts);
    let mut leased = Vec::new();
    if !kept.is_empty() {
        let conversations = converse(store, &mut tx, &mut kept, known).await?;
        let mut jobs = group::jobs(&mut kept, &conversations, || store.id());
        group::offer(&mut jobs, offer, || store.clock.ulid());
        insert(&mut tx, &kept).await?;
        let born = queue::insert(&mut tx, &jobs, millis(store.clock.now()), store.clock.offset_ms()).await?;
        leased = group::leased(&kept, jobs, &born);
        journal::learn(store, &mut tx, &kept).await?;
    }
    count_repeats(&mut tx, &repeats).await?;
    turn.pass();
    tx.commit().await?;
    Ok(Committed { receipts: group::receipts(group, &verdicts), leased })
}

/// What the ledger says of a group.
struct Asked {
    verdicts: Vec<Verdict>,
    /// Who shows the deliveries, as far as they are known.
    known: Known,
    /// How often each event came again.
    repeats: BTreeMap<EventId, i64>,
}

/// Asks the ledger, at most twice, which deliveries are new. Who shows them is looked up with the first question.
async fn dedupe(connection: &mut PgConnection, group: &[Arrival]) -> Result<Asked> {
    let mut verdicts: HashMap<usize, Verdict> = HashMap::with_capacity(group.len());
    let first = Round::first(group);
    let (ledger, known) = claim_keys(connection, first.rows(group), &group::shown(group)).await?;
    let Judged { verdicts: settled, mut repeats, again } = first.judge(group, &ledger);
    verdicts.extend(settled);
    if let Some(asking) = again {
        let (ledger, _) = claim_keys(connection, asking.rows(group), &[]).await?;
        let judged = asking.judge(group, &ledger);
        verdicts.extend(judged.verdicts);
        for (event, times) in judged.repeats {
            *repeats.entry(event).or_default() += times;
        }
    }
    let missing = || StoreError::Internal("the ledger lost a key".to_owned());
    let verdicts = (0..group.len()).map(|position| verdicts.get(&position).copied().ok_or_else(missing));
    Ok(Asked { verdicts: verdicts.collect::<Result<_>>()?, known, repeats })
}

/// Inserts the keys that are missing, and answers whose each key is. A key that another transaction is inserting is waited
/// for, so of concurrent repeats exactly one is new. Answers too who is behind identities.
async fn claim_keys(
    connection: &mut PgConnection,
    rows: Vec<LedgerRow>,
    shown: &[Identity],
) -> Result<(Vec<LedgerRow>, Known)> {
    let keys: Vec<_> = rows.iter().map(|row| row.key.as_bytes()).collect();
    let accounts: Vec<_> = rows.iter().map(|row| row.account.as_str()).collect();
    // store::commit (ledger and identities)
    let answers = sqlx::query(concat!(
        "WITH inserted AS (
             INSERT INTO dedupe (key, account, event_id, body_hash)
             SELECT * FROM unnest($1::bytea[], $2::text[], $3::uuid[], $4::bytea[])
             ON CONFLICT (key, account) DO NOTHING
             RETURNING event_id
         )
         SELECT event_id, NULL AS account, NULL AS kind, NULL AS value, NULL AS id, NULL AS phone, NULL AS user_id,
             NULL AS name, NULL AS opted_out_at
         FROM inserted
         UNION ALL SELECT NULL, who.* FROM (",
        who_shows!("$5", "$6", "$7"),
        ") AS who"
    ))
    .bind(&keys)
    .bind(&accounts)
    .bind(rows.iter().map(|row| row.event).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.body_hash.as_slice()).collect::<Vec<_>>())
    .bind(shown.iter().map(|identity| identity.account.as_str()).collect::<Vec<_>>())
    .bind(shown.iter().map(|identity| identity.kind.as_str()).collect::<Vec<_>>())
    .bind(shown.iter().map(|identity| identity.value.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    let (mut inserted, mut known) = (HashSet::with_capacity(rows.len()), Known::default());
    for answer in &answers {
        match answer.try_get::<Option<EventId>, _>("event_id")? {
            Some(event) => drop(inserted.insert(event)),
            None => known.add(answer)?,
        }
    }
    if inserted.len() == rows.len() {
        return Ok((rows, known));
    }
    // Whoever had a key may have been waited for, and may have changed meanwhile who shows what.
    if !shown.is_empty() {
        known = people::load(connection, shown).await?;
    }
    Ok((known_keys(connection, &rows, &inserted).await?, known))
}

/// Whose keys are that were there already, or are now.
async fn known_keys(
    connection: &mut PgConnection,
    rows: &[LedgerRow],
    inserted: &HashSet<EventId>,
) -> Result<Vec<LedgerRow>> {
    // store::commit (known keys)
    let known = sqlx::query(concat!(
        "SELECT d.account, d.key, d.event_id, d.body_hash
         FROM unnest($1::bytea[], $2::text[]) AS k (key, account) CROSS JOIN ",
        for_each!("dedupe d", "d.key = k.key AND d.account = k.account"),
        " d",
    ))
    .bind(rows.iter().map(|row| row.key.as_bytes()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.account.as_str()).collect::<Vec<_>>())
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

/// Counts what came again, after everything else that is locked: who waits for a count holds up nobody whom it waits for.
async fn count_repeats(connection: &mut PgConnection, repeats: &BTreeMap<EventId, i64>) -> Result<()> {
    if repeats.is_empty() {
        return Ok(());
    }
    // store::commit (repeats)
    sqlx::query(
        "INSERT INTO repeats AS r (event_id, times) SELECT * FROM unnest($1::uuid[], $2::bigint[])
         ON CONFLICT (event_id) DO UPDATE SET times = r.times + excluded.times",
    )
    .bind(repeats.keys().copied().collect::<Vec<_>>())
    .bind(repeats.values().copied().collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Finds customers and conversations, and locks the latter.
pub(super) async fn converse(
    store: &PostgresStore,
    connection: &mut PgConnection,
    kept: &mut [Kept<'_>],
    known: Known,
) -> Result<Vec<(crate::store::plan::conversations::LockedConversation, i64)>> {
    let parties = group::parties(kept);
    if parties.is_empty() {
        return Ok(Vec::new());
    }
    let customers = people::resolve(store, connection, &parties, known).await?;
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

/// Inserts the events with their bodies, and what they are found by.
async fn insert(connection: &mut PgConnection, kept: &[Kept<'_>]) -> Result<()> {
    let rows: Vec<_> = kept.iter().map(group::event_columns).collect();
    let keys = group::callback_keys(kept);
    // store::commit (events)
    sqlx::query(
        "WITH stored AS (
             INSERT INTO bodies (event_id, body) SELECT * FROM unnest($1::uuid[], $14::bytea[])
         ), found_by AS (
             INSERT INTO callback_keys (key, id) SELECT * FROM unnest($15::bytea[], $16::uuid[]) ON CONFLICT DO NOTHING
         )
         INSERT INTO events (id, account, type, conversation_id, provider_message_id, in_reply_to, status, error_code,
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
    .bind(kept.iter().map(|row| row.arrival.body.as_ref()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(key, _)| key.as_bytes().as_slice()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, id)| Uuid::from_u128(id.0)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
