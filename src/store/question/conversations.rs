//! Conversations: one, by its id or that of one that was merged into it, and lists.

use jiff::Timestamp;
use sqlx::QueryBuilder;

use super::{Dialect, Parameter, narrow};
use crate::model::conversation::WINDOW;
use crate::model::id::{ConversationId, CustomerId};
use crate::store::query::{ConversationFilter, ConversationOrder, ConversationPlace, PageRequest};
use crate::store::rows::millis;

/// One conversation. What was merged into another is answered by that one.
pub fn one<Db: Dialect>(id: ConversationId) -> QueryBuilder<Db>
where
    ConversationId: Parameter<Db>,
{
    let mut query = QueryBuilder::new(
        "/* store::conversation */ SELECT v.* FROM conversations c CROSS JOIN conversation_view v
         WHERE v.id = coalesce(c.merged_into, c.id) AND c.id = ",
    );
    query.push_bind(id);
    query
}

/// A page of conversations, none that was merged into another.
pub fn list<Db: Dialect>(
    filter: &ConversationFilter,
    page: PageRequest<ConversationPlace>,
    now: Timestamp,
) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
{
    let mut query = QueryBuilder::new(
        "/* store::conversations */ SELECT v.* FROM (SELECT c.id FROM conversations c WHERE c.merged_into IS NULL",
    );
    let ConversationFilter { account, customer, business, open, order } = filter;
    let found = narrow::equals(&mut query, "c.account", account.as_deref(), customer.is_some());
    narrow::equals(&mut query, "c.business", business.as_deref(), found || customer.is_some());
    if let Some(customer) = customer {
        query.push(" AND c.customer_id IN (");
        narrow::customers(&mut query, customer);
        query.push(")");
    }
    let since = millis(now.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN));
    match open {
        Some(true) => {
            query.push(" AND c.window_closed_at IS NULL AND c.last_inbound_at > ").push_bind(since);
        }
        Some(false) => {
            query.push(" AND (c.window_closed_at IS NOT NULL OR coalesce(c.last_inbound_at, 0) <= ");
            query.push_bind(since).push(")");
        }
        None => {}
    }
    let order = match order {
        ConversationOrder::Newest => " ORDER BY id DESC",
        ConversationOrder::Closing => " ORDER BY last_inbound_at, id",
    };
    match page.before {
        Some(ConversationPlace::Newest(id)) => {
            query.push(" AND c.id < ").push_bind(id);
        }
        Some(ConversationPlace::Closing(at, id)) => {
            query.push(" AND (c.last_inbound_at, c.id) > (").push_bind(millis(at));
            query.push(", ").push_bind(id).push(")");
        }
        None => {}
    }
    query.push(order).push(" LIMIT ").push_bind(i64::from(page.limit) + 1);
    query.push(") AS page CROSS JOIN conversation_view v WHERE v.id = page.id").push(order);
    query
}
