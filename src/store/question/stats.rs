//! How messages fared: counts and percentiles.

use sqlx::QueryBuilder;

use super::{Dialect, Parameter, narrow};
use crate::model::id::{ConversationId, CustomerId, MessageId};
use crate::store::query::MessageFilter;
use crate::store::rows::millis;

/// A step of a message on its way, from one time of its newest send to another.
pub struct Step {
    /// What it is called.
    pub name: &'static str,
    from: &'static str,
    to: &'static str,
}

/// The steps, in their order.
pub const STEPS: [Step; 4] = [
    Step { name: "dispatched_to_accepted", from: "s.dispatched_at", to: "s.accepted_at" },
    Step { name: "accepted_to_sent", from: "s.accepted_at", to: "s.sent_at" },
    Step { name: "sent_to_delivered", from: "s.sent_at", to: "s.delivered_at" },
    Step { name: "delivered_to_read", from: "s.delivered_at", to: "s.read_at" },
];

/// How many messages are in which state.
pub fn states<Db: Dialect>(filter: &MessageFilter) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    Vec<u8>: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
    MessageId: Parameter<Db>,
{
    let mut query = QueryBuilder::new(
        "/* store::stats (states) */ SELECT m.state, count(*) AS count FROM messages m WHERE true",
    );
    narrow::messages(&mut query, filter);
    query.push(" GROUP BY m.state");
    query
}

/// Failed messages by everything that is asked after.
pub fn failures<Db: Dialect>(filter: &MessageFilter) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    Vec<u8>: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
    MessageId: Parameter<Db>,
{
    let mut query = QueryBuilder::new(
        "/* store::stats (failures) */
         SELECT m.error_code AS code, m.campaign, m.business, m.created_at / 3600000 AS hour, count(*) AS count
         FROM messages m WHERE true",
    );
    let failed = Some("failed".to_owned());
    narrow::messages(
        &mut query,
        &MessageFilter { state: failed, since: None, until: None, ..filter.clone() },
    );
    // By the time alone, which has its index: ids would only tell where to begin.
    if let Some(since) = filter.since {
        query.push(" AND m.created_at >= ").push_bind(millis(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND m.created_at < ").push_bind(millis(until));
    }
    query.push(" GROUP BY m.error_code, m.campaign, m.business, m.created_at / 3600000");
    query
}

/// How long a step took: the median and the 95th percentile, which may be one row. Clocks differ: a step backwards in time
/// counts as none.
pub fn lag<Db: Dialect>(step: &Step, filter: &MessageFilter) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    Vec<u8>: Parameter<Db>,
    i64: Parameter<Db>,
    ConversationId: Parameter<Db>,
    CustomerId: Parameter<Db>,
    MessageId: Parameter<Db>,
{
    let Step { from, to, .. } = step;
    let took = format!("CASE WHEN {to} > {from} THEN {to} - {from} ELSE 0 END");
    let mut query = QueryBuilder::new("/* store::stats (lag) */ SELECT l.took FROM (SELECT ");
    query.push(&took).push(" AS took, row_number() OVER (ORDER BY ").push(&took);
    query.push(
        ") AS place, count(*) OVER () AS total FROM messages m JOIN sends s ON s.message_id = m.id WHERE ",
    );
    query.push(from).push(" IS NOT NULL AND ").push(to).push(" IS NOT NULL");
    narrow::messages(&mut query, filter);
    query.push(") l WHERE l.place IN ((l.total + 1) / 2, (l.total * 95 + 99) / 100) ORDER BY l.place");
    query
}
