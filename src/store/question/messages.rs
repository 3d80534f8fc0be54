//! Messages: lists.

use sqlx::QueryBuilder;

use super::{Dialect, Parameter, narrow};
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
