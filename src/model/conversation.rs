//! One customer with one number of the business, and the 24-hour window between them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::event::{BusinessNumber, Customer};
use super::id::ConversationId;

/// How long after the customer's last message free-form messages may be sent (SEED 000, 004).
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// A conversation as handlers and the API see it.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Our id.
    pub id: ConversationId,
    /// The account it belongs to.
    pub account: String,
    /// Our side.
    pub business: BusinessNumber,
    /// The customer's side.
    pub customer: Customer,
    /// Whether free-form messages may be sent, and until when.
    pub window: Window,
    /// When the customer opted out, if they did.
    pub opted_out_at: Option<Timestamp>,
    /// Who said so.
    pub opted_out_by: Option<String>,
    /// Until when rules keep quiet here, when a person was to take over.
    pub muted_until: Option<Timestamp>,
}

/// What the 24-hour window is derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// The customer's last inbound event, by its own time but never later than it was received.
    pub last_inbound_at: Option<Timestamp>,
    /// When Connectly refused a message because the window was closed; cleared by the next inbound.
    pub closed_at: Option<Timestamp>,
}

/// A window as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Window)]
pub struct WindowView {
    /// Whether a send would leave now, the safety margin included.
    pub open: bool,
    /// Last inbound and 24 hours, or the time of a refusal; null when the customer never wrote.
    #[schema(required)]
    pub closes_at: Option<Timestamp>,
}

/// A conversation as it is now, as the API and handlers over HTTP see it.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Conversation)]
pub struct ConversationView {
    /// Our id.
    pub id: ConversationId,
    /// The account it belongs to.
    account: String,
    business: BusinessNumber,
    customer: Customer,
    window: WindowView,
    /// When the customer last wrote; absent when they never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_inbound_at: Option<Timestamp>,
    /// Since when the customer wants no messages; absent while they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    opted_out_at: Option<Timestamp>,
    /// Who said so: `connectly`, `route:` and the route's name, or whoever asked for it through the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    opted_out_by: Option<String>,
    /// Until when rules keep quiet, because the conversation was handed over to a person; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<Timestamp>,
}

impl Conversation {
    /// The conversation as the API shows it.
    pub fn view(&self, now: Timestamp, margin: Duration) -> ConversationView {
        ConversationView {
            id: self.id,
            account: self.account.clone(),
            business: self.business.clone(),
            customer: self.customer.clone(),
            window: self.window.view(now, margin),
            last_inbound_at: self.window.last_inbound_at,
            opted_out_at: self.opted_out_at,
            opted_out_by: self.opted_out_by.clone(),
            muted_until: self.muted_until.filter(|until| *until > now),
        }
    }
}

impl Window {
    /// When it closes, or closed.
    pub fn closes_at(&self) -> Option<Timestamp> {
        let by_time = self.last_inbound_at.map(|at| at.saturating_add(WINDOW).unwrap_or(Timestamp::MAX))?;
        Some(self.closed_at.map_or(by_time, |closed| closed.min(by_time)))
    }

    /// Whether a free-form message may leave now. The margin keeps a message that is under way from arriving too late.
    pub fn is_open(&self, now: Timestamp, margin: Duration) -> bool {
        let margin = SignedDuration::try_from(margin).unwrap_or(SignedDuration::MAX);
        self.closes_at().is_some_and(|closes| now.saturating_add(margin).unwrap_or(Timestamp::MAX) < closes)
    }

    /// The window as the API shows it.
    pub fn view(&self, now: Timestamp, margin: Duration) -> WindowView {
        WindowView { open: self.is_open(now, margin), closes_at: self.closes_at() }
    }
}

/// When an inbound event counts for the window: its own time, but never later than it was received, so that a clock
/// ahead of ours cannot hold the window open.
pub fn inbound_at(occurred_at: Option<Timestamp>, received_at: Timestamp) -> Timestamp {
    occurred_at.map_or(received_at, |occurred| occurred.min(received_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const MARGIN: Duration = Duration::from_mins(1);

    #[test]
    fn a_window_lasts_a_day_less_the_margin() {
        let window = Window { last_inbound_at: Some(at("2026-01-01T00:00:00Z")), closed_at: None };
        assert_eq!(window.closes_at(), Some(at("2026-01-02T00:00:00Z")));
        assert!(window.is_open(at("2026-01-01T23:58:59Z"), MARGIN));
        assert!(!window.is_open(at("2026-01-01T23:59:00Z"), MARGIN));
        assert!(window.is_open(at("2026-01-01T23:59:59Z"), Duration::ZERO));
    }

    #[test]
    fn nobody_who_never_wrote_has_a_window() {
        assert!(!Window::default().is_open(at("2026-01-01T00:00:00Z"), MARGIN));
        assert_eq!(Window::default().closes_at(), None);
    }

    #[test]
    fn a_refusal_closes_it_at_once() {
        let closed_at = Some(at("2026-01-01T01:00:00Z"));
        let window = Window { last_inbound_at: Some(at("2026-01-01T00:00:00Z")), closed_at };
        assert_eq!(window.closes_at(), closed_at);
        assert!(!window.is_open(at("2026-01-01T01:00:00Z"), Duration::ZERO));
    }

    #[test]
    fn a_time_in_the_future_counts_as_the_time_of_receipt() {
        let received = at("2026-01-01T00:00:00Z");
        assert_eq!(inbound_at(Some(at("2027-01-01T00:00:00Z")), received), received);
        assert_eq!(inbound_at(Some(at("2025-12-31T23:00:00Z")), received), at("2025-12-31T23:00:00Z"));
        assert_eq!(inbound_at(None, received), received);
    }
}
