//! What a handler is told beside the event.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::conversation::Conversation;
use super::id::JobId;
use super::message::Message;
use super::outcome::HandlerError;

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
    /// When somebody of the business last wrote to the customer from elsewhere, as an echo shows; within the last day, and since the
    /// conversation was last handed back to rules.
    pub person_answered_at: Option<Timestamp>,
    /// What the route keeps for this conversation.
    pub state: Option<Value>,
    /// The time.
    pub now: Timestamp,
}

impl Context {
    /// The surroundings of an event of which nothing else is known.
    pub const fn new(job: JobId, attempt: u32, route: String, now: Timestamp) -> Self {
        Self {
            job,
            attempt,
            route,
            conversation: None,
            first_contact: false,
            message: None,
            latest_message: None,
            person_answered_at: None,
            state: None,
            now,
        }
    }

    /// Whether the conversation was handed over to a person who is still at it: see [`Effect::Mute`](super::outcome::Effect::Mute).
    pub fn is_muted(&self) -> bool {
        let until = self.conversation.as_ref().and_then(|conversation| conversation.muted_until);
        until.is_some_and(|until| until > self.now)
    }

    /// What the route keeps for this conversation, as the handler's own type; `None` when nothing is kept. What cannot be
    /// read as that type parks the job: a person clears the state, or a release that can read it comes.
    pub fn read_state<T: DeserializeOwned>(&self) -> Result<Option<T>, HandlerError> {
        let read = |state| T::deserialize(state);
        let state = self.state.as_ref().map(read).transpose();
        // What serde says would quote the state.
        state.map_err(|_| HandlerError::fail("the state is not of the type that the handler keeps"))
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Context({}, attempt {}, {})", self.job, self.attempt, self.route)
    }
}
