//! What a handler is told.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::model::context::Context;
use crate::model::conversation::ConversationView;
use crate::model::event::Event;
use crate::model::message::Message;

/// The body of a request. All four keys are always there, null when there is no such thing.
#[derive(Serialize)]
struct Request<'a> {
    event: &'a Event,
    conversation: Option<ConversationView>,
    /// The message that the event refers to.
    message: Option<&'a Message>,
    /// What the route keeps for the conversation.
    state: Option<&'a Value>,
}

/// The body as JSON.
pub(super) fn body(
    event: &Event,
    context: &Context,
    window_margin: Duration,
) -> Result<Vec<u8>, serde_json::Error> {
    let view = |conversation: &crate::model::conversation::Conversation| {
        conversation.view(context.now, window_margin)
    };
    serde_json::to_vec(&Request {
        event,
        conversation: context.conversation.as_ref().map(view),
        message: context.message.as_ref(),
        state: context.state.as_ref(),
    })
}
