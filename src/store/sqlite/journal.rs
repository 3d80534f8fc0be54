//! Messages and sends: loading them, and writing back what the journal made of them.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::{SqliteStore, callback, json, outbox};
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
    store: &SqliteStore,
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
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

#[derive(Serialize)]
struct ProviderIdColumns<'a> {
    account: &'a str,
    provider_message_id: &'a str,
}

/// The messages the news name by id or mark, and the unconfirmed ones that unmarked news may settle.
async fn concerned(connection: &mut SqliteConnection, news: &[News]) -> Result<Vec<MessageId>> {
    let named: Vec<_> = news
        .iter()
        .map(|item| ProviderIdColumns {
            account: &item.account,
            provider_message_id: &item.provider_message_id,
        })
        .collect();
    let marks: Vec<_> = news.iter().filter_map(|item| item.mark).collect();
    let unmarked = news.iter().filter(|item| item.mark.is_none());
    let conversations: Vec<_> = unmarked.filter_map(|item| item.conversation).collect();
    // store::messages_concerned
    let ids = sqlx::query_scalar(
        "SELECT s.message_id FROM jsonb_each($1) AS k
         CROSS JOIN sends s ON s.account = k.value ->> 'account'
             AND s.provider_message_id = k.value ->> 'provider_message_id'
         UNION SELECT m.id FROM messages m WHERE m.id IN (SELECT value FROM jsonb_each($2))
         UNION SELECT m.id FROM messages m
             WHERE m.own_state = 'unconfirmed' AND m.conversation_id IN (SELECT value FROM jsonb_each($3))",
    )
    .bind(json(&named)?)
    .bind(json(&marks)?)
    .bind(json(&conversations)?)
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// Loads messages with their sends, in the order of their ids.
pub(super) async fn load(connection: &mut SqliteConnection, ids: &[MessageId]) -> Result<Vec<MessageRecord>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = json(ids)?;
    // store::load_messages
    let rows: Vec<RecordRow> = sqlx::query_as(
        "SELECT id, account, conversation_id, origin, content, fallback IS NOT NULL AS has_fallback, callback_data, campaign,
             own_state, error, created_at
         FROM messages WHERE id IN (SELECT value FROM jsonb_each($1)) ORDER BY id",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    // store::load_sends
    let sends: Vec<SendRow> = sqlx::query_as(
        "SELECT message_id, number, kind, provider_message_id, dispatched_at, accepted_at, sent_at, delivered_at, read_at,
             failed_at, error
         FROM sends WHERE message_id IN (SELECT value FROM jsonb_each($1)) ORDER BY message_id, number",
    )
    .bind(&ids)
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

#[derive(Serialize)]
struct MessageColumns<'a> {
    id: MessageId,
    account: &'a str,
    conversation: Option<ConversationId>,
    origin: &'static str,
    content: Option<String>,
    callback_data: Option<&'a str>,
    campaign: Option<&'a str>,
    own_state: &'static str,
    state: &'static str,
    error: Option<String>,
    error_code: Option<String>,
    created_at: i64,
}

fn message_columns(records: &[MessageRecord]) -> Result<String> {
    let rows: Vec<_> = records
        .iter()
        .map(|record| MessageColumns {
            id: record.id,
            account: &record.account,
            conversation: record.conversation,
            origin: record.origin.as_str(),
            content: record.content.as_ref().map(ToString::to_string),
            callback_data: record.callback_data.as_ref().map(JsonText::as_str),
            campaign: record.campaign.as_deref(),
            own_state: record.own.as_str(),
            state: record.state(),
            error: record.failure().and_then(|error| serde_json::to_string(error).ok()),
            error_code: record.failure_code(),
            created_at: millis(record.created_at),
        })
        .collect();
    json(&rows)
}

/// Inserts observed messages.
async fn insert(connection: &mut SqliteConnection, created: &[MessageRecord], now: i64) -> Result<()> {
    if created.is_empty() {
        return Ok(());
    }
    // store::insert_observed
    sqlx::query(
        "INSERT INTO messages (id, account, conversation_id, origin, content, callback_data, campaign, own_state, state,
             error, error_code, created_at, updated_at, business)
         SELECT value ->> 'id', value ->> 'account', value ->> 'conversation', value ->> 'origin', value ->> 'content',
             value ->> 'callback_data', value ->> 'campaign', value ->> 'own_state', value ->> 'state',
             value ->> 'error', value ->> 'error_code', value ->> 'created_at', $2,
             (SELECT c.business FROM conversations c WHERE c.id = value ->> 'conversation')
         FROM jsonb_each($1)",
    )
    .bind(message_columns(created)?)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    let carriers =
        created.iter().map(|record| (record.id, record.callback_data.as_ref().map(JsonText::as_str)));
    callback::insert(connection, &keys(carriers)).await?;
    write_sends(connection, created).await
}

