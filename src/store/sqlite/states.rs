//! What routes keep for conversations.

use super::SqliteStore;
use crate::model::id::ConversationId;
use crate::model::state::HandlerState;
use crate::store::rows::HandlerStateRow;
use crate::store::{Result, question};

pub(super) async fn state(
    store: &SqliteStore,
    id: ConversationId,
    route: &str,
) -> Result<Option<HandlerState>> {
    let mut query = question::states::one(id, route);
    let row: Option<HandlerStateRow> = query.build_query_as().fetch_optional(&store.readers).await?;
    Ok(row.map(HandlerStateRow::into_state))
}

pub(super) async fn clear(store: &SqliteStore, id: ConversationId, route: &str) -> Result<bool> {
    let mut tx = store.write().await?;
    let cleared = question::states::clear(id, route).build().execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(cleared.rows_affected() > 0)
}
