//! What retention takes away, and what erasing a customer took.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long an answer to a request that may be repeated is kept.
const REQUESTS: Duration = Duration::from_hours(24);

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The bytes of deliveries.
    pub bodies: Duration,
    /// Events, and everything that became of them.
    pub events: Duration,
}

/// From when on things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The bytes of events that were received at this time or later.
    pub bodies_since: Timestamp,
    /// Events, and everything that became of them, received at this time or later.
    pub events_since: Timestamp,
    /// Answers to requests that may be repeated, made at this time or later.
    pub requests_since: Timestamp,
}

/// How much retention took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Purged {
    /// Bytes of events.
    pub bodies: u64,
    /// Events.
    pub events: u64,
    /// Messages.
    pub messages: u64,
    /// Jobs that were parked all the time.
    pub jobs: u64,
    /// Conversations of which nothing else is left.
    pub conversations: u64,
    /// Customers who have no conversation any more. Those who opted out are remembered.
    pub customers: u64,
    /// Whether there may be more, when only some was to go; absent at the end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// How much of one customer was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Erased {
    /// Events; also such as were not understood and hold the customer's number or user id.
    pub events: u64,
    /// Bytes of events, where they were still kept.
    pub bodies: u64,
    /// Messages to the customer.
    pub messages: u64,
    /// Jobs: waiting, under way, parked and finished ones.
    pub jobs: u64,
    /// What routes kept for the customer's conversations.
    pub states: u64,
    /// Conversations.
    pub conversations: u64,
    /// Phone numbers, user ids and former ids.
    pub identities: u64,
}

impl Retention {
    /// From when on things are kept, seen from now. No body outlives its event.
    pub fn keep(&self, now: Timestamp) -> Keep {
        let before = |age| now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
        let events_since = before(self.events);
        Keep {
            bodies_since: before(self.bodies).max(events_since),
            events_since,
            requests_since: before(REQUESTS),
        }
    }
}

impl Erased {
    /// Adds what another step took.
    pub fn add(&mut self, step: &Self) {
        self.events += step.events;
        self.bodies += step.bodies;
        self.messages += step.messages;
        self.jobs += step.jobs;
        self.states += step.states;
        self.conversations += step.conversations;
        self.identities += step.identities;
    }
}

impl Purged {
    /// Whether anything went that a person would ask after.
    pub fn is_anything(&self) -> bool {
        Self { more: false, ..*self } != Self::default()
    }

    /// Adds what the next round took.
    pub fn add(&mut self, next: &Self) {
        self.bodies += next.bodies;
        self.events += next.events;
        self.messages += next.messages;
        self.jobs += next.jobs;
        self.conversations += next.conversations;
        self.customers += next.customers;
        self.more = next.more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_never_outlive_their_events() {
        let now: Timestamp = "2026-01-11T00:00:00Z".parse().unwrap();
        let day = Duration::from_hours(24);
        let keep = Retention { bodies: 20 * day, events: 10 * day }.keep(now);
        assert_eq!(keep.bodies_since, keep.events_since);
        let keep = Retention { bodies: day, events: 10 * day }.keep(now);
        assert_eq!(keep.bodies_since.to_string(), "2026-01-10T00:00:00Z");
        let keep = Retention { bodies: day, events: Duration::MAX }.keep(now);
        assert_eq!(keep.events_since, Timestamp::UNIX_EPOCH);
    }
}
