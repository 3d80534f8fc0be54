//! The index of callback data.

use serde::Serialize;
use sqlx::SqliteConnection;

use super::{hex, json};
use crate::store::Result;
use crate::store::plan::callback::KeyOf;

#[derive(Serialize)]
struct KeyColumns {
    key: String,
    id: String,
}

/// Makes what carries these keys findable by them.
pub(super) async fn insert(connection: &mut SqliteConnection, keys: &[KeyOf]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    // store::callback_keys
    sqlx::query(
        "INSERT INTO callback_keys (key, id) SELECT unhex(value ->> 'key'), value ->> 'id' FROM jsonb_each($1)
         WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(columns(keys)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets where these keys were found.
pub(super) async fn remove(connection: &mut SqliteConnection, keys: &[KeyOf]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    // store::callback_keys (remove)
    sqlx::query(
        "DELETE FROM callback_keys WHERE (key, id) IN (
             SELECT unhex(value ->> 'key'), value ->> 'id' FROM jsonb_each($1))",
    )
    .bind(columns(keys)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keys as the parameter that names them.
pub(super) fn columns(keys: &[KeyOf]) -> Result<String> {
    let column = |(key, id): &KeyOf| KeyColumns { key: hex(key.as_bytes()), id: id.to_string() };
    json(&keys.iter().map(column).collect::<Vec<_>>())
}
