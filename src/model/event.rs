//! An event: one stored webhook delivery, in the one shape that handlers, the API and brokers see.

mod schema;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use utoipa::ToSchema;

use super::id::{ConversationId, CustomerId, EventId, MessageId};
use super::json::JsonText;
use super::outcome::Reply;
use crate::connectly::error::ErrorDetail;
use crate::connectly::event::content::{Content, ContentKind};
use crate::connectly::event::report::Report;
use crate::connectly::event::status::Status;
use crate::connectly::event::{Decoded, Kind};

/// What kind of event it is, by the name that routes, filters and the API use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// A customer wrote.
    MessageReceived,
    /// The business wrote, seen by a registration with `echo`.
    MessageEcho,
    /// A message was handed to WhatsApp.
    MessageSent,
    /// A message is on the customer's phone.
    MessageDelivered,
    /// A message was seen.
    MessageRead,
    /// A message was not delivered.
    MessageFailed,
    /// A report is ready.
    ReportCompleted,
    /// Signed, and not understood yet.
    Unknown,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::MessageReceived,
        Self::MessageEcho,
        Self::MessageSent,
        Self::MessageDelivered,
        Self::MessageRead,
        Self::MessageFailed,
        Self::ReportCompleted,
        Self::Unknown,
    ];

    /// The type of a decoded body.
    pub fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Received(_) => Self::MessageReceived,
            Kind::Echo(_) => Self::MessageEcho,
            Kind::Status(update) => Self::of_status(update.status),
            Kind::Report(_) => Self::ReportCompleted,
            Kind::Unknown => Self::Unknown,
        }
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageEcho => "message.echo",
            Self::MessageSent => "message.sent",
            Self::MessageDelivered => "message.delivered",
            Self::MessageRead => "message.read",
            Self::MessageFailed => "message.failed",
            Self::ReportCompleted => "report.completed",
            Self::Unknown => "unknown",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The types a route's pattern stands for: a type, `message.*` or `*`; none when it is no pattern.
    pub fn of_pattern(pattern: &str) -> Vec<Self> {
        let prefix = pattern.strip_suffix('*');
        let stands = |kind: &Self| match prefix {
            Some(prefix) => prefix.is_empty() || (prefix == "message." && kind.as_str().starts_with(prefix)),
            None => kind.as_str() == pattern,
        };
        Self::ALL.into_iter().filter(stands).collect()
    }

    /// The type that reports a status.
    pub const fn of_status(status: Status) -> Self {
        match status {
            Status::Sent => Self::MessageSent,
            Status::Delivered => Self::MessageDelivered,
            Status::Read => Self::MessageRead,
            Status::Failed => Self::MessageFailed,
        }
    }

    /// The status it reports, if it reports one.
    pub const fn status(self) -> Option<Status> {
        match self {
            Self::MessageSent => Some(Status::Sent),
            Self::MessageDelivered => Some(Status::Delivered),
            Self::MessageRead => Some(Status::Read),
            Self::MessageFailed => Some(Status::Failed),
            Self::MessageReceived | Self::MessageEcho | Self::ReportCompleted | Self::Unknown => None,
        }
    }

    /// Whether it is about a message of the business: then its id at Connectly is that message's.
    pub const fn is_about_ours(self) -> bool {
        self.status().is_some() || matches!(self, Self::MessageEcho)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A stored delivery as handlers see it. Its JSON is the shape that every surface shares.
#[derive(Debug, Clone)]
pub struct Event {
    /// Our id, made when the request arrived.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// The account it was delivered to.
    pub account: String,
    /// The event's own time, when it had one.
    pub occurred_at: Option<Timestamp>,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// The conversation, for events that belong to one.
    pub conversation_id: Option<ConversationId>,
    /// Our side.
    pub business: Option<BusinessNumber>,
    /// The customer's side.
    pub customer: Option<Customer>,
    /// Connectly's id: of the message sent for a status, else the event's own.
    pub provider_message_id: Option<String>,
    /// Connectly's id of the message this one answers.
    pub in_reply_to: Option<String>,
    /// Our id of the message a status is about, when it is known.
    pub message_id: Option<MessageId>,
    /// What was set on the message this event refers to: absent and null are two things.
    pub callback_data: Option<JsonText>,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// How often Connectly repeated this delivery.
    pub duplicates: i64,
    /// Whether retention has dropped the body, and the content with it.
    pub body_purged: bool,
}

/// A number of the business.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BusinessNumber {
    /// The number as `+` and digits.
    pub id: String,
    /// Its name, when Connectly gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl fmt::Debug for BusinessNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BusinessNumber(..)")
    }
}

/// A customer as an event shows them.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Customer {
    /// Our id; absent only before the event is stored, in a route's `when`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CustomerId>,
    /// The phone number, null when not known.
    #[schema(required)]
    pub phone: Option<String>,
    /// The business-scoped user id, null when not known.
    #[schema(required)]
    pub user_id: Option<String>,
    /// The name, when the customer shows one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl fmt::Debug for Customer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Customer({:?})", self.id)
    }
}

/// What happened, with what only that kind of event has.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// A customer wrote.
    MessageReceived(ReceivedMessage),
    /// The business wrote.
    MessageEcho(ReceivedMessage),
    /// A message was handed to WhatsApp.
    MessageSent,
    /// A message is on the customer's phone.
    MessageDelivered,
    /// A message was seen.
    MessageRead,
    /// A message was not delivered, and why.
    MessageFailed(ErrorDetail),
    /// A report is ready.
    ReportCompleted(Option<Report>),
    /// Not understood; the bytes are kept.
    Unknown,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct ReceivedMessage {
    /// The content.
    pub content: Content,
}

