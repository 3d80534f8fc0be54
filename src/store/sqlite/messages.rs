//! Questions about messages.

use super::SqliteStore;
use crate::model::id::MessageId;
use crate::model::message::{Message, TimelineEntry};
use crate::store::plan::timeline::{self, StatusSeen};
use crate::store::query::{MessageFilter, Page, PageRequest};
use crate::store::rows::{MessageRow, SendRow};
use crate::store::{Result, question};

pub(super) async fn message(store: &SqliteStore, id: &str) -> Result<Option<(Message, Vec<TimelineEntry>)>> {
    let mut named = question::messages::named(id);
    let id: Option<MessageId> = named.build_query_scalar().fetch_optional(&store.readers).await?;
    // store::message
    let row: Option<MessageRow> = sqlx::query_as("SELECT * FROM message_view WHERE id = $1")
        .bind(id)
        .fetch_optional(&store.readers)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let own_since = row.updated_at;
    let message = row.into_message();
    // store::message (sends)
    let sends: Vec<SendRow> = sqlx::query_as("SELECT * FROM sends WHERE message_id = $1 ORDER BY number")
        .bind(message.id)
        .fetch_all(&store.readers)
        .await?;
    // store::message (statuses)
    let statuses: Vec<StatusSeen> = sqlx::query_as(
        "SELECT e.id, e.status, coalesce(e.occurred_at, e.received_at) AS at, s.number
         FROM sends s JOIN events e ON e.account = s.account AND e.provider_message_id = s.provider_message_id
         WHERE s.message_id = $1 AND e.status IS NOT NULL",
    )
    .bind(message.id)
    .fetch_all(&store.readers)
    .await?;
    let timeline = timeline::of(&message, &sends, statuses, own_since);
    Ok(Some((message, timeline)))
}

pub(super) async fn messages(
    store: &SqliteStore,
    filter: &MessageFilter,
    page: PageRequest<MessageId>,
) -> Result<Page<Message>> {
    let mut query = question::messages::list(filter, page);
    let rows: Vec<MessageRow> = query.build_query_as().fetch_all(&store.readers).await?;
    Ok(Page::of(rows.into_iter().map(MessageRow::into_message).collect(), page.limit))
}
