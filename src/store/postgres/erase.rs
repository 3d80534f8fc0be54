//! Erasing one customer.

use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use super::{PostgresStore, callback};
use crate::model::id::{ConversationId, CustomerId, EventId, Id, MessageId};
use crate::model::retention::Erased;
use crate::store::Result;
use crate::store::plan::callback::{Carrier, Misunderstood, keys};
use crate::store::plan::retention::{ERASED, Of, holds_trace, trace};

pub(super) async fn erase(store: &PostgresStore, customer: CustomerId) -> Result<Option<Erased>> {
    let mut tx = store.pool.begin().await?;
    let Some(names) = lock(&mut tx, customer).await? else { return Ok(None) };
    let conversations = conversations(&mut tx, customer).await?;
    let messages: Vec<Carrier<MessageId>> = carriers(&mut tx, "messages", &conversations).await?;
    let mut events: Vec<Carrier<EventId>> = carriers(&mut tx, "events", &conversations).await?;
    events.extend(misunderstood(&mut tx, &names).await?);
    callback::remove(&mut tx, &keys(events.iter().map(Carrier::as_pair))).await?;
    callback::remove(&mut tx, &keys(messages.iter().map(Carrier::as_pair))).await?;
    let mut erased = Erased::default();
    for holding in &ERASED {
        let owners = match holding.of {
            Of::Event => uuids(events.iter().map(|event| event.id)),
            Of::Message => uuids(messages.iter().map(|message| message.id)),
            Of::Conversation => uuids(conversations.iter().copied()),
            Of::Customer => uuids([customer]),
        };
        let statement = format!("DELETE FROM {} WHERE {} = ANY($1)", holding.table, holding.column);
        // store::erase
        let gone = sqlx::query(AssertSqlSafe(statement)).bind(owners).execute(&mut *tx).await?;
        (holding.count)(&mut erased, gone.rows_affected());
    }
    tx.commit().await?;
    Ok(Some(erased))
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

fn uuids<Of>(ids: impl IntoIterator<Item = Id<Of>>) -> Vec<Uuid> {
    ids.into_iter().map(|id| Uuid::from_u128(id.ulid().0)).collect()
}
