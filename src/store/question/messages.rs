//! Messages: lists.

use sqlx::QueryBuilder;

use super::{Dialect, Parameter, narrow};
use crate::connectly::ids::ProviderMessageId;
use crate::model::id::{ConversationId, CustomerId, MessageId};
use crate::store::query::{MessageFilter, PageRequest};

/// A page, newest first.
pub fn list<Db: Dialect>(filter: &MessageFilter, page: PageRequest<MessageId>) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    Vec<u8>: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
    MessageId: Parameter<Db>,
{
    let mut query =
        QueryBuilder::new("/* store::messages */ SELECT v.* FROM (SELECT m.id FROM messages m WHERE true");
    narrow::messages(&mut query, filter);
    narrow::page(&mut query, page);
    query.push(") AS page CROSS JOIN message_view v WHERE v.id = page.id ORDER BY v.id DESC");
    query
}

/// The id of the message that a text names: by our id or, unless that is one, by Connectly's. Asked for by itself, since each
/// half has its index and both together have none.
pub fn named<Db: Dialect>(name: &str) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    MessageId: Parameter<Db>,
{
    let mut query = QueryBuilder::new("/* store::message (named) */ SELECT f.id FROM (");
    if let Some(id) = MessageId::parse(name) {
        query.push("SELECT m.id, 0 AS place FROM messages m WHERE m.id = ").push_bind(id);
        query.push(" UNION ALL ");
    }
    let provider_id = ProviderMessageId::parse(name).map(|id| id.to_string()).unwrap_or_default();
    query.push("SELECT s.message_id AS id, 1 AS place FROM sends s WHERE s.provider_message_id = ");
    query.push_bind(provider_id).push(") f ORDER BY f.place LIMIT 1");
    query
}
