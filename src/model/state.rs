//! What a route's handler keeps for a conversation, apart from any one job.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::id::ConversationId;
use super::json::JsonText;

/// What a route keeps for one conversation: its handler gets it with the next event and may replace it.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HandlerState {
    /// The route whose handler wrote it.
    pub route: String,
    /// The conversation; of two that became one, the survivor.
    pub conversation_id: ConversationId,
    /// The state itself.
    pub state: JsonText,
    /// When a handler wrote it last.
    pub updated_at: Timestamp,
}

impl fmt::Debug for HandlerState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HandlerState({}, {})", self.route, self.conversation_id)
    }
}
