//! How long the handlers of a route take, and how much may be claimed ahead of its slots because of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::deliver::SLOT_PATIENCE;
use crate::ingest::slots::AHEAD_OF_EACH_SLOT;

/// What was claimed ahead waits for a slot half as long as it would wait at most.
const WAIT: Duration = SLOT_PATIENCE.checked_div(2).expect("two is not zero");
/// A run counts for one in so many of the average.
const WEIGHT: u64 = 8;

/// The average time of a handler of one route, in microseconds; 0 until one has run.
#[derive(Debug, Default)]
pub(super) struct Tempo(AtomicU64);

impl Tempo {
    /// Notes how long a handler ran.
    pub(super) fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let average = |before: u64| match before {
            0 => took,
            before => (before - before / WEIGHT).saturating_add(took / WEIGHT).max(1),
        };
        // One that is lost to another thread is one of many.
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(average(before), Ordering::Relaxed);
    }

    /// How many more than there are free slots may be claimed: those that will find one soon.
    pub(super) fn ahead(&self, free: usize) -> usize {
        let average = u128::from(self.0.load(Ordering::Relaxed));
        let of_each = WAIT.as_micros().checked_div(average).unwrap_or(0);
        free.saturating_mul(usize::try_from(of_each).unwrap_or(usize::MAX).min(AHEAD_OF_EACH_SLOT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(runs: &[Duration]) -> usize {
        let tempo = Tempo::default();
        for took in runs {
            tempo.note(*took);
        }
        tempo.ahead(32)
    }

    #[test]
    fn only_quick_handlers_are_claimed_ahead_for() {
        let millis = Duration::from_millis;
        assert_eq!(ahead(&[]), 0, "nobody knows yet");
        assert_eq!(ahead(&[Duration::ZERO]), 128);
        assert_eq!(ahead(&[millis(6)]), 128);
        assert_eq!(ahead(&[millis(10)]), 64);
        assert_eq!(ahead(&[millis(25)]), 32);
        assert_eq!(ahead(&[millis(26)]), 0);
        assert_eq!(ahead(&[Duration::MAX, Duration::MAX]), 0);
    }

    #[test]
    fn the_average_follows_what_handlers_take() {
        let slow_once = [&[Duration::from_millis(1); 20][..], &[Duration::from_millis(30)]].concat();
        assert_eq!(ahead(&slow_once), 128);
        let slow = [&[Duration::from_millis(1); 20][..], &[Duration::from_millis(300); 4]].concat();
        assert_eq!(ahead(&slow), 0);
        let quick_again = [&[Duration::from_secs(1); 4][..], &[Duration::from_millis(1); 60]].concat();
        assert_eq!(ahead(&quick_again), 128);
    }
}
