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
    let rows: Vec<_> =
        keys.iter().map(|(key, id)| KeyColumns { key: hex(key.as_bytes()), id: id.to_string() }).collect();
    // store::callback_keys
    sqlx::query(
        "INSERT INTO callback_keys (key, id) SELECT unhex(value ->> 'key'), value ->> 'id' FROM json_each($1)
         WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}
