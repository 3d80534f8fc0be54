//! Statuses that change more than their message: the window was closed, or the customer wants no messages.
//!
//! What they change is mostly what their event is of. It need not be: a message to a user id can be told of by a phone number.
//! So it is looked up and locked in the order that everybody takes, before any message.

use sqlx::PgConnection;

use super::by_key::for_each;
use super::journal::sent_as;
use super::{people, queue};
use crate::model::id::{CustomerId, MessageId};
use crate::store::Result;
use crate::store::plan::conversations::Deltas;
use crate::store::plan::journal::News;

/// The messages that some of a group's news name.
struct Named<'a> {
    accounts: Vec<&'a str>,
    provider_message_ids: Vec<&'a str>,
    marks: Vec<MessageId>,
}

impl<'a> Named<'a> {
    fn of(news: &'a [News], which: fn(&News) -> bool) -> Option<Self> {
        let news: Vec<&News> = news.iter().filter(|item| which(item)).collect();
        (!news.is_empty()).then(|| Self {
            accounts: news.iter().map(|item| item.account.as_str()).collect(),
            provider_message_ids: news.iter().map(|item| item.provider_message_id.as_str()).collect(),
            marks: news.iter().filter_map(|item| item.mark).collect(),
        })
    }
}

/// Locks the customers who are opted out: those of the events, which are given, and those of the messages.
pub(super) async fn lock_customers(
    connection: &mut PgConnection,
    news: &[News],
    of_events: Vec<CustomerId>,
) -> Result<()> {
    let Some(named) = Named::of(news, News::opts_out) else {
        return Ok(());
    };
    // store::commit (opted out)
    let of_messages: Vec<CustomerId> = sqlx::query_scalar(concat!(
        "SELECT c.customer_id FROM messages m JOIN conversations c ON c.id = m.conversation_id
         -- One list: with OR, every message would be looked at.
         WHERE m.id = ANY(ARRAY(
             SELECT unnest($3::uuid[])
             UNION SELECT s.message_id FROM unnest($1::text[], $2::text[]) AS k (account, provider_message_id) CROSS JOIN ",
        sent_as!(),
        " s))",
    ))
    .bind(&named.accounts)
    .bind(&named.provider_message_ids)
    .bind(&named.marks)
    .fetch_all(&mut *connection)
    .await?;
    let mut customers = [of_events, of_messages].concat();
    customers.sort_unstable();
    customers.dedup();
    people::lock_customers(connection, &customers).await
}

/// Locks the group's conversations, and those whose windows are closed.
pub(super) async fn lock_conversations(
    connection: &mut PgConnection,
    news: &[News],
    deltas: &Deltas,
) -> Result<()> {
    let Some(named) = Named::of(news, News::closes_window) else {
        return Ok(());
    };
    // store::commit (closed windows)
    let locked = sqlx::query_as(concat!(
        "SELECT id, merged_into FROM conversations
         -- One list: with OR, every conversation and every message would be looked at.
         WHERE id = ANY(ARRAY(
             SELECT m.conversation_id FROM messages m WHERE m.id = ANY($3)
             UNION SELECT m.conversation_id FROM unnest($1::text[], $2::text[]) AS k (account, provider_message_id) CROSS JOIN ",
        sent_as!(),
        " s CROSS JOIN ",
        for_each!("messages m", "m.id = s.message_id"),
        " m
             UNION SELECT c.id FROM unnest($4::text[], $5::text[], $6::uuid[]) AS k (account, business, customer_id) CROSS JOIN ",
        for_each!(
            "conversations c",
            "c.account = k.account AND c.business = k.business AND c.customer_id = k.customer_id AND c.merged_into IS NULL"
        ),
        " c))
         ORDER BY account COLLATE \"C\", business COLLATE \"C\", customer_id FOR UPDATE",
    ))
    .bind(&named.accounts)
    .bind(&named.provider_message_ids)
    .bind(&named.marks)
    .bind(deltas.rows().map(|row| row.key.account.as_str()).collect::<Vec<_>>())
    .bind(deltas.rows().map(|row| row.key.business.as_str()).collect::<Vec<_>>())
    .bind(deltas.rows().map(|row| row.key.customer).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    queue::standing(locked).map(drop)
}
