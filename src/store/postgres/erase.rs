//! Erasing one customer: what is finished in steps, then the customer with all that is left.

use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use super::{PostgresStore, callback, in_time, repeat};
use crate::model::id::{ConversationId, CustomerId, EventId, Id, MessageId};
use crate::model::retention::Erased;
use crate::store::Result;
use crate::store::plan::callback::{Carrier, Misunderstood, keys};
use crate::store::plan::retention::{BATCH, ERASED, Finished, Of, holds_trace, trace};
use crate::store::retention::{RowId, Step, erase_finished};

pub(super) async fn erase(store: &PostgresStore, customer: CustomerId) -> Result<Option<Erased>> {
    let conversations = in_time(conversations_of(store, customer)).await?;
    let step =
        |finished, conversation, after| repeat(store, move || step(store, finished, conversation, after));
    let mut erased = erase_finished(&conversations, step).await?;
    let Some(rest) = repeat(store, || rest(store, customer)).await? else { return Ok(None) };
    erased.add(&rest);
    Ok(Some(erased))
}

async fn conversations_of(store: &PostgresStore, customer: CustomerId) -> Result<Vec<ConversationId>> {
    // store::erase (whose steps)
    let conversations = sqlx::query_scalar("SELECT id FROM conversations WHERE customer_id = $1");
    Ok(conversations.bind(customer).fetch_all(&store.pool).await?)
}

/// The next rows of a conversation that no job is about. Whoever would make one locks the row first: a replay the event,
/// whoever sends again the message. What is locked is left to the last transaction.
async fn step(
    store: &PostgresStore,
    finished: &Finished,
    conversation: ConversationId,
    after: RowId,
) -> Result<Step> {
    let mut tx = store.pool.begin().await?;
    let Finished { table, job, of } = finished;
    let statement = format!(
        "SELECT id, callback_data FROM {table} WHERE conversation_id = $1 AND id > $2
         ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED"
    );
    // store::erase (step)
    let rows = sqlx::query_as(AssertSqlSafe(statement)).bind(conversation).bind(after).bind(BATCH);
    let mut rows: Vec<Carrier<RowId>> = rows.fetch_all(&mut *tx).await?;
    let full = rows.len() as u64 >= BATCH.unsigned_abs();
    let last = rows.last().filter(|_| full).map(|row| row.id);
    // A statement of its own: one that began before a lock was given back would not see the job that came with it.
    let statement = format!("SELECT {job} FROM jobs WHERE {job} = ANY($1)");
    // store::erase (busy)
    let busy = sqlx::query_scalar(AssertSqlSafe(statement)).bind(ids(&rows));
    let busy: Vec<RowId> = busy.fetch_all(&mut *tx).await?;
    rows.retain(|row| !busy.contains(&row.id));
    let mut erased = Erased::default();
    callback::remove(&mut tx, &keys(rows.iter().map(Carrier::as_pair))).await?;
    delete(&mut tx, *of, &ids(&rows), &mut erased).await?;
    tx.commit().await?;
    Ok(Step { erased, after: last })
}

/// The customer and everything that is left.
async fn rest(store: &PostgresStore, customer: CustomerId) -> Result<Option<Erased>> {
    let mut tx = store.pool.begin().await?;
    let Some(names) = lock(&mut tx, customer).await? else { return Ok(None) };
    let conversations = conversations(&mut tx, customer).await?;
    let messages: Vec<Carrier<MessageId>> = carriers(&mut tx, "messages", &conversations).await?;
    let mut events: Vec<Carrier<EventId>> = carriers(&mut tx, "events", &conversations).await?;
    events.extend(misunderstood(&mut tx, &names).await?);
    callback::remove(&mut tx, &keys(events.iter().map(Carrier::as_pair))).await?;
    callback::remove(&mut tx, &keys(messages.iter().map(Carrier::as_pair))).await?;
    let mut erased = Erased::default();
    for (of, owners) in [
        (Of::Event, ids(&events)),
        (Of::Message, ids(&messages)),
        (Of::Conversation, conversations.iter().map(|id| Id::new(id.ulid())).collect()),
        (Of::Customer, vec![Id::new(customer.ulid())]),
    ] {
        delete(&mut tx, of, &owners, &mut erased).await?;
    }
    tx.commit().await?;
    Ok(Some(erased))
}

/// Deletes everything that belongs to these, and them.
async fn delete(connection: &mut PgConnection, of: Of, owners: &[RowId], erased: &mut Erased) -> Result<()> {
    for holding in ERASED.iter().filter(|holding| holding.of == of) {
        let statement = format!("DELETE FROM {} WHERE {} = ANY($1)", holding.table, holding.column);
        // store::erase
        let gone = sqlx::query(AssertSqlSafe(statement)).bind(owners).execute(&mut *connection).await?;
        (holding.count)(erased, gone.rows_affected());
    }
    Ok(())
}

/// Locks the customer, and answers what they are known by. A transaction that takes them for a customer after this fails on
/// its foreign key and is repeated.
async fn lock(connection: &mut PgConnection, customer: CustomerId) -> Result<Option<Vec<String>>> {
    // store::erase (customer)
    let known: Option<CustomerId> = sqlx::query_scalar("SELECT id FROM customers WHERE id = $1 FOR UPDATE")
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

/// Locks the customer's conversations, merged ones too, in the order in which everybody takes them: nothing is added to them
/// any more.
async fn conversations(connection: &mut PgConnection, customer: CustomerId) -> Result<Vec<ConversationId>> {
    // store::erase (conversations)
    let conversations = sqlx::query_scalar(
        "SELECT id FROM conversations WHERE customer_id = $1
         ORDER BY account COLLATE \"C\", business COLLATE \"C\", customer_id FOR UPDATE",
    );
    Ok(conversations.bind(customer).fetch_all(connection).await?)
}

async fn carriers<T>(
    connection: &mut PgConnection,
    table: &str,
    conversations: &[ConversationId],
) -> Result<Vec<Carrier<T>>>
where
    Carrier<T>: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    let statement = format!("SELECT id, callback_data FROM {table} WHERE conversation_id = ANY($1)");
    // store::erase (what was said)
    let carriers = sqlx::query_as(AssertSqlSafe(statement)).bind(conversations.to_vec());
    Ok(carriers.fetch_all(connection).await?)
}

/// Events of no conversation whose bytes hold one of these names.
async fn misunderstood(connection: &mut PgConnection, names: &[String]) -> Result<Vec<Carrier<EventId>>> {
    // store::erase (what was not understood)
    let events = sqlx::query_as(
        "SELECT e.id, e.callback_data, b.body FROM events e JOIN bodies b ON b.event_id = e.id
         WHERE e.conversation_id IS NULL
           AND EXISTS (SELECT FROM unnest($1::bytea[]) AS n (name) WHERE position(n.name IN b.body) > 0)",
    );
    let traces: Vec<&[u8]> = names.iter().map(|name| trace(name)).collect();
    let mut events: Vec<Misunderstood> = events.bind(traces).fetch_all(connection).await?;
    events.retain(|event| holds_trace(&event.body, names));
    Ok(events.into_iter().map(|event| event.carrier).collect())
}

fn ids<Of>(carriers: &[Carrier<Id<Of>>]) -> Vec<RowId> {
    carriers.iter().map(|carrier| Id::new(carrier.id.ulid())).collect()
}
