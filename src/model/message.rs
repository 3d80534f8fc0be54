//! A message: something we sent, or that a status event told us of.
//!
//! Its state is derived, never set: statuses may come in any order and any number (P7), so each send keeps the earliest
//! time of each, and [`derive()`] reads them together with what we know ourselves.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::id::{ConversationId, EventId, MessageId};
use super::json::JsonText;
use super::payload::kind_of;
use crate::connectly::error::{ErrorDetail, ShownError};
use crate::connectly::event::status::Status;
pub use crate::connectly::kind::SendKind;

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A handler answered an event.
    Reply,
    /// Somebody asked for it through the API.
    Api,
    /// Somebody else sent it; we saw its statuses or its echo.
    Observed,
}

impl Origin {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Api => "api",
            Self::Observed => "observed",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Reply, Self::Api, Self::Observed].into_iter().find(|origin| origin.as_str() == text)
    }
}

/// What we know of a message ourselves, without any status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnState {
    /// Waiting to be sent, or being sent.
    Queued,
    /// Connectly gave it an id.
    Accepted,
    /// It left, and no answer came: it may have been sent.
    Unconfirmed,
    /// Connectly refused it for good.
    Failed,
    /// The 24-hour window was closed and there was no fallback.
    Expired,
    /// The customer had opted out.
    Suppressed,
}

impl OwnState {
    const ALL: [Self; 6] =
        [Self::Queued, Self::Accepted, Self::Unconfirmed, Self::Failed, Self::Expired, Self::Suppressed];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Accepted => "accepted",
            Self::Unconfirmed => "unconfirmed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Suppressed => "suppressed",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The names a message's derived state can have: those of [`OwnState`] and of the statuses.
pub const STATES: [&str; 9] =
    ["queued", "accepted", "unconfirmed", "sent", "delivered", "read", "failed", "expired", "suppressed"];

/// The statuses of one send, the earliest time of each.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Statuses {
    /// When it was handed to WhatsApp.
    pub sent_at: Option<Timestamp>,
    /// When it reached the phone.
    pub delivered_at: Option<Timestamp>,
    /// When it was seen.
    pub read_at: Option<Timestamp>,
    /// When it failed.
    pub failed_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<ErrorDetail>,
}

impl fmt::Debug for Statuses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = Status::ALL.map(|status| self.at(status).map(|_| status.as_str()));
        write!(formatter, "Statuses({:?})", reached.into_iter().flatten().collect::<Vec<_>>())
    }
}

impl Statuses {
    /// Takes in one status. The earliest time of each status wins, so order and repetition make no difference.
    pub fn fold(&mut self, status: Status, at: Timestamp, error: Option<ErrorDetail>) {
        let slot = match status {
            Status::Sent => &mut self.sent_at,
            Status::Delivered => &mut self.delivered_at,
            Status::Read => &mut self.read_at,
            Status::Failed => &mut self.failed_at,
        };
        let earlier = slot.is_none_or(|known| at < known);
        if earlier {
            *slot = Some(at);
        }
        if status == Status::Failed && (earlier || self.error.is_none()) {
            self.error = error.or_else(|| self.error.take());
        }
    }

    /// Takes in everything another send's record holds, when both turn out to be one.
    pub fn merge(&mut self, other: Self) {
        let Self { sent_at, delivered_at, read_at, failed_at, error } = other;
        let times = [sent_at, delivered_at, read_at, failed_at];
        for (status, at) in Status::ALL.into_iter().zip(times) {
            if let Some(at) = at {
                self.fold(status, at, error.clone().filter(|_| status == Status::Failed));
            }
        }
    }

    /// When a status was reached.
    pub const fn at(&self, status: Status) -> Option<Timestamp> {
        match status {
            Status::Sent => self.sent_at,
            Status::Delivered => self.delivered_at,
            Status::Read => self.read_at,
            Status::Failed => self.failed_at,
        }
    }

    /// Whether it failed because the 24-hour window was closed.
    pub fn refused_by_window(&self) -> bool {
        self.failed_at.is_some() && self.error.as_ref().is_some_and(ErrorDetail::closes_window)
    }

    /// Whether it failed because the customer wants no messages.
    pub fn opted_out(&self) -> bool {
        self.failed_at.is_some() && self.error.as_ref().is_some_and(ErrorDetail::opts_out)
    }

    /// Whether any status came.
    pub fn any(&self) -> bool {
        Status::ALL.into_iter().any(|status| self.at(status).is_some())
    }
}

