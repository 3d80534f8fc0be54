//! Pauses: asked for, and replaced as a whole.

use super::{SqliteStore, json};
use crate::model::pauses::Pauses;
use crate::store::Result;
use crate::store::plan::pauses::{keys, of_keys, route_of};
use crate::store::rows::millis;

pub(super) async fn pauses(store: &SqliteStore) -> Result<Pauses> {
    // store::pauses
    let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM settings WHERE key LIKE 'pause/%'")
        .fetch_all(&store.readers)
        .await?;
    Ok(of_keys(&keys))
}

pub(super) async fn pause(store: &SqliteStore, pauses: &Pauses) -> Result<()> {
    let (keys, now) = (json(&keys(pauses))?, millis(store.clock.now()));
    let mut tx = store.write().await?;
    // store::pause (paused)
    sqlx::query(
        "INSERT INTO settings (key, value, updated_at) SELECT value, '', $2 FROM jsonb_each($1)
         WHERE true
         -- What was paused before has been since then.
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(&keys)
    .bind(now)
    .execute(&mut *tx)
    .await?;
    // store::pause (resumed)
    let resumed: Vec<(String, i64)> = sqlx::query_as(
        "DELETE FROM settings WHERE key LIKE 'pause/%' AND key NOT IN (SELECT value FROM jsonb_each($1))
         RETURNING key, updated_at",
    )
    .bind(&keys)
    .fetch_all(&mut *tx)
    .await?;
    for (key, since) in resumed {
        let Some(route) = route_of(&key) else { continue };
        // store::pause (ages)
        sqlx::query(
            // As if the job had first been tried so much later: the pause is no part of its age.
            "UPDATE jobs SET first_attempt_at = first_attempt_at + $3 - max(first_attempt_at, $2)
             WHERE route = $1 AND kind = 'deliver' AND parked_at IS NULL AND first_attempt_at IS NOT NULL",
        )
        .bind(route)
        .bind(since)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}
