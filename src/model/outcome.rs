//! What a handler hands back: replies, a new state, effects; or an error that says whether to try again.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::JsonText;
use crate::config::parse_duration;
use crate::connectly::message::Message;
use crate::connectly::template::Template;

/// What handling an event led to. Everything in it is committed together with the job's completion (P4).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Messages to the customer, sent in this order.
    pub replies: Vec<Reply>,
    /// The lane's state from now on.
    pub state: StateChange,
    /// What else changes.
    pub effects: Vec<Effect>,
    /// Set when the replies are to be kept to themselves if they were given not long ago.
    pub once: Option<Once>,
    /// What there is to say of how it came about, for the job's log: no message text and no secret.
    pub note: Option<String>,
}

/// Replies that a conversation gets at most once in a time. Whether they were given is decided in the transaction that
/// would queue them; if so, they are dropped and noted, while state and effects count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// What they are known by within their route.
    pub name: String,
    /// The time.
    pub per: Duration,
}

/// What becomes of the state a route keeps for a conversation.
#[derive(Clone, Default, PartialEq)]
pub enum StateChange {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is removed.
    Clear,
    /// It is replaced.
    Set(Value),
}

impl std::fmt::Debug for StateChange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Keep => "Keep",
            Self::Clear => "Clear",
            Self::Set(_) => "Set(..)",
        })
    }
}

/// A change beside replies and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The customer wants no more messages from this account.
    OptOut,
    /// The customer wants messages again.
    OptIn,
    /// A person takes over: rules keep quiet in this conversation for so long from now, whatever was said before. For no time
    /// at all, it is handed back to them: what a person wrote from elsewhere until then silences them no more.
    Mute(Duration),
}

impl Effect {
    /// The conversation is handed back to rules.
    pub const HAND_BACK: Self = Self::Mute(Duration::ZERO);

    /// What [`Effect::parse`] takes.
    pub const TAKES: &'static str = "\"opt_out\", \"opt_in\" or \"mute:\" and a duration such as \"mute:2h\"";

    /// Reads an effect as configurations and handlers over HTTP write it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "opt_out" => Some(Self::OptOut),
            "opt_in" => Some(Self::OptIn),
            _ => parse_duration(text.strip_prefix("mute:")?).map(Self::Mute),
        }
    }
}

/// A message to the customer. Without `from` it leaves from the number the customer wrote to (P9).
///
/// It is written as Connectly's own JSON, or built:
///
/// ```
/// use switchboard::connectly::message::{Message, ReplyButtonMessage};
/// use switchboard::{Reply, Template};
///
/// let buttons = ReplyButtonMessage::new().button("yes", "Yes, please").button("no", "No, thanks");
/// let reply = Reply::from(Message::buttons("Shall we deliver it again?", buttons))
///     .with_fallback(&Template::new("deliver_again", "en").parameter("body_1", "Ana"));
/// # assert_eq!(reply.message["replyButtonMessage"]["buttons"][1]["id"], "no");
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Connectly's `message` object.
    pub message: Value,
    /// Echoed with every event about the message: any JSON of at most 1,024 bytes, less our mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_data: Option<JsonText>,
    /// Another number of the business to send from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The template to send instead when the window is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Value>,
}

impl Reply {
    /// A plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::message(serde_json::json!({ "text": text.into() }))
    }

    /// Any message, as Connectly's documentation writes it.
    pub fn message(message: Value) -> Self {
        Self { message, callback_data: None, from: None, fallback: None }
    }

    /// Sets what is echoed with every event about the message.
    #[must_use]
    pub fn with_callback_data(mut self, data: &Value) -> Self {
        self.callback_data = Some(JsonText::of(data));
        self
    }

    /// Sends this template instead when the window is closed.
    #[must_use]
    pub fn with_fallback(mut self, template: &Template) -> Self {
        self.fallback = serde_json::to_value(template).ok();
        self
    }

    /// Sends from another number of the business.
    #[must_use]
    pub fn from_number(mut self, number: impl Into<String>) -> Self {
        self.from = Some(number.into());
        self
    }
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        // A message of ours is an object of texts, numbers and lists, which JSON can hold; what it could not hold would be
        // refused when the reply is checked.
        Self::message(serde_json::to_value(message).unwrap_or_default())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Reply(..)")
    }
}

impl Outcome {
    /// Nothing to do for this event.
    pub fn ignored() -> Self {
        Self::default()
    }

    /// Adds a reply.
    #[must_use]
    pub fn reply(mut self, reply: Reply) -> Self {
        self.replies.push(reply);
        self
    }

    /// Sets the lane's state.
    #[must_use]
    pub fn state(mut self, state: Value) -> Self {
        self.state = StateChange::Set(state);
        self
    }

    /// Gives the replies only if they were not given, under this name and in this conversation, within the time.
    #[must_use]
    pub fn once_per(mut self, name: impl Into<String>, per: Duration) -> Self {
        self.once = Some(Once { name: name.into(), per });
        self
    }

    /// Sets the lane's state to a value of the handler's own type, for [`Context::read_state`](super::context::Context::read_state).
    pub fn write_state(self, state: &impl Serialize) -> HandlerResult {
        let state = serde_json::to_value(state);
        Ok(self.state(state.map_err(|_| HandlerError::fail("the state cannot be written as JSON"))?))
    }

    /// Removes the lane's state.
    #[must_use]
    pub fn clear_state(mut self) -> Self {
        self.state = StateChange::Clear;
        self
    }

    /// Adds an effect.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::default().reply(reply)
    }
}

impl From<Vec<Reply>> for Outcome {
    fn from(replies: Vec<Reply>) -> Self {
        Self { replies, ..Self::default() }
    }
}

/// Why an event was not handled, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerError {
    /// Shown in the job's log, so it must hold no message text and no secret.
    pub reason: String,
    /// Whether, and when, to try again.
    pub retry: Retry,
}

/// Whether, and when, to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// By the route's policy.
    Backoff,
    /// Not before this delay has passed.
    After(Duration),
    /// Never: a person must look.
    Never,
}

impl HandlerError {
    /// Try again by the route's policy.
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), retry: Retry::Backoff }
    }

    /// Try again, but not before this delay has passed.
    pub fn retry_after(delay: Duration, reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), retry: Retry::After(delay) }
    }

    /// Do not try again: the job is parked for a person.
    pub fn fail(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), retry: Retry::Never }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for HandlerError {}

/// What `Handler::handle` returns.
pub type HandlerResult = Result<Outcome, HandlerError>;
