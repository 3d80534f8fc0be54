//! Reading leased deliveries, with all that a handler may ask for.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::SqliteConnection;
use ulid::Ulid;

use super::{SqliteStore, events, json, settle};
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
pub(super) async fn deliveries(store: &SqliteStore, leased: &[LeasedJob]) -> Result<Vec<Delivery>> {
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
async fn read(store: &SqliteStore, leased: &[LeasedJob]) -> Result<Surroundings> {
    let mut connection = store.readers.acquire().await?;
    surroundings(&mut connection, leased, answers_since(store.clock.now())).await
}

async fn surroundings(
    connection: &mut SqliteConnection,
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
async fn sent(connection: &mut SqliteConnection, named: &[(&str, &str)]) -> Result<Sent> {
    if named.is_empty() {
        return Ok(Sent::default());
    }
    // store::deliveries (sends)
    let rows: Vec<(String, String, MessageId)> = sqlx::query_as(
        "SELECT s.account, s.provider_message_id, s.message_id
         FROM jsonb_each($1) AS k
         CROSS JOIN sends s ON s.account = k.value ->> 0 AND s.provider_message_id = k.value ->> 1",
    )
    .bind(json(named)?)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

#[derive(Serialize)]
struct LaneColumns<'a> {
    conversation: ConversationId,
    route: &'a str,
}

/// Conversations by their ids, with what else a handler's decision rests on.
pub(super) const CONVERSING: &str = "SELECT v.*, n.value ->> 'route' AS route, s.state, (
         SELECT m.id FROM messages m WHERE m.conversation_id = v.id ORDER BY m.id DESC LIMIT 1
     ) AS latest_message, (
         -- A condition on the origin would lead by way of all that were observed lately, in any conversation.
         SELECT max(m.created_at) FILTER (
             WHERE m.origin = 'observed' AND m.content IS NOT NULL AND m.campaign IS NULL
               -- What was seen while one of ours had left, and its id was not known, may be that one.
               AND NOT EXISTS (
                   SELECT 1 FROM sends s
                   WHERE s.conversation_id = m.conversation_id AND s.provider_message_id IS NULL
                     AND s.dispatched_at BETWEEN m.created_at - $3 AND m.created_at + $3))
         FROM messages m WHERE m.conversation_id = v.id AND m.id >= $2
     ) AS person_answered_at
     FROM jsonb_each($1) AS n
     CROSS JOIN conversation_view v ON v.id = n.value ->> 'conversation'
     LEFT JOIN handler_state s ON s.route = n.value ->> 'route' AND s.conversation_id = v.id";

async fn conversing(
    connection: &mut SqliteConnection,
    leased: &[LeasedJob],
    since: Ulid,
) -> Result<ConversingOf> {
    let lanes = lanes(leased).into_iter().map(|(conversation, route)| LaneColumns { conversation, route });
    let lanes: Vec<_> = lanes.collect();
    if lanes.is_empty() {
        return Ok(ConversingOf::default());
    }
    // store::deliveries (conversations)
    let rows = sqlx::query_as(CONVERSING)
        .bind(json(&lanes)?)
        .bind(since.to_string())
        .bind(duration_ms(DOUBT))
        .fetch_all(connection)
        .await?;
    Ok(ConversingOf::of(rows))
}

async fn messages(
    connection: &mut SqliteConnection,
    ids: &[MessageId],
) -> Result<HashMap<MessageId, Message>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // store::deliveries (messages)
    let rows: Vec<MessageRow> =
        sqlx::query_as("SELECT * FROM message_view WHERE id IN (SELECT value FROM jsonb_each($1))")
            .bind(json(ids)?)
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.into_message())).collect())
}