impl ReceivedMessage {
    /// The text, or the label of the button or row that was picked.
    pub fn text(&self) -> Option<&str> {
        self.content.text.as_deref()
    }

    /// What the button or row carries that was picked; `None` for anything else.
    pub fn payload(&self) -> Option<&str> {
        self.content.payload.as_deref()
    }

    /// Answers with a text, from the number the customer wrote to.
    pub fn reply_text(&self, text: impl Into<String>) -> Reply {
        Reply::text(text)
    }
}

impl EventKind {
    /// The type's name.
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::MessageReceived(_) => EventType::MessageReceived,
            Self::MessageEcho(_) => EventType::MessageEcho,
            Self::MessageSent => EventType::MessageSent,
            Self::MessageDelivered => EventType::MessageDelivered,
            Self::MessageRead => EventType::MessageRead,
            Self::MessageFailed(_) => EventType::MessageFailed,
            Self::ReportCompleted(_) => EventType::ReportCompleted,
            Self::Unknown => EventType::Unknown,
        }
    }

    /// What happened, as the body told it.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Received(content) => Self::MessageReceived(ReceivedMessage { content }),
            Kind::Echo(content) => Self::MessageEcho(ReceivedMessage { content }),
            Kind::Status(update) => match update.status {
                Status::Sent => Self::MessageSent,
                Status::Delivered => Self::MessageDelivered,
                Status::Read => Self::MessageRead,
                Status::Failed => Self::MessageFailed(update.error.unwrap_or_default()),
            },
            Kind::Report(report) => Self::ReportCompleted(Some(report)),
            Kind::Unknown => Self::Unknown,
        }
    }

    /// What is left to say when retention has dropped the body.
    pub fn purged(event_type: EventType) -> Self {
        let nothing = || ReceivedMessage { content: Content::empty(ContentKind::Other) };
        match event_type {
            EventType::MessageReceived => Self::MessageReceived(nothing()),
            EventType::MessageEcho => Self::MessageEcho(nothing()),
            EventType::MessageSent => Self::MessageSent,
            EventType::MessageDelivered => Self::MessageDelivered,
            EventType::MessageRead => Self::MessageRead,
            EventType::MessageFailed => Self::MessageFailed(ErrorDetail::default()),
            EventType::ReportCompleted => Self::ReportCompleted(None),
            EventType::Unknown => Self::Unknown,
        }
    }
}

impl Event {
    /// The event as it is known before it is stored: without the ids that storing gives. Routes match on this.
    pub fn arriving(id: EventId, account: &str, received_at: Timestamp, decoded: &Decoded) -> Self {
        Self {
            id,
            kind: EventKind::of(decoded.kind.clone()),
            account: account.to_owned(),
            occurred_at: decoded.occurred_at,
            received_at,
            conversation_id: None,
            business: decoded
                .business
                .as_ref()
                .map(|business| BusinessNumber { id: business.id.clone(), name: business.name.clone() }),
            customer: decoded.customer.as_ref().map(|party| Customer {
                id: None,
                phone: party.phone.clone(),
                user_id: party.user_id.clone(),
                name: party.name.clone(),
            }),
            provider_message_id: decoded.provider_message_id.as_ref().map(ToString::to_string),
            in_reply_to: decoded.in_reply_to.as_ref().map(ToString::to_string),
            message_id: None,
            callback_data: decoded.callback_data.clone().and_then(JsonText::parse),
            campaign: decoded.campaign.clone(),
            duplicates: 0,
            body_purged: false,
        }
    }

    /// The type's name.
    pub const fn event_type(&self) -> EventType {
        self.kind.event_type()
    }

    /// The event's JSON as a tree, for expressions and templates. Callback data too strange for a tree (nested too deep, a
    /// lone surrogate) is left out.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_else(|_| {
            let plain = Self { callback_data: None, ..self.clone() };
            serde_json::to_value(plain).unwrap_or_default()
        })
    }

    /// What a customer, or in an echo the business, wrote.
    pub const fn content(&self) -> Option<&Content> {
        match &self.kind {
            EventKind::MessageReceived(message) | EventKind::MessageEcho(message) => Some(&message.content),
            _ => None,
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("type", self.event_type().as_str())?;
        map.serialize_entry("account", &self.account)?;
        entry(&mut map, "occurred_at", self.occurred_at.as_ref())?;
        map.serialize_entry("received_at", &self.received_at)?;
        entry(&mut map, "conversation_id", self.conversation_id.as_ref())?;
        entry(&mut map, "business", self.business.as_ref())?;
        entry(&mut map, "customer", self.customer.as_ref())?;
        entry(&mut map, "provider_message_id", self.provider_message_id.as_ref())?;
        entry(&mut map, "in_reply_to", self.in_reply_to.as_ref())?;
        entry(&mut map, "status", self.event_type().status().map(Status::as_str).as_ref())?;
        entry(&mut map, "message_id", self.message_id.as_ref())?;
        entry(&mut map, "callback_data", self.callback_data.as_ref())?;
        entry(&mut map, "campaign", self.campaign.as_ref())?;
        match &self.kind {
            EventKind::MessageReceived(message) | EventKind::MessageEcho(message) if !self.body_purged => {
                map.serialize_entry("content", &message.content)?;
            }
            EventKind::MessageFailed(error) => map.serialize_entry("error", &error.shown())?,
            EventKind::ReportCompleted(Some(report)) => map.serialize_entry("report", report)?,
            _ => {}
        }
        map.serialize_entry("duplicates", &self.duplicates)?;
        if self.body_purged {
            map.serialize_entry("body_purged", &true)?;
        }
        map.end()
    }
}

/// Absent means absent.
fn entry<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}
