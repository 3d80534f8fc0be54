//! `[retention]`: how long things are kept.

use std::time::Duration;

use serde::Serialize;

use super::section::Section;
use super::shown;

/// The hours of a day, since the standard library's durations end there.
const DAY: u64 = 24;

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetentionConfig {
    /// For the verified bytes of deliveries.
    #[serde(serialize_with = "shown::duration")]
    pub bodies: Duration,
    /// For events, and what became of them.
    #[serde(serialize_with = "shown::duration")]
    pub events: Duration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { bodies: Duration::from_hours(90 * DAY), events: Duration::from_hours(400 * DAY) }
    }
}

impl RetentionConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let range = || Duration::from_hours(1)..=Duration::from_hours(36_500 * DAY);
        Self {
            bodies: section.duration("bodies", range()).unwrap_or(default.bodies),
            events: section.duration("events", range()).unwrap_or(default.events),
        }
    }
}
