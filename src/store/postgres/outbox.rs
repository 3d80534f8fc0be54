//! Queueing messages: the rows of each, its first send, and the job that sends it.

use sqlx::PgConnection;

use super::{PostgresStore, callback, queue};
use crate::model::id::{ConversationId, MessageId};
use crate::model::job::place_of_send;
use crate::model::message::{Origin, OwnState};
use crate::model::payload::kind_of;
use crate::store::Result;
use crate::store::plan::callback::keys;
use crate::store::plan::outbox::{NewMessage, send_job, send_jobs, wanted};
use crate::store::rows::millis;

/// Inserts messages and their jobs, in this order. The caller holds the conversations' locks.
pub(super) async fn put(
    store: &PostgresStore,
    connection: &mut PgConnection,
    messages: &[NewMessage],
    now: i64,
) -> Result<()> {
    insert(connection, messages, now).await?;
    let last = queue::reserve(connection, &wanted(messages)).await?;
    let jobs = send_jobs(messages, &last, || store.id());
    queue::insert(connection, &jobs, now, store.clock.offset_ms()).await?;
    Ok(())
}

/// Inserts messages with their first send.
async fn insert(connection: &mut PgConnection, messages: &[NewMessage], now: i64) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    // store::queue_messages
    sqlx::query(
        "INSERT INTO messages (id, account, conversation_id, business, origin, caused_by, reply_index, content, fallback,
             callback_data, campaign, own_state, state, confirms_opt_out, created_at, updated_at, dispatch_order)
         SELECT id, account, conversation_id, (SELECT c.business FROM conversations c WHERE c.id = conversation_id),
             origin, caused_by, reply_index, content, fallback, callback_data, campaign, $12, $12, confirms_opt_out,
             $13, $13, dispatch_order
         FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::text[], $8::text[],
             $9::text[], $10::text[], $11::boolean[], $14::text[])
             AS n (id, account, conversation_id, origin, caused_by, reply_index, content, fallback, callback_data,
                 campaign, confirms_opt_out, dispatch_order)",
    )
    .bind(messages.iter().map(|message| message.id).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.account.as_str()).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.conversation).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.origin.as_str()).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.caused_by.map(|(job, _)| job)).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.caused_by.map(|(_, index)| index)).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.content.to_string()).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.fallback.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.callback_data.as_deref()).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.campaign.as_deref()).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.confirms_opt_out).collect::<Vec<_>>())
    .bind(OwnState::Queued.as_str())
    .bind(now)
    .bind(messages.iter().map(order).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    // store::queue_messages (sends)
    sqlx::query(
        "INSERT INTO sends (message_id, number, kind, account, conversation_id)
         SELECT id, 1, kind, account, conversation_id
         FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[]) AS n (id, account, conversation_id, kind)",
    )
    .bind(messages.iter().map(|message| message.id).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.account.as_str()).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| message.conversation).collect::<Vec<_>>())
    .bind(messages.iter().map(|message| kind_of(&message.content).as_str()).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    let carriers = messages.iter().map(|message| (message.id, message.callback_data.as_deref()));
    callback::insert(connection, &keys(carriers)).await
}

/// A new job for a message at the end of its class in the conversation's lane. The caller holds the conversation's lock.
pub(super) async fn enqueue(
    store: &PostgresStore,
    connection: &mut PgConnection,
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
    queue::insert(connection, &[job], millis(store.clock.now()), store.clock.offset_ms()).await?;
    Ok(())
}

/// The same, unless the message has a job: that is still at its first send, and goes on to the next one by itself.
pub(super) async fn enqueue_unless_queued(
    store: &PostgresStore,
    connection: &mut PgConnection,
    conversation: ConversationId,
    message: MessageId,
) -> Result<()> {
    // store::enqueue (queued)
    let queued: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM jobs WHERE message_id = $1)")
        .bind(message)
        .fetch_one(&mut *connection)
        .await?;
    if queued { Ok(()) } else { enqueue(store, connection, conversation, message).await }
}

fn order(message: &NewMessage) -> Option<String> {
    message.order.as_ref().and_then(|order| serde_json::to_string(order).ok())
}
