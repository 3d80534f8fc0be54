//! Months that are over: whole partitions go, so that years of traffic cost a moment and leave no holes.
//!
//! A partition is detached without stopping anybody, and then dropped. Detaching waits for whoever still reads from it, such
//! as a long export; it holds no lock meanwhile, and when it has waited long enough it is left half done and finished
//! another time. The ledger's partitions stay, emptied: keys of any time must find theirs.

use sqlx::{AssertSqlSafe, Connection as _, FromRow, PgConnection};

use super::PostgresStore;
use super::partitions::{BY_ID, Month};
use crate::model::id::EventId;
use crate::model::retention::{Keep, Purged};
use crate::store::{Result, StoreError};

/// The advisory lock under which months go: "SWBDDROP" in ASCII.
const LOCK: i64 = 0x5357_4244_4452_4f50;
/// How long to wait for those who read from a month.
const PATIENCE: &str = "10s";
/// How long to wait for a lock that others would have to wait behind.
const LOCK_PATIENCE: &str = "500ms";

/// Drops what is older than is kept. One instance at a time; the others find it done.
pub(super) async fn drop_before(store: &PostgresStore, keep: &Keep) -> Result<Purged> {
    let mut connection = PgConnection::connect_with(&store.pool.connect_options()).await?;
    set(&mut connection, "statement_timeout", "0").await?;
    let dropped = drop_on(&mut connection, keep).await;
    // With the session its lock ends too, whatever became of the rest.
    connection.close().await?;
    dropped
}

async fn drop_on(connection: &mut PgConnection, keep: &Keep) -> Result<Purged> {
    // store::purge (one at a time)
    let alone: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *connection).await?;
    if !alone {
        return Ok(Purged::default());
    }
    set(connection, "lock_timeout", LOCK_PATIENCE).await?;
    for partition in partitions(connection).await? {
        if !is_over(&partition.name, keep) {
            continue;
        }
        let left = if BY_ID.contains(&partition.parent.as_str()) {
            detach(connection, &partition).await
        } else {
            empty(connection, &partition.name, keep).await
        };
        if let Err(error) = left {
            tracing::info!(partition = partition.name, error = %error, "a month is still being read; it goes later");
        }
    }
    drop_detached(connection, keep).await
}

/// Whether nothing in this month of a table is kept any more.
fn is_over(name: &str, keep: &Keep) -> bool {
    let since = if name.starts_with("bodies") { keep.bodies_since } else { keep.events_since };
    Month::of_name(name).is_some_and(|month| month < Month::of(since))
}

async fn set(connection: &mut PgConnection, setting: &str, value: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(format!("SET {setting} = '{value}'"))).execute(connection).await?;
    Ok(())
}

#[derive(FromRow)]
struct Partition {
    parent: String,
    name: String,
    /// Detached as far as possible when somebody still read from it.
    pending: bool,
}

async fn partitions(connection: &mut PgConnection) -> Result<Vec<Partition>> {
    // store::purge (partitions)
    let partitions = sqlx::query_as(
        "SELECT parent.relname::text AS parent, child.relname::text AS name, i.inhdetachpending AS pending
         FROM pg_inherits i
         JOIN pg_class child ON child.oid = i.inhrelid
         JOIN pg_class parent ON parent.oid = i.inhparent
         WHERE parent.relname IN ('events', 'bodies', 'dedupe', 'outcomes', 'callback_keys') AND parent.relkind = 'p'
           AND parent.relnamespace = current_schema()::regnamespace
         ORDER BY i.inhdetachpending DESC, child.relname",
    );
    Ok(partitions.fetch_all(connection).await?)
}

/// Makes a month a table of its own. A failure on the way leaves it where it was, or pending.
async fn detach(connection: &mut PgConnection, partition: &Partition) -> Result<()> {
    let Partition { parent, name, pending } = partition;
    let how = if *pending { "FINALIZE" } else { "CONCURRENTLY" };
    set(connection, "statement_timeout", PATIENCE).await?;
    // store::purge (month)
    let detached =
        sqlx::raw_sql(AssertSqlSafe(format!("ALTER TABLE {parent} DETACH PARTITION {name} {how}")))
            .execute(&mut *connection)
            .await;
    set(connection, "statement_timeout", "0").await?;
    detached?;
    Ok(())
}

/// Drops what was detached, now or at an earlier time, and counts it.
async fn drop_detached(connection: &mut PgConnection, keep: &Keep) -> Result<Purged> {
    // store::purge (detached)
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relkind = 'r' AND NOT relispartition AND relnamespace = current_schema()::regnamespace
           AND relname ~ '^(events|bodies|outcomes|callback_keys)_[0-9]{4}_[0-9]{2}$'",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut purged = Purged::default();
    for table in tables.iter().filter(|table| is_over(table, keep)) {
        match drop_table(connection, table).await {
            Ok(rows) if table.starts_with("bodies") => purged.bodies += rows,
            Ok(rows) if table.starts_with("events") => purged.events += rows,
            Ok(_) => {}
            Err(error) => {
                tracing::info!(partition = table, error = %error, "a month is still being read; it goes later");
            }
        }
    }
    Ok(purged)
}

async fn drop_table(connection: &mut PgConnection, table: &str) -> Result<u64> {
    // store::purge (count)
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
        .fetch_one(&mut *connection)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {table}"))).execute(connection).await?;
    Ok(rows.unsigned_abs())
}

/// Empties a month of the ledger, unless an event that is kept named a time in it.
async fn empty(connection: &mut PgConnection, name: &str, keep: &Keep) -> Result<()> {
    if !holds_rows(connection, name, None).await? {
        return Ok(());
    }
    let mut tx = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")))
        .execute(&mut *tx)
        .await?;
    if holds_rows(&mut tx, name, Some(EventId::first_at(keep.events_since))).await? {
        // Row by row, then.
        return Ok(());
    }
    // store::purge (ledger's month)
    sqlx::raw_sql(AssertSqlSafe(format!("TRUNCATE {name}"))).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// Whether there is a row at all, or one of an event from an id on.
async fn holds_rows(connection: &mut PgConnection, name: &str, from: Option<EventId>) -> Result<bool> {
    let condition = if from.is_some() { "event_id >= $1" } else { "$1::uuid IS NULL" };
    let statement = format!("SELECT EXISTS (SELECT FROM {name} WHERE {condition})");
    // store::purge (left in a month)
    let held = sqlx::query_scalar(AssertSqlSafe(statement)).bind(from).fetch_one(connection).await;
    held.map_err(StoreError::from)
}
