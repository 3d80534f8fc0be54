//! What routes keep for conversations.

use sqlx::PgConnection;

use super::PostgresStore;
use crate::model::id::ConversationId;
use crate::model::state::HandlerState;
use crate::store::rows::HandlerStateRow;
use crate::store::{Result, question};

pub(super) async fn state(
    store: &PostgresStore,
    id: ConversationId,
    route: &str,
) -> Result<Option<HandlerState>> {
    let mut query = question::states::one(id, route);
    let row: Option<HandlerStateRow> = query.build_query_as().fetch_optional(&store.readers).await?;
    Ok(row.map(HandlerStateRow::into_state))
}

pub(super) async fn clear(store: &PostgresStore, id: ConversationId, route: &str) -> Result<bool> {
    let mut tx = store.pool.begin().await?;
    lock(&mut tx, id).await?;
    let cleared = question::states::clear(id, route).build().execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(cleared.rows_affected() > 0)
}

/// Waits for a merge of the conversation, which moves its state, and for nothing else: events go on coming in.
async fn lock(connection: &mut PgConnection, id: ConversationId) -> Result<()> {
    // store::clear_state (lock)
    sqlx::query("SELECT id FROM conversations WHERE id = $1 FOR KEY SHARE")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}
