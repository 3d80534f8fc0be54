//! The only place that reads the time.
//!
//! Everything else is handed a [`Clock`], so that a test can move time instead of waiting for it. On PostgreSQL
//! leases and due times are compared with the database's clock plus [`Clock::offset_ms`], so one movement moves both.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use ulid::Ulid;

/// The system's time plus a movable offset (zero outside tests). Clones share the offset.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
    /// The last id that was made. Guards one number, and is never held over an await.
    last: Arc<Mutex<Ulid>>,
}

impl Clock {
    /// A clock that shows the system's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that shows this time now, and runs on: for history that is told after it happened.
    pub fn starting_at(at: Timestamp) -> Self {
        let clock = Self::system();
        clock.offset_ms.store(at.as_millisecond() - clock.now().as_millisecond(), Ordering::Relaxed);
        clock
    }

    /// The time now, in whole milliseconds: what both databases can hold exactly.
    pub fn now(&self) -> Timestamp {
        let since_epoch = system_now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis.saturating_add(self.offset_ms())).unwrap_or(Timestamp::MAX)
    }

    /// How far this clock is ahead of the system's, in milliseconds.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves this clock, and all its clones, ahead to a time, unless it is later already.
    pub fn advance_to(&self, at: Timestamp) {
        self.advance(Duration::try_from(at.duration_since(self.now())).unwrap_or_default());
    }

    /// Moves this clock, and all its clones, ahead.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// A new id that sorts after every earlier one of this process, within one millisecond too: what is queued in an order
    /// is listed in it. Within a millisecond the next id can be guessed from the last, so ids are no secrets.
    pub fn ulid(&self) -> Ulid {
        let millis = u64::try_from(self.now().as_millisecond()).unwrap_or(0);
        let fresh = Ulid::from_datetime(UNIX_EPOCH + Duration::from_millis(millis));
        // A panic while it was held cannot have left the number half written.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last =
            if fresh.timestamp_ms() > last.timestamp_ms() { fresh } else { Ulid(last.0.saturating_add(1)) };
        *last
    }

    /// Starts measuring a duration, for metrics and logs. It does not follow [`Clock::advance`].
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch { started: monotonic_now() }
    }
}

/// A running measurement of a duration.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time since the start in whole milliseconds.
    pub fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

#[expect(clippy::disallowed_methods, reason = "this module is the one place that may")]
fn system_now() -> SystemTime {
    SystemTime::now()
}

#[expect(clippy::disallowed_methods, reason = "this module is the one place that may")]
fn monotonic_now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_moves_every_clone() {
        let clock = Clock::system();
        let clone = clock.clone();
        let before = clone.now();
        clock.advance(Duration::from_hours(25));
        assert!(clone.now().duration_since(before) >= jiff::SignedDuration::from_hours(25));
        assert_eq!(clone.offset_ms(), 25 * 60 * 60 * 1000);
    }

    #[test]
    fn a_clock_that_starts_in_the_past_catches_up_and_never_goes_back() {
        let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(begin);
        let later = begin.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
        assert!(clock.now() >= begin && clock.now() < later);
        clock.advance_to(later);
        clock.advance_to(begin);
        assert!(clock.now() >= later);
    }

    #[test]
    fn ids_sort_in_the_order_they_were_made() {
        let clock = Clock::system();
        let ids: Vec<_> = (0..1000).map(|_| clock.clone().ulid()).collect();
        assert!(ids.is_sorted_by(|earlier, later| earlier < later));
        clock.advance(Duration::from_hours(1));
        assert!(clock.ulid().timestamp_ms() > ids[999].timestamp_ms() + 3_000_000);
    }
}