/// Writes back what was learned of messages.
pub(super) async fn update(
    connection: &mut SqliteConnection,
    changed: &[MessageRecord],
    now: i64,
) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    // store::update_messages
    sqlx::query(
        "UPDATE messages SET own_state = n.own_state, state = n.state, content = n.content, error = n.error,
             error_code = n.error_code, updated_at = $2
         FROM (SELECT value ->> 'id' AS id, value ->> 'own_state' AS own_state, value ->> 'state' AS state,
                   value ->> 'content' AS content, value ->> 'error' AS error, value ->> 'error_code' AS error_code
               FROM jsonb_each($1)) AS n
         WHERE messages.id = n.id",
    )
    .bind(message_columns(changed)?)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    write_sends(connection, changed).await
}

#[derive(Serialize)]
struct SendColumns<'a> {
    message: MessageId,
    number: i64,
    kind: &'static str,
    account: &'a str,
    conversation: Option<ConversationId>,
    provider_message_id: Option<&'a str>,
    dispatched_at: Option<i64>,
    accepted_at: Option<i64>,
    sent_at: Option<i64>,
    delivered_at: Option<i64>,
    read_at: Option<i64>,
    failed_at: Option<i64>,
    error: Option<String>,
}

impl<'a> SendColumns<'a> {
    fn of(record: &'a MessageRecord, send: &'a SendRecord) -> Self {
        let error = send.statuses.error.as_ref();
        Self {
            message: record.id,
            number: send.number,
            kind: send.kind.as_str(),
            account: &record.account,
            conversation: record.conversation,
            provider_message_id: send.provider_message_id.as_deref(),
            dispatched_at: send.dispatched_at.map(millis),
            accepted_at: send.accepted_at.map(millis),
            sent_at: send.statuses.sent_at.map(millis),
            delivered_at: send.statuses.delivered_at.map(millis),
            read_at: send.statuses.read_at.map(millis),
            failed_at: send.statuses.failed_at.map(millis),
            error: error.and_then(|error| serde_json::to_string(error).ok()),
        }
    }
}

pub(super) async fn write_sends(connection: &mut SqliteConnection, records: &[MessageRecord]) -> Result<()> {
    let sends: Vec<_> = records
        .iter()
        .flat_map(|record| record.sends.iter().map(move |send| SendColumns::of(record, send)))
        .collect();
    // store::write_sends
    sqlx::query(
        "INSERT INTO sends (message_id, number, kind, account, conversation_id, provider_message_id, dispatched_at,
             accepted_at, sent_at, delivered_at, read_at, failed_at, error)
         SELECT value ->> 'message', value ->> 'number', value ->> 'kind', value ->> 'account',
             value ->> 'conversation', value ->> 'provider_message_id', value ->> 'dispatched_at',
             value ->> 'accepted_at', value ->> 'sent_at', value ->> 'delivered_at', value ->> 'read_at',
             value ->> 'failed_at', value ->> 'error'
         FROM jsonb_each($1)
         WHERE true
         ON CONFLICT (message_id, number) DO UPDATE SET
             provider_message_id = excluded.provider_message_id, dispatched_at = excluded.dispatched_at,
             accepted_at = excluded.accepted_at, sent_at = excluded.sent_at, delivered_at = excluded.delivered_at,
             read_at = excluded.read_at, failed_at = excluded.failed_at, error = excluded.error",
    )
    .bind(json(&sends)?)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct ClosedColumns {
    id: ConversationId,
    at: i64,
}

/// Notes that Connectly says a window is closed.
pub(super) async fn close_windows(
    connection: &mut SqliteConnection,
    closed: &BTreeMap<ConversationId, Timestamp>,
) -> Result<()> {
    if closed.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = closed.iter().map(|(id, at)| ClosedColumns { id: *id, at: millis(*at) }).collect();
    // store::close_windows
    sqlx::query(
        "UPDATE conversations SET window_closed_at = n.at
         FROM (SELECT value ->> 'id' AS id, value ->> 'at' AS at FROM jsonb_each($1)) AS n
         -- An inbound after the refused send has opened it again.
         WHERE conversations.id = n.id
           AND (conversations.last_inbound_at IS NULL OR conversations.last_inbound_at <= n.at)",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}
