//! Erasing one customer: what is finished in steps, then the customer with all that is left.
//!
//! The connection that writes overwrites what it deletes, so nothing is left in free pages; afterwards the write-ahead log,
//! which still has what the pages held before, is emptied too.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection, SqliteExecutor};

use super::{SqliteStore, callback, hex, json};
use crate::model::id::{ConversationId, CustomerId, EventId, Id, MessageId};
use crate::model::retention::Erased;
use crate::store::plan::callback::{Carrier, Misunderstood, keys};
use crate::store::plan::retention::{BATCH, ERASED, Finished, Of, holds_trace, trace};
use crate::store::retention::{RowId, Step, erase_finished};
use crate::store::{Result, StoreError};

/// How often to try to empty the log: a question that is being answered still reads from it.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn erase(store: &SqliteStore, customer: CustomerId) -> Result<Option<Erased>> {
    let conversations = conversations(&store.readers, customer).await?;
    let step = |finished, conversation, after| step(store, finished, conversation, after);
    let mut erased = erase_finished(&conversations, step).await?;
    let Some(rest) = rest(store, customer).await? else { return Ok(None) };
    erased.add(&rest);
    // Erased it is, whatever becomes of the log; the next checkpoints overwrite that.
    if let Err(error) = empty_log(store).await {
        tracing::warn!(%error, "the write-ahead log was not emptied: what was erased stays in it for a while");
    }
    Ok(Some(erased))
}

async fn conversations(
    connection: impl SqliteExecutor<'_>,
    customer: CustomerId,
) -> Result<Vec<ConversationId>> {
    // store::erase (conversations)
    let conversations = sqlx::query_scalar("SELECT id FROM conversations WHERE customer_id = $1");
    Ok(conversations.bind(customer).fetch_all(connection).await?)
}

