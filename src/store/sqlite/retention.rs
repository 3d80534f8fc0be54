//! Retention, in batches: SQLite has one writer, and nobody is to wait long for it.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{SqliteStore, callback, json};
use crate::model::id::{ConversationId, CustomerId, EventId, Id, MessageId};
use crate::model::retention::{Keep, Purged};
use crate::store::Result;
use crate::store::plan::callback::{Carrier, keys};
use crate::store::plan::retention::{BATCH, BY_ROW, Before, IDLE_CUSTOMERS, IS_EMPTY, OLD_MESSAGES};
use crate::store::rows::millis;

pub(super) async fn purge(store: &SqliteStore, keep: &Keep) -> Result<Purged> {
    let mut purged = Purged::default();
    let full = BATCH.unsigned_abs();
    purged.bodies = bodies(store, keep).await?;
    purged.events = events(store, keep).await?;
    purged.more = purged.bodies >= full || purged.events >= full;
    for statement in [
        "DELETE FROM outcomes WHERE id IN (SELECT id FROM outcomes WHERE id < $1 ORDER BY id LIMIT $2)",
        // A ledger row goes with its event, whatever time its key names.
        "DELETE FROM dedupe WHERE event_id IN (
             SELECT event_id FROM dedupe WHERE event_id < $1 ORDER BY event_id LIMIT $2)",
    ] {
        let mut tx = store.write_alone().await?;
        // store::purge (what became of events)
        let delete = sqlx::query(statement).bind(EventId::first_at(keep.events_since)).bind(BATCH);
        purged.more |= delete.execute(&mut *tx).await?.rows_affected() >= full;
        tx.commit().await?;
    }
    for step in &BY_ROW {
        let mut tx = store.write_alone().await?;
        // store::purge (by row)
        let delete = sqlx::query(step.statement);
        let delete = match (step.before)(keep) {
            Before::Time(at) => delete.bind(at),
            Before::Id(id) => delete.bind(id),
        };
        let gone = delete.bind(BATCH).execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        (step.count)(&mut purged, gone);
        purged.more |= gone >= full;
    }
    purged.messages = messages(store, keep).await?;
    purged.more |= purged.messages >= full;
    purged.conversations = conversations(store, keep).await?;
    purged.customers = customers(store, keep).await?;
    purged.more |= purged.conversations >= full || purged.customers >= full;
    Ok(purged)
}

async fn bodies(store: &SqliteStore, keep: &Keep) -> Result<u64> {
    let mut tx = store.write_alone().await?;
    // store::purge (bodies)
    let delete = sqlx::query(
        "DELETE FROM bodies WHERE event_id IN (
             SELECT event_id FROM bodies WHERE event_id < $1 ORDER BY event_id LIMIT $2)",
    );
    let gone = delete
        .bind(EventId::first_at(keep.bodies_since))
        .bind(BATCH)
        .execute(&mut *tx)
        .await?
        .rows_affected();
    tx.commit().await?;
    Ok(gone)
}

async fn events(store: &SqliteStore, keep: &Keep) -> Result<u64> {
    let oldest = "SELECT id, callback_data FROM events WHERE id < $1 ORDER BY id LIMIT $2";
    let mut tx = store.write_alone().await?;
    let events: Vec<Carrier<EventId>> =
        carriers(&mut tx, oldest, EventId::first_at(keep.events_since)).await?;
    let gone = delete(&mut tx, "DELETE FROM events", &events).await?;
    tx.commit().await?;
    Ok(gone)
}

async fn messages(store: &SqliteStore, keep: &Keep) -> Result<u64> {
    let mut tx = store.write_alone().await?;
    let messages: Vec<Carrier<MessageId>> =
        carriers(&mut tx, OLD_MESSAGES, MessageId::first_at(keep.events_since)).await?;
    let gone = delete(&mut tx, "DELETE FROM messages", &messages).await?;
    tx.commit().await?;
    Ok(gone)
}

async fn carriers<Of>(
    connection: &mut SqliteConnection,
    oldest: &'static str,
    before: Id<Of>,
) -> Result<Vec<Carrier<Id<Of>>>> {
    // store::purge (the oldest)
    Ok(sqlx::query_as(oldest).bind(before.to_string()).bind(BATCH).fetch_all(connection).await?)
}

/// Deletes rows, and what the index of callback data has of them.
async fn delete<Of>(
    connection: &mut SqliteConnection,
    from: &str,
    carriers: &[Carrier<Id<Of>>],
) -> Result<u64> {
    callback::remove(connection, &keys(carriers.iter().map(Carrier::as_pair))).await?;
    let ids = json(&carriers.iter().map(|carrier| carrier.id).collect::<Vec<_>>())?;
    let statement = format!("{from} WHERE id IN (SELECT value FROM jsonb_each($1))");
    // store::purge (with their keys)
    Ok(sqlx::query(AssertSqlSafe(statement)).bind(ids).execute(connection).await?.rows_affected())
}

async fn conversations(store: &SqliteStore, keep: &Keep) -> Result<u64> {
    let mut tx = store.write_alone().await?;
    let candidates = format!("SELECT c.id FROM conversations c WHERE {IS_EMPTY} ORDER BY c.id LIMIT $2");
    // store::purge (empty conversations)
    let empty: Vec<ConversationId> = sqlx::query_scalar(AssertSqlSafe(candidates))
        .bind(millis(keep.events_since))
        .bind(BATCH)
        .fetch_all(&mut *tx)
        .await?;
    let ids = json(&empty)?;
    for statement in [
        "DELETE FROM handler_state WHERE conversation_id IN (SELECT value FROM jsonb_each($1))",
        "DELETE FROM rule_uses WHERE conversation_id IN (SELECT value FROM jsonb_each($1))",
        "DELETE FROM conversations WHERE id IN (SELECT value FROM jsonb_each($1))",
    ] {
        // store::purge (conversations)
        sqlx::query(statement).bind(&ids).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(empty.len() as u64)
}

async fn customers(store: &SqliteStore, keep: &Keep) -> Result<u64> {
    let mut tx = store.write_alone().await?;
    // store::purge (idle customers)
    let idle: Vec<CustomerId> = sqlx::query_scalar(IDLE_CUSTOMERS)
        .bind(millis(keep.events_since))
        .bind(BATCH)
        .fetch_all(&mut *tx)
        .await?;
    let ids = json(&idle)?;
    for statement in [
        "DELETE FROM identities WHERE customer_id IN (SELECT value FROM jsonb_each($1))",
        "DELETE FROM customers WHERE id IN (SELECT value FROM jsonb_each($1))",
    ] {
        // store::purge (customers)
        sqlx::query(statement).bind(&ids).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(idle.len() as u64)
}
