//! Events: lists, and what came after one.

use sqlx::QueryBuilder;

use super::{Dialect, Parameter, narrow};
use crate::model::id::{ConversationId, CustomerId, EventId};
use crate::store::query::{EventFilter, PageRequest};

/// A page, newest first.
pub fn list<Db: Dialect>(filter: &EventFilter, page: PageRequest<EventId>) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    Vec<u8>: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
    EventId: Parameter<Db>,
{
    let mut query =
        QueryBuilder::new("/* store::events */ SELECT v.* FROM (SELECT e.id FROM events e WHERE true");
    narrow::events(&mut query, filter);
    narrow::page(&mut query, page);
    query.push(") AS page CROSS JOIN event_view v WHERE v.id = page.id ORDER BY v.id DESC");
    query
}

/// What came after an event, in the order of the ids.
pub fn after<Db: Dialect>(filter: &EventFilter, after: EventId, limit: u32) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    Vec<u8>: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
    EventId: Parameter<Db>,
{
    let mut query = QueryBuilder::new(
        "/* store::events_after */ SELECT v.* FROM (SELECT e.id FROM events e WHERE e.id > ",
    );
    query.push_bind(after);
    narrow::events(&mut query, filter);
    query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
    query.push(") AS page CROSS JOIN event_view v WHERE v.id = page.id ORDER BY v.id");
    query
}
