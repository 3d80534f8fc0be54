//! Months that are over: whole partitions go, so that years of traffic cost a moment and leave no holes.
//!
//! A partition is detached without stopping anybody, and then dropped. Detaching waits for whoever still reads from it, such
//! as a long export; it holds no lock meanwhile, and when it has waited long enough it is left half done and finished
//! another time. The ledger's partitions stay, emptied: keys of any time must find theirs.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, FromRow, PgConnection};

use super::PostgresStore;
use super::partitions::{BY_ID, Month};
use crate::model::id::EventId;
use crate::model::retention::{Keep, Purged};
use crate::store::{Result, StoreError};

/// The advisory lock under which months go: "SWBDDROP" in ASCII.
const LOCK: i64 = 0x5357_4244_4452_4f50;
/// How long to wait for those who read from a month.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for a lock that others would have to wait behind.
const LOCK_PATIENCE: &str = "500ms";

/// Drops what is older than is kept. One instance at a time; the others find it done.
pub(super) async fn drop_before(store: &PostgresStore, keep: &Keep) -> Result<Purged> {
    let mut connection = PgConnection::connect_with(&store.pool.connect_options()).await?;
    let dropped = drop_on(&mut connection, keep).await;
    // With the session its lock ends too, whatever became of the rest.
    connection.close().await?;
    dropped
}

async fn drop_on(connection: &mut PgConnection, keep: &Keep) -> Result<Purged> {
    let mut purged = Purged::default();
    // store::purge (one at a time)
    let alone: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *connection).await?;
    if !alone {
        return Ok(purged);
    }
    let patience =
        format!("SET statement_timeout = {}; SET lock_timeout = '{LOCK_PATIENCE}'", PATIENCE.as_millis());
    sqlx::raw_sql(AssertSqlSafe(patience)).execute(&mut *connection).await?;
    let bodies_end = Month::of(keep.bodies_since);
    let events_end = Month::of(keep.events_since);
    for partition in partitions(connection).await? {
        let end = if partition.parent == "bodies" { bodies_end } else { events_end };
        if Month::of_name(&partition.name).is_none_or(|month| month >= end) {
            continue;
        }
        let gone = if BY_ID.contains(&partition.parent.as_str()) {
            detach_and_drop(connection, &partition).await
        } else {
            empty(connection, &partition.name, keep).await.map(|()| 0)
        };
        match gone {
            Ok(rows) if partition.parent == "bodies" => purged.bodies += rows,
            Ok(rows) if partition.parent == "events" => purged.events += rows,
            Ok(_) => {}
            Err(error) => {
                tracing::info!(partition = partition.name, error = %error, "a month is still in use; it goes later");
            }
        }
    }
    Ok(purged)
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

/// Answers how many rows went. A failure on the way leaves it standing, or pending.
async fn detach_and_drop(connection: &mut PgConnection, partition: &Partition) -> Result<u64> {
    let Partition { parent, name, pending } = partition;
    // store::purge (count)
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {name}")))
        .fetch_one(&mut *connection)
        .await?;
    let how = if *pending { "FINALIZE" } else { "CONCURRENTLY" };
    for statement in
        [format!("ALTER TABLE {parent} DETACH PARTITION {name} {how}"), format!("DROP TABLE {name}")]
    {
        // store::purge (month)
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(u64::try_from(rows).unwrap_or_default())
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
