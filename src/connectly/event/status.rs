//! Delivery statuses.

use std::fmt;

use super::json::Object;
use crate::connectly::error::ErrorDetail;

/// How far a message got, as WhatsApp tells it. `Read` may never come: receipts can be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Handed to WhatsApp.
    Sent,
    /// On the customer's phone.
    Delivered,
    /// Seen by the customer.
    Read,
    /// Not delivered, and it will not be.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Sent, Self::Delivered, Self::Read, Self::Failed];

    /// The name used everywhere in this house.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }

    /// Reads Connectly's name. `delivery_failure` is the first generation's spelling of `delivery_failed`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "sent" => Some(Self::Sent),
            "delivered" => Some(Self::Delivered),
            "read" => Some(Self::Read),
            "delivery_failed" | "delivery_failure" | "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A `statusUpdate`, without the id that the envelope's reader takes.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusUpdate {
    /// How far the message got.
    pub status: Status,
    /// Why it failed; null or absent unless it did.
    pub error: Option<ErrorDetail>,
}

/// `None` for a status that nobody documented: the event is kept as unknown.
pub(super) fn read(update: &Object<'_>) -> Option<StatusUpdate> {
    let status = Status::parse(&update.text(&["status"])?)?;
    Some(StatusUpdate { status, error: update.value(&["error"]).map(ErrorDetail::from) })
}
