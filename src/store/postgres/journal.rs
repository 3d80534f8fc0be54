//! Messages and sends: loading them under lock, and writing back what the journal made of them.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;

use super::by_key::for_each;
use super::{PostgresStore, callback, outbox};
use crate::model::customer::BY_CONNECTLY;
use crate::model::id::{ConversationId, MessageId};
use crate::model::json::JsonText;
use crate::store::Result;
use crate::store::plan::callback::keys;
use crate::store::plan::group::{Kept, news};
use crate::store::plan::journal::{Journal, MessageRecord, News, SendRecord};
use crate::store::rows::{RecordRow, SendRow, millis};

/// Takes in what a group's statuses and echoes tell.
pub(super) async fn learn(
    store: &PostgresStore,
    connection: &mut PgConnection,
    kept: &[Kept<'_>],
) -> Result<()> {
    let news = news(kept);
    if news.is_empty() {
        return Ok(());
    }
    let ids = concerned(connection, &news).await?;
    let mut journal = Journal::new(load(connection, &ids).await?);
    for item in &news {
        journal.learn(item, || store.id());
    }
    let changes = journal.changes();
    let now = millis(store.clock.now());
    insert(connection, &changes.created, now).await?;
    update(connection, &changes.changed, now).await?;
    close_windows(connection, &changes.window_closed).await?;
    for (message, conversation) in changes.fallen_back {
        outbox::enqueue_unless_queued(store, connection, conversation, message).await?;
    }
    for conversation in changes.opted_out {
        opt_out(connection, conversation, now).await?;
    }
    Ok(())
}

/// Notes that Connectly says that a conversation's customer wants no messages.
pub(super) async fn opt_out(
    connection: &mut PgConnection,
    conversation: ConversationId,
    now: i64,
) -> Result<()> {
    // store::opt_out (by Connectly)
    sqlx::query(
        "UPDATE customers SET opted_out_at = $2, opted_out_by = $3
         WHERE id = (SELECT c.customer_id FROM conversations c WHERE c.id = $1) AND opted_out_at IS NULL",
    )
    .bind(conversation)
    .bind(now)
    .bind(BY_CONNECTLY)
    .execute(connection)
    .await?;
    Ok(())
}

/// The sends for ids at Connectly, which stand on its left as `k (account, provider_message_id)`.
macro_rules! sent_as {
    () => {
        for_each!("sends s", "s.account = k.account AND s.provider_message_id = k.provider_message_id")
    };
}
pub(super) use sent_as;

/// The messages the news name by id or mark, and the unconfirmed ones that unmarked news may settle.
async fn concerned(connection: &mut PgConnection, news: &[News]) -> Result<Vec<MessageId>> {
    let unmarked = news.iter().filter(|item| item.mark.is_none());
    // store::messages_concerned
    let ids = sqlx::query_scalar(concat!(
        "SELECT s.message_id FROM unnest($1::text[], $2::text[]) AS k (account, provider_message_id) CROSS JOIN ",
        sent_as!(),
        " s
         UNION SELECT m.id FROM messages m WHERE m.id = ANY($3)
         UNION SELECT m.id FROM messages m WHERE m.own_state = 'unconfirmed' AND m.conversation_id = ANY($4)",
    ))
    .bind(news.iter().map(|item| item.account.as_str()).collect::<Vec<_>>())
    .bind(news.iter().map(|item| item.provider_message_id.as_str()).collect::<Vec<_>>())
    .bind(news.iter().filter_map(|item| item.mark).collect::<Vec<_>>())
    .bind(unmarked.filter_map(|item| item.conversation).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// Locks messages in the order of their ids and loads them with their sends.
pub(super) async fn load(connection: &mut PgConnection, ids: &[MessageId]) -> Result<Vec<MessageRecord>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // store::load_messages
    let rows: Vec<RecordRow> = sqlx::query_as(
        "SELECT id, account, conversation_id, origin, content, fallback IS NOT NULL AS has_fallback, callback_data, campaign,
             own_state, error, created_at
         FROM messages WHERE id = ANY($1) ORDER BY id FOR UPDATE",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    // store::load_sends
    let sends: Vec<SendRow> = sqlx::query_as(
        "SELECT message_id, number, kind, provider_message_id, dispatched_at, accepted_at, sent_at, delivered_at, read_at,
             failed_at, error
         FROM sends WHERE message_id = ANY($1) ORDER BY message_id, number",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let mut of_message: HashMap<MessageId, Vec<SendRecord>> = HashMap::new();
    for send in sends {
        of_message.entry(send.message_id).or_default().push(send.into_record());
    }
    let records = rows.into_iter().map(|row| {
        let sends = of_message.remove(&row.id).unwrap_or_default();
        row.into_record(sends)
    });
    records.collect()
}

/// Inserts observed messages.
async fn insert(connection: &mut PgConnection, created: &[MessageRecord], now: i64) -> Result<()> {
    if created.is_empty() {
        return Ok(());
    }
    // store::insert_observed
    sqlx::query(
        "INSERT INTO messages (id, account, conversation_id, origin, content, callback_data, campaign, own_state, state,
             error, error_code, created_at, updated_at, business)
         SELECT *, $10, (SELECT c.business FROM conversations c WHERE c.id = n.conversation_id)
         FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::text[], $12::text[], $13::text[], $11::bigint[])
             AS n (id, account, conversation_id, origin, content, callback_data, campaign, own_state, state, error,
                 error_code, created_at)",
    )
    .bind(created.iter().map(|record| record.id).collect::<Vec<_>>())
    .bind(created.iter().map(|record| record.account.as_str()).collect::<Vec<_>>())
    .bind(created.iter().map(|record| record.conversation).collect::<Vec<_>>())
    .bind(created.iter().map(|record| record.origin.as_str()).collect::<Vec<_>>())
    .bind(created.iter().map(|record| record.content.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
    .bind(created.iter().map(|record| record.callback_data.as_ref().map(JsonText::as_str)).collect::<Vec<_>>())
    .bind(created.iter().map(|record| record.campaign.as_deref()).collect::<Vec<_>>())
    .bind(created.iter().map(|record| record.own.as_str()).collect::<Vec<_>>())
    .bind(created.iter().map(MessageRecord::state).collect::<Vec<_>>())
    .bind(now)
    .bind(created.iter().map(|record| millis(record.created_at)).collect::<Vec<_>>())
    .bind(created.iter().map(failure).collect::<Vec<_>>())
    .bind(created.iter().map(MessageRecord::failure_code).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    let carriers =
        created.iter().map(|record| (record.id, record.callback_data.as_ref().map(JsonText::as_str)));
    callback::insert(connection, &keys(carriers)).await?;
    write_sends(connection, created).await
}

/// Writes back what was learned of messages.
pub(super) async fn update(connection: &mut PgConnection, changed: &[MessageRecord], now: i64) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    // store::update_messages
    sqlx::query(
        "UPDATE messages m SET own_state = n.own_state, state = n.state, content = n.content, error = n.error,
             error_code = n.error_code, updated_at = $7
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
             AS n (id, own_state, state, content, error, error_code)
         WHERE m.id = n.id AND m.id = ANY($1)",
    )
    .bind(changed.iter().map(|record| record.id).collect::<Vec<_>>())
    .bind(changed.iter().map(|record| record.own.as_str()).collect::<Vec<_>>())
    .bind(changed.iter().map(MessageRecord::state).collect::<Vec<_>>())
    .bind(changed.iter().map(|record| record.content.as_ref().map(ToString::to_string)).collect::<Vec<_>>())
    .bind(changed.iter().map(failure).collect::<Vec<_>>())
    .bind(changed.iter().map(MessageRecord::failure_code).collect::<Vec<_>>())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    write_sends(connection, changed).await
}

fn failure(record: &MessageRecord) -> Option<String> {
    record.failure().and_then(|error| serde_json::to_string(error).ok())
}

pub(super) async fn write_sends(connection: &mut PgConnection, records: &[MessageRecord]) -> Result<()> {
    let sends: Vec<(&MessageRecord, &SendRecord)> =
        records.iter().flat_map(|record| record.sends.iter().map(move |send| (record, send))).collect();
    let errors = sends.iter().map(|(_, send)| send.statuses.error.as_ref());
    // store::write_sends
    sqlx::query(
        "INSERT INTO sends (message_id, number, kind, account, conversation_id, provider_message_id, dispatched_at,
             accepted_at, sent_at, delivered_at, read_at, failed_at, error)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::bigint[],
             $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[])
         ON CONFLICT (message_id, number) DO UPDATE SET
             provider_message_id = excluded.provider_message_id, dispatched_at = excluded.dispatched_at,
             accepted_at = excluded.accepted_at, sent_at = excluded.sent_at, delivered_at = excluded.delivered_at,
             read_at = excluded.read_at, failed_at = excluded.failed_at, error = excluded.error",
    )
    .bind(sends.iter().map(|(record, _)| record.id).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.number).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.kind.as_str()).collect::<Vec<_>>())
    .bind(sends.iter().map(|(record, _)| record.account.as_str()).collect::<Vec<_>>())
    .bind(sends.iter().map(|(record, _)| record.conversation).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.provider_message_id.as_deref()).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.dispatched_at.map(millis)).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.accepted_at.map(millis)).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.statuses.sent_at.map(millis)).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.statuses.delivered_at.map(millis)).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.statuses.read_at.map(millis)).collect::<Vec<_>>())
    .bind(sends.iter().map(|(_, send)| send.statuses.failed_at.map(millis)).collect::<Vec<_>>())
    .bind(errors.map(|error| error.and_then(|error| serde_json::to_string(error).ok())).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that Connectly says a window is closed. The caller holds the conversations' locks.
pub(super) async fn close_windows(
    connection: &mut PgConnection,
    closed: &BTreeMap<ConversationId, jiff::Timestamp>,
) -> Result<()> {
    if closed.is_empty() {
        return Ok(());
    }
    // store::close_windows
    sqlx::query(
        "UPDATE conversations c SET window_closed_at = n.at
         FROM unnest($1::uuid[], $2::bigint[]) AS n (id, at)
         -- An inbound after the refused send has opened it again.
         WHERE c.id = n.id AND c.id = ANY($1) AND (c.last_inbound_at IS NULL OR c.last_inbound_at <= n.at)",
    )
    .bind(closed.keys().copied().collect::<Vec<_>>())
    .bind(closed.values().map(|at| millis(*at)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
