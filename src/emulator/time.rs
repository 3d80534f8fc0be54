//! The emulator's own time: the service's clock plus an offset that only the emulator follows.
//!
//! With it a window can close at Connectly while the service still believes it open, and the other way round.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use ulid::Ulid;

use crate::clock::Clock;

/// Milliseconds in a second, the unit in which people move the time.
const MILLIS_PER_SECOND: i64 = 1_000;

/// A movable clock over the service's clock. Clones share the offset.
#[derive(Clone)]
pub(super) struct OwnTime {
    clock: Clock,
    offset_ms: Arc<AtomicI64>,
}

impl OwnTime {
    /// A time that shows what `clock` shows, until it is moved.
    pub(super) fn over(clock: Clock) -> Self {
        Self { clock, offset_ms: Arc::default() }
    }

    /// The emulator's time now.
    pub(super) fn now(&self) -> Timestamp {
        let millis = self
            .clock
            .now()
            .as_millisecond()
            .saturating_add(self.offset_ms.load(Ordering::Relaxed))
            .clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// How far the emulator is ahead of the service's clock, in whole seconds.
    pub(super) fn offset_seconds(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed) / MILLIS_PER_SECOND
    }

    /// Sets how far the emulator is ahead of the service's clock; behind it, when negative.
    pub(super) fn set_offset_seconds(&self, seconds: i64) {
        self.offset_ms.store(seconds.saturating_mul(MILLIS_PER_SECOND), Ordering::Relaxed);
    }

    /// Moves the time on, or back when negative.
    pub(super) fn advance_seconds(&self, seconds: i64) {
        self.move_by(seconds.saturating_mul(MILLIS_PER_SECOND));
    }

    /// Moves the time on.
    pub(super) fn advance(&self, by: Duration) {
        self.move_by(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    fn move_by(&self, millis: i64) {
        let moved = |offset: i64| offset.saturating_add(millis);
        self.offset_ms.update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }
}

/// A new id whose embedded time is `at`, as Connectly's are.
pub(super) fn ulid_at(at: Timestamp) -> Ulid {
    Ulid::from_datetime(at.into())
}

/// Unix seconds as text: the form in which Connectly prints the time of a message or status.
pub(super) fn unix_seconds(at: Timestamp) -> String {
    at.as_second().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emulator_moves_alone_and_follows_the_service() {
        let clock = Clock::system();
        let time = OwnTime::over(clock.clone());
        let before = clock.now();
        time.set_offset_seconds(3_600);
        assert!(time.now().as_second() - before.as_second() >= 3_600);
        assert!(clock.now().as_second() - before.as_second() < 3_600);
        time.advance_seconds(-7_200);
        assert_eq!(time.offset_seconds(), -3_600);
        assert!(time.now() < before);
    }

    #[test]
    fn an_absurd_offset_is_clamped() {
        let time = OwnTime::over(Clock::system());
        time.set_offset_seconds(i64::MAX);
        assert_eq!(time.now().as_millisecond(), Timestamp::MAX.as_millisecond());
    }

    #[test]
    fn ids_carry_the_time_they_were_given() {
        let at = Timestamp::from_second(1_767_225_600).unwrap();
        assert_eq!(ulid_at(at).timestamp_ms(), 1_767_225_600_000);
        assert_eq!(unix_seconds(at), "1767225600");
    }
}
