//! Questions about conversations and customers, and a customer's word on being written to.

use super::SqliteStore;
use crate::model::conversation::Conversation;
use crate::model::customer::CustomerProfile;
use crate::model::id::{ConversationId, CustomerId};
use crate::store::query::{ConversationFilter, ConversationPlace, Page, PageRequest};
use crate::store::rows::{ConversationRow, CustomerRow, millis};
use crate::store::{Result, question};

pub(super) async fn conversation(store: &SqliteStore, id: ConversationId) -> Result<Option<Conversation>> {
    let mut query = question::conversations::one(id);
    let row: Option<ConversationRow> = query.build_query_as().fetch_optional(&store.readers).await?;
    Ok(row.map(ConversationRow::into_conversation))
}

pub(super) async fn conversations(
    store: &SqliteStore,
    filter: &ConversationFilter,
    page: PageRequest<ConversationPlace>,
) -> Result<Page<Conversation>> {
    let mut query = question::conversations::list(filter, page, store.clock.now());
    let rows: Vec<ConversationRow> = query.build_query_as().fetch_all(&store.readers).await?;
    Ok(Page::of(rows.into_iter().map(ConversationRow::into_conversation).collect(), page.limit))
}

pub(super) async fn customers(store: &SqliteStore, name: &str) -> Result<Vec<CustomerProfile>> {
    let mut query = question::customers::named(name);
    let rows: Vec<CustomerRow> = query.build_query_as().fetch_all(&store.readers).await?;
    Ok(rows.into_iter().map(CustomerRow::into_profile).collect())
}

pub(super) async fn opt(
    store: &SqliteStore,
    id: CustomerId,
    by: Option<&str>,
) -> Result<Option<CustomerProfile>> {
    let mut query = question::customers::opt(id, by, millis(store.clock.now()));
    let mut tx = store.write().await?;
    let row: Option<CustomerRow> = query.build_query_as().fetch_optional(&mut *tx).await?;
    tx.commit().await?;
    Ok(row.map(CustomerRow::into_profile))
}
