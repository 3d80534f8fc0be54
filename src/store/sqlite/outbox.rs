//! Queueing messages: the rows of each, its first send, and the job that sends it.

use serde::Serialize;
use sqlx::SqliteConnection;

use super::{SqliteStore, callback, json, queue};
use crate::model::id::{ConversationId, JobId, MessageId};
use crate::model::job::place_of_send;
use crate::model::message::{Origin, OwnState};
use crate::model::payload::kind_of;
use crate::store::Result;
use crate::store::plan::callback::keys;
use crate::store::plan::outbox::{NewMessage, send_job, send_jobs, wanted};
use crate::store::rows::millis;

/// Inserts messages and their jobs, in this order.
pub(super) async fn put(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    messages: &[NewMessage],
    now: i64,
) -> Result<()> {
    insert(connection, messages, now).await?;
    let last = queue::reserve(connection, &wanted(messages)).await?;
    queue::insert(connection, &send_jobs(messages, &last, || store.id()), now).await?;
    Ok(())
}

#[derive(Serialize)]
struct NewMessageColumns<'a> {
    id: MessageId,
    account: &'a str,
    conversation: ConversationId,
    caused_by: Option<JobId>,
    reply_index: Option<i64>,
    content: String,
    fallback: Option<String>,
    callback_data: Option<&'a str>,
    campaign: Option<&'a str>,
    order: Option<String>,
    origin: &'static str,
    kind: &'static str,
    confirms_opt_out: bool,
}

impl<'a> NewMessageColumns<'a> {
    fn of(message: &'a NewMessage) -> Self {
        Self {
            id: message.id,
            account: &message.account,
            conversation: message.conversation,
            caused_by: message.caused_by.map(|(job, _)| job),
            reply_index: message.caused_by.map(|(_, index)| index),
            content: message.content.to_string(),
            fallback: message.fallback.as_ref().map(ToString::to_string),
            callback_data: message.callback_data.as_deref(),
            campaign: message.campaign.as_deref(),
            order: message.order.as_ref().and_then(|order| serde_json::to_string(order).ok()),
            origin: message.origin.as_str(),
            kind: kind_of(&message.content).as_str(),
            confirms_opt_out: message.confirms_opt_out,
        }
    }
}

/// Inserts messages with their first send.
async fn insert(connection: &mut SqliteConnection, messages: &[NewMessage], now: i64) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = messages.iter().map(NewMessageColumns::of).collect();
    let rows = json(&rows)?;
    // store::queue_messages
    sqlx::query(
        "INSERT INTO messages (id, account, conversation_id, business, origin, caused_by, reply_index, content, fallback,
             callback_data, campaign, own_state, state, confirms_opt_out, created_at, updated_at, dispatch_order)
         SELECT value ->> 'id', value ->> 'account', value ->> 'conversation',
             (SELECT c.business FROM conversations c WHERE c.id = value ->> 'conversation'), value ->> 'origin',
             value ->> 'caused_by', value ->> 'reply_index', value ->> 'content', value ->> 'fallback',
             value ->> 'callback_data', value ->> 'campaign', $2, $2, value ->> 'confirms_opt_out', $3, $3, value ->> 'order'
         FROM jsonb_each($1)",
    )
    .bind(&rows)
    .bind(OwnState::Queued.as_str())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    // store::queue_messages (sends)
    sqlx::query(
        "INSERT INTO sends (message_id, number, kind, account, conversation_id)
         SELECT value ->> 'id', 1, value ->> 'kind', value ->> 'account', value ->> 'conversation' FROM jsonb_each($1)",
    )
    .bind(&rows)
    .execute(&mut *connection)
    .await?;
    let carriers = messages.iter().map(|message| (message.id, message.callback_data.as_deref()));
    callback::insert(connection, &keys(carriers)).await
}

/// A new job for a message at the end of its class in the conversation's lane.
pub(super) async fn enqueue(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    conversation: ConversationId,
    message: MessageId,
) -> Result<()> {
    // store::enqueue (message)
    let (account, origin): (String, String) =
        sqlx::query_as("SELECT account, origin FROM messages WHERE id = $1")
            .bind(message)
            .fetch_one(&mut *connection)
            .await?;
    let last = queue::reserve(connection, &[(conversation, 1)]).await?;
    let origin = Origin::parse(&origin).unwrap_or(Origin::Reply);
    let place = place_of_send(origin, last.first().map_or(0, |(_, last)| *last));
    let job = send_job(store.id(), &account, message, conversation, place);
    queue::insert(connection, &[job], millis(store.clock.now())).await?;
    Ok(())
}

/// The same, unless the message has a job: that is still at its first send, and goes on to the next one by itself.
pub(super) async fn enqueue_unless_queued(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    conversation: ConversationId,
    message: MessageId,
) -> Result<()> {
    // store::enqueue (queued)
    let queued: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM jobs WHERE message_id = $1)")
        .bind(message)
        .fetch_one(&mut *connection)
        .await?;
    if queued { Ok(()) } else { enqueue(store, connection, conversation, message).await }
}
