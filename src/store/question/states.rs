//! What routes keep for conversations: one state, and its end.

use sqlx::QueryBuilder;

use super::{Dialect, Parameter};
use crate::model::id::ConversationId;

/// What a route keeps for a conversation. What was merged into another is answered by that one.
pub fn one<Db: Dialect>(id: ConversationId, route: &str) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    ConversationId: Parameter<Db>,
{
    let mut query = QueryBuilder::new(
        "/* store::state */ SELECT s.route, s.conversation_id, s.state, s.updated_at
         FROM conversations c CROSS JOIN handler_state s
         WHERE s.conversation_id = coalesce(c.merged_into, c.id) AND c.id = ",
    );
    query.push_bind(id).push(" AND s.route = ").push_bind(route.to_owned());
    query
}

/// Removes what a route keeps for a conversation, or for the one that it was merged into.
pub fn clear<Db: Dialect>(id: ConversationId, route: &str) -> QueryBuilder<Db>
where
    String: Parameter<Db>,
    ConversationId: Parameter<Db>,
{
    let mut query = QueryBuilder::new(
        "/* store::clear_state */ DELETE FROM handler_state
         WHERE conversation_id = (SELECT coalesce(c.merged_into, c.id) FROM conversations c WHERE c.id = ",
    );
    query.push_bind(id).push(") AND route = ").push_bind(route.to_owned());
    query
}
