//! What a handler is told beside the event.

use jiff::Timestamp;
use serde_json::Value;

use super::conversation::Conversation;
use super::id::JobId;
use super::message::Message;

/// The surroundings of an event, as they were when the job was claimed.
#[derive(Clone)]
pub struct Context {
    /// The job that delivers the event: the same over all its attempts.
    pub job: JobId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The route that led here.
    pub route: String,
    /// The conversation and its window, for events that belong to one.
    pub conversation: Option<Conversation>,
    /// Whether this is the customer's first inbound in this conversation.
    pub first_contact: bool,
    /// The message this event refers to: the one a status is about, or that an inbound answers.
    pub message: Option<Message>,
    /// The latest message we sent in this conversation.
    pub latest_message: Option<Message>,
    /// What the route keeps for this conversation.
    pub state: Option<Value>,
    /// The time.
    pub now: Timestamp,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Context({}, attempt {}, {})", self.job, self.attempt, self.route)
    }
}
