//! Messages that are asked for through the API.

use sqlx::{FromRow, SqliteConnection};

use super::{SqliteStore, outbox, people};
use crate::model::conversation::Window;
use crate::model::id::{CustomerId, MessageId};
use crate::model::message::Message;
use crate::store::Result;
use crate::store::plan::submit::{self, KeyUse, NumberWindow, choose_number, key_use};
use crate::store::rows::{MessageRow, duration_ms, millis, timestamp};
use crate::store::submission::{KEYS_KEPT, RequestKey, Submission, Submitted};

pub(super) async fn submit(store: &SqliteStore, submission: &Submission) -> Result<Submitted> {
    let mut tx = store.write().await?;
    let (now, id) = (store.clock.now(), store.id());
    if let Some(key) = &submission.key {
        match use_key(&mut tx, &submission.account, key, id, millis(now)).await? {
            KeyUse::Fresh => {}
            KeyUse::Repeated(message) => {
                let message = shown(&mut tx, message).await?;
                // Promised as much as the first time.
                tx.commit().await?;
                return Ok(Submitted::Repeated(message));
            }
            KeyUse::Reused => {
                tx.commit().await?;
                return Ok(Submitted::KeyReused);
            }
        }
    }
    let customers = people::resolve(store, &mut tx, &[(&submission.account, &submission.to)]).await?;
    let Some(customer) = customers.first().copied() else { return Ok(Submitted::NoSender) };
    let from = match &submission.from {
        Some(from) => Some(from.clone()),
        None => choose_number(
            numbers(&mut tx, &submission.account).await?,
            windows(&mut tx, customer).await?,
            now,
            submission.window_margin,
        ),
    };
    let Some(from) = from else { return Ok(Submitted::NoSender) };
    let conversation =
        people::conversation_with(store, &mut tx, &submission.account, &from, customer, millis(now)).await?;
    outbox::put(store, &mut tx, &[submit::message(submission, id, conversation)], millis(now)).await?;
    let message = shown(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Submitted::Queued(message))
}

/// Notes a key for a request, unless another request has it.
async fn use_key(
    connection: &mut SqliteConnection,
    account: &str,
    key: &RequestKey,
    message: MessageId,
    now: i64,
) -> Result<KeyUse> {
    // store::submit (key)
    let noted = sqlx::query(
        "INSERT INTO idempotency AS i (account, key, body_hash, message_id, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (account, key) DO UPDATE SET
             body_hash = excluded.body_hash, message_id = excluded.message_id, created_at = excluded.created_at
             -- One that is too old to count.
             WHERE i.created_at <= $6",
    )
    .bind(account)
    .bind(&key.key)
    .bind(key.body_hash.as_slice())
    .bind(message)
    .bind(now)
    .bind(now - duration_ms(KEYS_KEPT))
    .execute(&mut *connection)
    .await?;
    if noted.rows_affected() == 1 {
        return Ok(KeyUse::Fresh);
    }
    // store::submit (used key)
    let (body_hash, message): (Vec<u8>, MessageId) =
        sqlx::query_as("SELECT body_hash, message_id FROM idempotency WHERE account = $1 AND key = $2")
            .bind(account)
            .bind(&key.key)
            .fetch_one(connection)
            .await?;
    Ok(key_use(key, &body_hash, message))
}

async fn shown(connection: &mut SqliteConnection, id: MessageId) -> Result<Message> {
    // store::submit (answer)
    let row: MessageRow =
        sqlx::query_as("SELECT * FROM message_view WHERE id = $1").bind(id).fetch_one(connection).await?;
    Ok(row.into_message())
}

/// The smallest and the greatest of the account's numbers, each from the end of an index: whether there is only one.
async fn numbers(connection: &mut SqliteConnection, account: &str) -> Result<Option<(String, String)>> {
    // store::submit (numbers)
    let (first, last): (Option<String>, Option<String>) = sqlx::query_as(
        "SELECT (SELECT min(business) FROM conversations WHERE account = $1 AND merged_into IS NULL),
             (SELECT max(business) FROM conversations WHERE account = $1 AND merged_into IS NULL)",
    )
    .bind(account)
    .fetch_one(connection)
    .await?;
    Ok(first.zip(last))
}

#[derive(FromRow)]
struct WindowRow {
    business: String,
    last_inbound_at: Option<i64>,
    window_closed_at: Option<i64>,
}

async fn windows(connection: &mut SqliteConnection, customer: CustomerId) -> Result<Vec<NumberWindow>> {
    // store::submit (windows)
    let rows: Vec<WindowRow> = sqlx::query_as(
        "SELECT business, last_inbound_at, window_closed_at FROM conversations
         WHERE customer_id = $1 AND merged_into IS NULL",
    )
    .bind(customer)
    .fetch_all(connection)
    .await?;
    let number = |row: WindowRow| {
        let (inbound, closed) = (row.last_inbound_at.map(timestamp), row.window_closed_at.map(timestamp));
        NumberWindow {
            business: row.business,
            window: Window { last_inbound_at: inbound, closed_at: closed },
        }
    };
    Ok(rows.into_iter().map(number).collect())
}
