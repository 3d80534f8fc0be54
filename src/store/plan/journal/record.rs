//! What is known of one message: its sends, what we know ourselves, and what follows from a closed window.

use jiff::Timestamp;
use serde_json::Value;

use super::News;
use crate::connectly::error::ErrorDetail;
use crate::connectly::mark;
use crate::connectly::text::bounded;
use crate::model::id::{ConversationId, MessageId};
use crate::model::json::JsonText;
use crate::model::message::{Origin, OwnState, SendKind, Statuses, derive};

/// One message with its sends, as locked.
#[derive(Clone)]
pub struct MessageRecord {
    /// Our id.
    pub id: MessageId,
    /// The account.
    pub account: String,
    /// The conversation, when one is known.
    pub conversation: Option<ConversationId>,
    /// Where it came from.
    pub origin: Origin,
    /// What we know ourselves.
    pub own: OwnState,
    /// Connectly's `message` object, for an observed message seen by its echo.
    pub content: Option<Value>,
    /// Whether there is a template to send once the window is closed.
    pub has_fallback: bool,
    /// What the caller set, or for an observed message what was echoed.
    pub callback_data: Option<JsonText>,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// Why Connectly refused it, when it did.
    pub error: Option<ErrorDetail>,
    /// When it was queued, or first seen.
    pub created_at: Timestamp,
    /// Its sends in the order of their numbers; at least one.
    pub sends: Vec<SendRecord>,
}

impl std::fmt::Debug for MessageRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MessageRecord({}, {})", self.id, self.own.as_str())
    }
}

/// One send of a message.
#[derive(Debug, Clone)]
pub struct SendRecord {
    /// 1, or 2 for the fallback.
    pub number: i64,
    /// Free-form or template.
    pub kind: SendKind,
    /// Connectly's id.
    pub provider_message_id: Option<String>,
    /// When the request left.
    pub dispatched_at: Option<Timestamp>,
    /// When we learned Connectly's id.
    pub accepted_at: Option<Timestamp>,
    /// What statuses told.
    pub statuses: Statuses,
}

/// The number of the send that carries the fallback.
const FALLBACK: i64 = 2;

impl SendRecord {
    /// One that has not left.
    pub fn new(number: i64, kind: SendKind) -> Self {
        Self {
            number,
            kind,
            provider_message_id: None,
            dispatched_at: None,
            accepted_at: None,
            statuses: Statuses::default(),
        }
    }

    /// Whether it failed for good because the window was closed. What was delivered all the same did not.
    pub(super) fn was_refused_by_window(&self) -> bool {
        self.kind == SendKind::Session
            && derive(OwnState::Accepted, self.kind, &self.statuses) == OwnState::Expired.as_str()
    }
}

impl MessageRecord {
    /// The derived state.
    pub fn state(&self) -> &'static str {
        self.sends.last().map_or(self.own.as_str(), |newest| derive(self.own, newest.kind, &newest.statuses))
    }

    /// Whether a template is to be sent once the window is closed: it is tried once, after the free-form send.
    pub fn can_fall_back(&self) -> bool {
        self.has_fallback && matches!(self.sends[..], [SendRecord { kind: SendKind::Session, .. }])
    }

    /// Makes the template the message's newest send.
    pub fn fall_back(&mut self) {
        self.own = OwnState::Queued;
        self.error = None;
        self.sends.push(SendRecord::new(FALLBACK, SendKind::Template));
    }

    /// Takes in that the window is closed: the template follows if there is one, else the message is `expired`.
    pub(super) fn expire(&mut self) {
        if self.can_fall_back() {
            self.fall_back();
        } else {
            self.own = OwnState::Expired;
        }
    }

    /// Why it failed: a status's reason before the answer's.
    pub fn failure(&self) -> Option<&ErrorDetail> {
        self.sends.last().and_then(|newest| newest.statuses.error.as_ref()).or(self.error.as_ref())
    }

    /// The code of its failure, as it is stored for lists.
    pub fn failure_code(&self) -> Option<String> {
        self.failure().and_then(|error| error.code.as_deref()).map(bounded)
    }

    /// Which send news are of that name the message, but no send of it: the newest, unless that is a template that has not left
    /// yet and they tell that the window was closed. Then it is the free-form send, which an answer has refused already.
    pub(super) fn told_of(&self, news: &News) -> Option<i64> {
        let newest = self.sends.last()?;
        let session = |send: &&SendRecord| {
            send.kind == SendKind::Session
                && send.dispatched_at.is_some()
                && send.provider_message_id.is_none()
        };
        let waits = news.closes_window() && newest.dispatched_at.is_none();
        let earlier = self.sends.iter().rev().find(session).filter(|_| waits);
        Some(earlier.unwrap_or(newest).number)
    }

    pub(super) fn newest(&mut self) -> Option<&mut SendRecord> {
        self.sends.last_mut()
    }

    /// The callback data that the request carried: with the mark, when there was room for it.
    pub(super) fn sent_callback_data(&self) -> Option<String> {
        mark::apply(self.callback_data.as_ref().map(JsonText::as_str), self.id.ulid())
    }
}