/// The state of a message from its newest send: `read`, else `delivered`, else `failed`, else `sent`, else our own. When
/// free-form content failed by the closed window, that is not `failed` but `expired`; with a fallback, the newest send is
/// another one.
pub fn derive(own: OwnState, kind: SendKind, newest: &Statuses) -> &'static str {
    let window = kind == SendKind::Session && newest.refused_by_window();
    let by_rank = [Status::Read, Status::Delivered, Status::Failed, Status::Sent];
    let reached = by_rank.into_iter().find(|status| newest.at(*status).is_some());
    match reached {
        Some(Status::Failed | Status::Sent) if window => OwnState::Expired.as_str(),
        Some(status) => status.as_str(),
        None => own.as_str(),
    }
}

/// A message as handlers and the API see it.
#[derive(Clone, Serialize, ToSchema)]
pub struct Message {
    /// Our id.
    pub id: MessageId,
    /// Connectly's id of the newest send, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_message_id: Option<String>,
    /// The account it belongs to.
    pub account: String,
    /// The conversation it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// Where it came from.
    pub origin: Origin,
    /// Free-form or template.
    pub kind: SendKind,
    /// The business number it leaves from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The customer's number, or user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The derived state.
    #[schema(schema_with = state)]
    pub state: String,
    /// Connectly's `message` object, or `{"template": {...}}`; absent on an observed message known by status only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub content: Option<Value>,
    /// The template that leaves instead when the window is closed; it did when `kind` is a template's and `content` is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub fallback: Option<Value>,
    /// What the caller set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_data: Option<JsonText>,
    /// The campaign's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// Why it failed; shown with what we make of its code.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    #[schema(value_type = Option<ShownError>)]
    pub error: Option<ErrorDetail>,
    /// When it was queued, or first seen.
    pub created_at: Timestamp,
    /// When we last learned something of it.
    pub updated_at: Timestamp,
}

impl Message {
    /// The message as it was when it was queued.
    #[must_use]
    pub fn as_queued(self) -> Self {
        Self {
            kind: self.content.as_ref().map_or(self.kind, kind_of),
            state: OwnState::Queued.as_str().to_owned(),
            provider_message_id: None,
            error: None,
            updated_at: self.created_at,
            ..self
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Message({}, {})", self.id, self.state)
    }
}

/// The schema of a message's state.
pub fn state() -> Object {
    let state = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(STATES));
    state.description(Some("How far the message got.")).build()
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn shown<S: Serializer>(error: &Option<ErrorDetail>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(ErrorDetail::shown).serialize(serializer)
}

/// One line of a message's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimelineEntry {
    /// The state that was reached.
    #[schema(schema_with = state)]
    pub state: String,
    /// When.
    pub at: Timestamp,
    /// How long after the line before it, in milliseconds; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<i64>,
    /// The event that told us; absent for what we did ourselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// 2 for the template that was sent in place of the message, when its window was closed; absent for the message itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn window_refusal() -> ErrorDetail {
        let code = Some("ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW".to_owned());
        ErrorDetail { code, ..ErrorDetail::default() }
    }

    #[test]
    fn the_furthest_status_wins_and_failed_outranks_sent() {
        let mut statuses = Statuses::default();
        assert_eq!(derive(OwnState::Accepted, SendKind::Session, &statuses), "accepted");
        statuses.fold(Status::Sent, at(1), None);
        assert_eq!(derive(OwnState::Accepted, SendKind::Session, &statuses), "sent");
        statuses.fold(Status::Failed, at(2), None);
        assert_eq!(derive(OwnState::Accepted, SendKind::Session, &statuses), "failed");
        statuses.fold(Status::Delivered, at(3), None);
        assert_eq!(derive(OwnState::Accepted, SendKind::Session, &statuses), "delivered");
        statuses.fold(Status::Read, at(4), None);
        assert_eq!(derive(OwnState::Unconfirmed, SendKind::Session, &statuses), "read");
    }

    #[test]
    fn a_failure_by_the_window_is_expired() {
        let mut statuses = Statuses::default();
        statuses.fold(Status::Failed, at(2), Some(window_refusal()));
        assert_eq!(derive(OwnState::Accepted, SendKind::Session, &statuses), "expired");
        assert_eq!(derive(OwnState::Accepted, SendKind::Template, &statuses), "failed");
    }

    proptest! {
        #[test]
        fn order_and_repetition_make_no_difference(
            mut seen in prop::collection::vec((0_usize..4, 0_i64..50), 1..12), seed in any::<u64>(),
        ) {
            let fold = |seen: &[(usize, i64)]| {
                let mut statuses = Statuses::default();
                for (status, second) in seen {
                    statuses.fold(Status::ALL[*status], at(*second), None);
                }
                statuses
            };
            let once = fold(&seen);
            seen.extend(seen.clone());
            let rotation = usize::try_from(seed % 64).unwrap_or(0) % seen.len();
            seen.rotate_left(rotation);
            prop_assert_eq!(fold(&seen), once);
        }
    }
}
