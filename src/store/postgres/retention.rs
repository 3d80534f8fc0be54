//! Retention: whole months of what grows with traffic, the rest in batches.

use sqlx::{AssertSqlSafe, PgPool};

use super::PostgresStore;
use crate::model::id::{ConversationId, CustomerId, EventId, MessageId};
use crate::model::retention::{Keep, Purged};
use crate::store::Result;
use crate::store::plan::retention::{BATCH, BY_ROW, Before, IDLE_CUSTOMERS, IS_EMPTY, OLD_MESSAGES};
use crate::store::rows::millis;

/// Everything but whole months.
pub(super) async fn by_row(store: &PostgresStore, keep: &Keep) -> Result<Purged> {
    let mut purged = Purged::default();
    let full = BATCH.unsigned_abs();
    for step in &BY_ROW {
        // store::purge (by row)
        let delete = sqlx::query(step.statement);
        let delete = match (step.before)(keep) {
            Before::Time(at) => delete.bind(at),
            Before::Id(id) => delete.bind(id),
        };
        let gone = delete.bind(BATCH).execute(&store.pool).await?.rows_affected();
        (step.count)(&mut purged, gone);
        purged.more |= gone >= full;
    }
    purged.messages = messages(&store.pool, keep).await?;
    purged.more |= purged.messages >= full;
    purged.more |= ledger(&store.pool, keep).await? >= full;
    purged.conversations = conversations(&store.pool, keep).await?;
    purged.customers = customers(&store.pool, keep).await?;
    purged.more |= purged.conversations >= full || purged.customers >= full;
    Ok(purged)
}

async fn messages(pool: &PgPool, keep: &Keep) -> Result<u64> {
    // Where their callback data is found goes with its month.
    let statement = format!("DELETE FROM messages WHERE id IN (SELECT o.id FROM ({OLD_MESSAGES}) o)");
    // store::purge (messages)
    let delete = sqlx::query(AssertSqlSafe(statement)).bind(MessageId::first_at(keep.events_since));
    Ok(delete.bind(BATCH).execute(pool).await?.rows_affected())
}

/// A ledger row goes with its event, whatever time its key names.
async fn ledger(pool: &PgPool, keep: &Keep) -> Result<u64> {
    // store::purge (ledger)
    let delete = sqlx::query(
        "DELETE FROM dedupe WHERE (key, account) IN (
             SELECT key, account FROM dedupe WHERE event_id < $1 ORDER BY event_id LIMIT $2)",
    );
    let first = EventId::first_at(keep.events_since);
    Ok(delete.bind(first).bind(BATCH).execute(pool).await?.rows_affected())
}

/// Locked first and looked at again then: nothing can be added to a locked one.
async fn conversations(pool: &PgPool, keep: &Keep) -> Result<u64> {
    let mut tx = pool.begin().await?;
    let candidates = format!(
        "SELECT c.id FROM conversations c WHERE {IS_EMPTY} ORDER BY c.id LIMIT $2 FOR UPDATE SKIP LOCKED"
    );
    // store::purge (empty conversations)
    let empty: Vec<ConversationId> = sqlx::query_scalar(AssertSqlSafe(candidates))
        .bind(millis(keep.events_since))
        .bind(BATCH)
        .fetch_all(&mut *tx)
        .await?;
    let delete = format!("DELETE FROM conversations c WHERE c.id = ANY($2) AND {IS_EMPTY} RETURNING c.id");
    // store::purge (conversations)
    let gone: Vec<ConversationId> = sqlx::query_scalar(AssertSqlSafe(delete))
        .bind(millis(keep.events_since))
        .bind(&empty)
        .fetch_all(&mut *tx)
        .await?;
    // Only of those that surely are gone.
    for statement in [
        "DELETE FROM handler_state WHERE conversation_id = ANY($1)",
        "DELETE FROM rule_uses WHERE conversation_id = ANY($1)",
    ] {
        // store::purge (what they held)
        sqlx::query(statement).bind(&gone).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(gone.len() as u64)
}

/// A transaction that still takes one of them for a customer fails on its foreign key and is repeated.
async fn customers(pool: &PgPool, keep: &Keep) -> Result<u64> {
    let mut tx = pool.begin().await?;
    let candidates = format!("{IDLE_CUSTOMERS} FOR UPDATE OF c SKIP LOCKED");
    // store::purge (idle customers)
    let mut idle: Vec<CustomerId> = sqlx::query_scalar(AssertSqlSafe(candidates))
        .bind(millis(keep.events_since))
        .bind(BATCH)
        .fetch_all(&mut *tx)
        .await?;
    if idle.is_empty() {
        return Ok(0);
    }
    // store::purge (spoken with)
    let busy: Vec<CustomerId> =
        sqlx::query_scalar("SELECT customer_id FROM conversations WHERE customer_id = ANY($1)")
            .bind(&idle)
            .fetch_all(&mut *tx)
            .await?;
    idle.retain(|customer| !busy.contains(customer));
    let mut gone = 0;
    for statement in
        ["DELETE FROM identities WHERE customer_id = ANY($1)", "DELETE FROM customers WHERE id = ANY($1)"]
    {
        // store::purge (customers)
        gone = sqlx::query(statement).bind(&idle).execute(&mut *tx).await?.rows_affected();
    }
    tx.commit().await?;
    Ok(gone)
}
