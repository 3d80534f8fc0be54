//! What a delivery says it is about.

use super::json::Object;

/// The topic of a delivery. A webhook is registered for each topic by name, so one that nobody documented was asked for
/// by somebody, and what it holds, be it named `message`, need not be what a customer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// `messages`.
    Messages,
    /// `delivery_status`.
    DeliveryStatus,
    /// `report`.
    Report,
    /// None, as inbound messages usually have it, or the enum's default.
    Unstated,
    /// One that nobody documented.
    New,
}

impl Topic {
    pub(super) fn of(envelope: &Object<'_>) -> Self {
        let Some(raw) = envelope.get(&["topic"]) else {
            return Self::Unstated;
        };
        let text = envelope.text(&["topic"]).unwrap_or_else(|| raw.to_owned());
        match text.trim().to_ascii_lowercase().as_str() {
            "messages" => Self::Messages,
            "delivery_status" => Self::DeliveryStatus,
            "report" => Self::Report,
            "" | "topic_unspecified" => Self::Unstated,
            _ => Self::New,
        }
    }
}
