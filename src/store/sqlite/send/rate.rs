//! The accounts' rates: one bucket each, a row that all instances share.

use std::time::Duration;

use sqlx::SqliteConnection;

use crate::connectly::throttle::Bucket;
use crate::store::plan::sending::bucket_key;
use crate::store::rows::duration_ms;
use crate::store::{Result, StoreError};

/// The account's bucket as the last send left it.
pub(super) async fn bucket(connection: &mut SqliteConnection, account: &str) -> Result<Option<Bucket>> {
    // store::dispatch (bucket)
    let value: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE key = $1")
        .bind(bucket_key(account))
        .fetch_optional(connection)
        .await?;
    Ok(value.and_then(|bucket| serde_json::from_str(&bucket).ok()))
}

/// Holds all sends of an account that Connectly refused for its rate.
pub(super) async fn hold(
    connection: &mut SqliteConnection,
    account: &str,
    after: Duration,
    now: i64,
) -> Result<()> {
    // Without a bucket nothing has left, so there is nothing to hold.
    let Some(mut bucket) = bucket(connection, account).await? else {
        return Ok(());
    };
    bucket.drain_until(now.saturating_add(duration_ms(after)));
    write_bucket(connection, account, &bucket, now).await
}

pub(super) async fn write_bucket(
    connection: &mut SqliteConnection,
    account: &str,
    bucket: &Bucket,
    now: i64,
) -> Result<()> {
    let value = serde_json::to_string(bucket).map_err(|error| StoreError::Internal(error.to_string()))?;
    // store::dispatch (bucket drawn)
    sqlx::query(
        "INSERT INTO settings (key, value, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    )
    .bind(bucket_key(account))
    .bind(value)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
