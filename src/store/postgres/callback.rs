//! The index of callback data.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::Result;
use crate::store::plan::callback::KeyOf;

/// Makes what carries these keys findable by them.
pub(super) async fn insert(connection: &mut PgConnection, keys: &[KeyOf]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    // store::callback_keys
    sqlx::query(
        "INSERT INTO callback_keys (key, id) SELECT * FROM unnest($1::bytea[], $2::uuid[]) ON CONFLICT DO NOTHING",
    )
    .bind(keys.iter().map(|(key, _)| key.as_bytes().as_slice()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, id)| Uuid::from_u128(id.0)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets where these keys were found.
pub(super) async fn remove(connection: &mut PgConnection, keys: &[KeyOf]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    // store::callback_keys (remove)
    sqlx::query(
        "DELETE FROM callback_keys c USING unnest($1::bytea[], $2::uuid[]) AS k (key, id)
         WHERE c.key = k.key AND c.id = k.id AND c.key = ANY($1)",
    )
    .bind(keys.iter().map(|(key, _)| key.as_bytes().as_slice()).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, id)| Uuid::from_u128(id.0)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
