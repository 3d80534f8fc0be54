//! The accounts' rates: one bucket each, a row that all instances share.

use std::time::Duration;

use sqlx::PgConnection;

use super::super::PostgresStore;
use crate::connectly::throttle::Bucket;
use crate::store::plan::sending::bucket_key;
use crate::store::rows::duration_ms;
use crate::store::{Result, StoreError};

/// Locks the account's bucket as the last send left it; the time is the database's, one for all instances.
pub(super) async fn lock_bucket(
    store: &PostgresStore,
    connection: &mut PgConnection,
    account: &str,
) -> Result<(Option<Bucket>, i64)> {
    // store::dispatch (bucket)
    let (value, now): (String, i64) = sqlx::query_as(
        "INSERT INTO settings AS s (key, value, updated_at) VALUES ($1, '', switchboard_now($2))
         ON CONFLICT (key) DO UPDATE SET key = s.key
         RETURNING s.value, switchboard_now($2)",
    )
    .bind(bucket_key(account))
    .bind(store.clock.offset_ms())
    .fetch_one(connection)
    .await?;
    Ok((serde_json::from_str(&value).ok(), now))
}

/// Holds all sends of an account that Connectly refused for its rate.
pub(super) async fn hold(
    store: &PostgresStore,
    connection: &mut PgConnection,
    account: &str,
    after: Duration,
) -> Result<()> {
    // Without a bucket nothing has left, so there is nothing to hold.
    let (Some(mut bucket), now) = lock_bucket(store, connection, account).await? else {
        return Ok(());
    };
    bucket.drain_until(now.saturating_add(duration_ms(after)));
    write_bucket(connection, account, &bucket, now).await
}

pub(super) async fn write_bucket(
    connection: &mut PgConnection,
    account: &str,
    bucket: &Bucket,
    now: i64,
) -> Result<()> {
    let value = serde_json::to_string(bucket).map_err(|error| StoreError::Internal(error.to_string()))?;
    // store::dispatch (bucket drawn)
    sqlx::query("UPDATE settings SET value = $2, updated_at = $3 WHERE key = $1")
        .bind(bucket_key(account))
        .bind(value)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