/// The next rows of a conversation that no job is about.
async fn step(
    store: &SqliteStore,
    finished: &Finished,
    conversation: ConversationId,
    after: RowId,
) -> Result<Step> {
    let mut tx = store.write_alone().await?;
    let Finished { table, job, of } = finished;
    let statement = format!(
        "SELECT id, callback_data FROM {table} WHERE conversation_id = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    // store::erase (step)
    let rows = sqlx::query_as(AssertSqlSafe(statement)).bind(conversation).bind(after).bind(BATCH);
    let mut rows: Vec<Carrier<RowId>> = rows.fetch_all(&mut *tx).await?;
    let full = rows.len() as u64 >= BATCH.unsigned_abs();
    let last = rows.last().filter(|_| full).map(|row| row.id);
    let statement = format!("SELECT {job} FROM jobs WHERE {job} IN (SELECT value FROM jsonb_each($1))");
    // store::erase (busy)
    let busy = sqlx::query_scalar(AssertSqlSafe(statement)).bind(ids(&rows)?);
    let busy: Vec<RowId> = busy.fetch_all(&mut *tx).await?;
    rows.retain(|row| !busy.contains(&row.id));
    let mut erased = Erased::default();
    callback::remove(&mut tx, &keys(rows.iter().map(Carrier::as_pair))).await?;
    delete(&mut tx, *of, &ids(&rows)?, &mut erased).await?;
    tx.commit().await?;
    Ok(Step { erased, after: last })
}

/// The customer and everything that is left.
async fn rest(store: &SqliteStore, customer: CustomerId) -> Result<Option<Erased>> {
    let mut tx = store.write_alone().await?;
    let Some(names) = names(&mut tx, customer).await? else {
        tx.commit().await?;
        return Ok(None);
    };
    let conversations = json(&conversations(&mut *tx, customer).await?)?;
    let (mut events, messages) = said(&mut tx, &conversations).await?;
    events.extend(misunderstood(&mut tx, &names).await?);
    callback::remove(&mut tx, &keys(events.iter().map(Carrier::as_pair))).await?;
    callback::remove(&mut tx, &keys(messages.iter().map(Carrier::as_pair))).await?;
    let mut erased = Erased::default();
    for (of, owners) in [
        (Of::Event, ids(&events)?),
        (Of::Message, ids(&messages)?),
        (Of::Conversation, conversations),
        (Of::Customer, json(&[customer])?),
    ] {
        delete(&mut tx, of, &owners, &mut erased).await?;
    }
    tx.commit().await?;
    Ok(Some(erased))
}

/// Deletes everything that belongs to these, and them.
async fn delete(connection: &mut SqliteConnection, of: Of, owners: &str, erased: &mut Erased) -> Result<()> {
    for holding in ERASED.iter().filter(|holding| holding.of == of) {
        let statement = format!(
            "DELETE FROM {} WHERE {} IN (SELECT value FROM jsonb_each($1))",
            holding.table, holding.column
        );
        // store::erase
        let gone = sqlx::query(AssertSqlSafe(statement)).bind(owners).execute(&mut *connection).await?;
        (holding.count)(erased, gone.rows_affected());
    }
    Ok(())
}

fn ids<Of>(carriers: &[Carrier<Id<Of>>]) -> Result<String> {
    json(&carriers.iter().map(|carrier| carrier.id).collect::<Vec<_>>())
}

/// What a customer is known by; nothing when there is no such customer.
async fn names(connection: &mut SqliteConnection, customer: CustomerId) -> Result<Option<Vec<String>>> {
    // store::erase (customer)
    let known: Option<CustomerId> = sqlx::query_scalar("SELECT id FROM customers WHERE id = $1")
        .bind(customer)
        .fetch_optional(&mut *connection)
        .await?;
    if known.is_none() {
        return Ok(None);
    }
    // store::erase (names)
    let names =
        sqlx::query_scalar("SELECT value FROM identities WHERE customer_id = $1 AND kind <> 'former_id'")
            .bind(customer)
            .fetch_all(connection)
            .await?;
    Ok(Some(names))
}

/// Everything of these conversations.
async fn said(
    connection: &mut SqliteConnection,
    conversations: &str,
) -> Result<(Vec<Carrier<EventId>>, Vec<Carrier<MessageId>>)> {
    // store::erase (what was said)
    let events = sqlx::query_as(
        "SELECT id, callback_data FROM events WHERE conversation_id IN (SELECT value FROM jsonb_each($1))",
    )
    .bind(conversations)
    .fetch_all(&mut *connection)
    .await?;
    // store::erase (messages)
    let messages = sqlx::query_as(
        "SELECT id, callback_data FROM messages WHERE conversation_id IN (SELECT value FROM jsonb_each($1))",
    )
    .bind(conversations)
    .fetch_all(connection)
    .await?;
    Ok((events, messages))
}

/// Events of no conversation whose bytes hold one of these names.
async fn misunderstood(connection: &mut SqliteConnection, names: &[String]) -> Result<Vec<Carrier<EventId>>> {
    let traces: Vec<String> = names.iter().map(|name| hex(trace(name))).collect();
    // store::erase (what was not understood)
    let events = sqlx::query_as(
        "SELECT e.id, e.callback_data, b.body FROM events e JOIN bodies b ON b.event_id = e.id
         WHERE e.conversation_id IS NULL
           AND EXISTS (SELECT 1 FROM jsonb_each($1) AS n WHERE instr(b.body, unhex(n.value)) > 0)",
    );
    let mut events: Vec<Misunderstood> = events.bind(json(&traces)?).fetch_all(connection).await?;
    events.retain(|event| holds_trace(&event.body, names));
    Ok(events.into_iter().map(|event| event.carrier).collect())
}

/// Moves the log into the database and cuts it to nothing, over a connection of its own that waits for nobody: whoever reads
/// for long must not keep ingest waiting.
async fn empty_log(store: &SqliteStore) -> Result<()> {
    if store.file.is_none() {
        return Ok(());
    }
    let options = (*store.writer.pool().connect_options()).clone().busy_timeout(Duration::ZERO);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    for _ in 0..TRIES {
        // store::erase (log)
        let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await?;
        if row.try_get::<i64, _>("busy")? == 0 {
            return Ok(connection.close().await?);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(StoreError::Contention("somebody reads from it all the time".to_owned()))
}
