//! Reading leased deliveries, with all that a handler may ask for.

use std::collections::HashMap;

use sqlx::PgConnection;
use ulid::Ulid;
use uuid::Uuid;

use super::by_key::for_each;
use super::journal::sent_as;
use super::{PostgresStore, events, settle};
use crate::model::id::{ConversationId, MessageId};
use crate::model::message::Message;
use crate::store::Result;
use crate::store::plan::arrived::{Sent, named};
use crate::store::plan::delivery::{
    ConversingOf, DOUBT, Events, Surroundings, answers_since, assemble, concerned, lanes, unread,
};
use crate::store::rows::{MessageRow, duration_ms};
use crate::store::work::{Delivery, LeasedJob};

/// What cannot be delivered is parked.
pub(super) async fn deliveries(store: &PostgresStore, leased: &[LeasedJob]) -> Result<Vec<Delivery>> {
    if leased.is_empty() {
        return Ok(Vec::new());
    }
    let surroundings = read(store, leased).await?;
    let (deliveries, orphans) = assemble(leased.to_vec(), surroundings, store.clock.now());
    if !orphans.is_empty() {
        settle::settle(store, &orphans).await?;
    }
    Ok(deliveries)
}

/// What is read here changes under us only when a person clears the state: state and order belong to the lane, and the lane
/// is leased.
async fn read(store: &PostgresStore, leased: &[LeasedJob]) -> Result<Surroundings> {
    let mut connection = store.pool.acquire().await?;
    surroundings(&mut connection, leased, answers_since(store.clock.now())).await
}

async fn surroundings(
    connection: &mut PgConnection,
    leased: &[LeasedJob],
    since: Ulid,
) -> Result<Surroundings> {
    let conversing = conversing(connection, leased, since).await?;
    let unread = unread(leased, &conversing);
    let read = if unread.is_empty() { Vec::new() } else { events::by_ids(connection, &unread).await? };
    let sent = sent(connection, &named(leased)).await?;
    let events = Events::of(read, leased, &conversing, &sent);
    let messages = messages(connection, &concerned(&events, &conversing)).await?;
    Ok(Surroundings { events, conversing, messages })
}

/// Our messages by their ids at Connectly.
async fn sent(connection: &mut PgConnection, named: &[(&str, &str)]) -> Result<Sent> {
    if named.is_empty() {
        return Ok(Sent::default());
    }
    let (accounts, ids): (Vec<&str>, Vec<&str>) = named.iter().copied().unzip();
    // store::deliveries (sends)
    let rows: Vec<(String, String, MessageId)> = sqlx::query_as(concat!(
        "SELECT s.account, s.provider_message_id, s.message_id
         FROM unnest($1::text[], $2::text[]) AS k (account, provider_message_id) CROSS JOIN ",
        sent_as!(),
        " s",
    ))
    .bind(accounts)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

async fn conversing(
    connection: &mut PgConnection,
    leased: &[LeasedJob],
    since: Ulid,
) -> Result<ConversingOf> {
    let (conversations, routes): (Vec<ConversationId>, Vec<&str>) = lanes(leased).into_iter().unzip();
    if conversations.is_empty() {
        return Ok(ConversingOf::default());
    }
    // store::deliveries (conversations)
    let rows = sqlx::query_as(concat!(
        // Not by `conversation_view`: what its join begins with is PostgreSQL's choice.
        "SELECT c.*, p.phone, p.user_id, p.name AS customer_name, p.opted_out_at, p.opted_out_by, n.route, s.state, (
             SELECT m.id FROM messages m WHERE m.conversation_id = c.id ORDER BY m.id DESC LIMIT 1
         ) AS latest_message, (
             -- A condition on the origin would lead by way of all that were observed lately, in any conversation.
             SELECT max(m.created_at) FILTER (
                 WHERE m.origin = 'observed' AND m.content IS NOT NULL AND m.campaign IS NULL
                   -- What was seen while one of ours had left, and its id was not known, may be that one.
                   AND NOT EXISTS (
                       SELECT FROM sends s
                       WHERE s.conversation_id = m.conversation_id AND s.provider_message_id IS NULL
                         AND s.dispatched_at BETWEEN m.created_at - $4 AND m.created_at + $4))
             FROM messages m WHERE m.conversation_id = c.id AND m.id >= $3
         ) AS person_answered_at
         FROM unnest($1::uuid[], $2::text[]) AS n (conversation_id, route) CROSS JOIN ",
        for_each!("conversations c", "c.id = n.conversation_id"),
        " c CROSS JOIN ",
        for_each!("customers p", "p.id = c.customer_id"),
        " p
         LEFT JOIN handler_state s ON s.route = n.route AND s.conversation_id = n.conversation_id",
    ))
    .bind(conversations)
    .bind(routes)
    .bind(Uuid::from_u128(since.0))
    .bind(duration_ms(DOUBT))
    .fetch_all(connection)
    .await?;
    Ok(ConversingOf::of(rows))
}

async fn messages(connection: &mut PgConnection, ids: &[MessageId]) -> Result<HashMap<MessageId, Message>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // store::deliveries (messages)
    let rows: Vec<MessageRow> = sqlx::query_as("SELECT * FROM message_view WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.into_message())).collect())
}
