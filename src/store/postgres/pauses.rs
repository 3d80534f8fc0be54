//! Pauses: asked for, and replaced as a whole.

use super::PostgresStore;
use crate::model::pauses::Pauses;
use crate::store::Result;
use crate::store::plan::pauses::{keys, of_keys, route_of};

pub(super) async fn pauses(store: &PostgresStore) -> Result<Pauses> {
    // store::pauses
    let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM settings WHERE key LIKE 'pause/%'")
        .fetch_all(&store.readers)
        .await?;
    Ok(of_keys(&keys))
}

pub(super) async fn pause(store: &PostgresStore, pauses: &Pauses) -> Result<()> {
    let keys = keys(pauses);
    let mut tx = store.pool.begin().await?;
    // store::pause (one at a time)
    sqlx::query(
        "INSERT INTO settings (key, value, updated_at) VALUES ('pauses', '', switchboard_now($1))
         ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at",
    )
    .bind(store.clock.offset_ms())
    .execute(&mut *tx)
    .await?;
    // store::pause (paused)
    sqlx::query(
        "INSERT INTO settings (key, value, updated_at) SELECT key, '', switchboard_now($2) FROM unnest($1::text[]) AS k (key)
         -- What was paused before has been since then.
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(&keys)
    .bind(store.clock.offset_ms())
    .execute(&mut *tx)
    .await?;
    // store::pause (resumed)
    let resumed: Vec<(String, i64)> = sqlx::query_as(
        "DELETE FROM settings WHERE key LIKE 'pause/%' AND key <> ALL($1) RETURNING key, updated_at",
    )
    .bind(&keys)
    .fetch_all(&mut *tx)
    .await?;
    for (key, since) in resumed {
        let Some(route) = route_of(&key) else { continue };
        // store::pause (ages)
        sqlx::query(
            "WITH clock AS MATERIALIZED (SELECT switchboard_now($3) AS now),
             tried AS (
                 SELECT j.id FROM jobs j
                 WHERE j.route = $1 AND j.kind = 'deliver' AND j.parked_at IS NULL AND j.first_attempt_at IS NOT NULL
                 ORDER BY j.id FOR UPDATE OF j
             )
             -- As if the job had first been tried so much later: the pause is no part of its age.
             UPDATE jobs j SET first_attempt_at = j.first_attempt_at + clock.now - greatest(j.first_attempt_at, $2)
             FROM clock WHERE j.id = ANY(ARRAY(SELECT id FROM tried))",
        )
        .bind(route)
        .bind(since)
        .bind(store.clock.offset_ms())
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    // What waits for a route that was paused was passed.
    store.heads.begin_anew();
    Ok(())
}
