//! A message that somebody asks for through the API, and what became of the request.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::connectly::event::party::Party;
use crate::connectly::order::Order;
use crate::model::json::JsonText;
use crate::model::message::Message;

/// A message to queue. It was checked before.
#[derive(Clone)]
pub struct Submission {
    /// The account.
    pub account: String,
    /// Who gets it.
    pub to: Party,
    /// The business number it leaves from; without one, that is chosen.
    pub from: Option<String>,
    /// Connectly's `message` object, or `{"template": {...}}`.
    pub content: Value,
    /// The template to send once the window is closed.
    pub fallback: Option<Value>,
    /// What is echoed.
    pub callback_data: Option<JsonText>,
    /// The campaign it is counted under.
    pub campaign: Option<String>,
    /// What it waits for at Connectly.
    pub order: Option<Order>,
    /// What makes a repeat of the request known.
    pub key: Option<RequestKey>,
    /// Kept before a window's end, for choosing a number.
    pub window_margin: Duration,
}

impl fmt::Debug for Submission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Submission({})", self.account)
    }
}

/// An `Idempotency-Key` with what it was sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The key, which the caller chose.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
}

/// How long a key is remembered.
pub const KEYS_KEPT: Duration = Duration::from_hours(24);

/// What became of a submission.
#[derive(Debug)]
pub enum Submitted {
    /// It is queued.
    Queued(Message),
    /// The same request was made before under the same key: this is its message.
    Repeated(Message),
    /// The key was used with another body.
    KeyReused,
    /// No number to send from was named, and none can be chosen.
    NoSender,
}
