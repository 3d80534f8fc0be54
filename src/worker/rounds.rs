//! How often to look for what nobody announces.

use std::time::Duration;

use crate::clock::{Clock, Stopwatch};

/// A look takes at most one part in so many of the time: the more there is to read, the rarer it is.
const SHARE: u32 = 50;

/// When to look again.
#[derive(Debug)]
pub(super) struct Rounds {
    often: Duration,
    rarely: Duration,
    /// The beginning of the last look, and how long after it the next is due.
    last: Option<(Stopwatch, Duration)>,
}

impl Rounds {
    /// Rounds that begin at least as far apart as `often`, and no further than `rarely`, however long a look takes.
    pub(super) fn new(often: Duration, rarely: Duration) -> Self {
        Self { often, rarely: rarely.max(often), last: None }
    }

    pub(super) fn are_due(&self) -> bool {
        self.left().is_none()
    }

    /// The time until the next one is due; none when it is.
    pub(super) fn left(&self) -> Option<Duration> {
        let (since, pause) = self.last?;
        pause.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }

    /// Looks, and notes how long it took. One that could not look is still due.
    pub(super) async fn go(&mut self, clock: &Clock, look: impl Future<Output = Option<usize>>) -> usize {
        let began = clock.stopwatch();
        let found = look.await;
        if found.is_some() {
            self.last = Some((began, self.pause_after(began.elapsed())));
        }
        found.unwrap_or(0)
    }

    /// The next one is due at once.
    pub(super) fn hurry(&mut self) {
        self.last = None;
    }

    fn pause_after(&self, took: Duration) -> Duration {
        took.saturating_mul(SHARE).clamp(self.often, self.rarely)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_a_look_takes_the_rarer_it_is() {
        let rounds = Rounds::new(Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(rounds.pause_after(Duration::from_millis(1)), Duration::from_secs(1));
        assert_eq!(rounds.pause_after(Duration::from_millis(200)), Duration::from_secs(10));
        assert_eq!(rounds.pause_after(Duration::from_secs(5)), Duration::from_secs(30));
        let polled_rarely = Rounds::new(Duration::from_mins(1), Duration::from_secs(30));
        assert_eq!(polled_rarely.pause_after(Duration::from_secs(5)), Duration::from_mins(1));
    }

    #[tokio::test]
    async fn rounds_are_due_at_first_and_when_they_hurry() {
        let clock = Clock::system();
        let mut rounds = Rounds::new(Duration::from_hours(1), Duration::from_hours(1));
        assert!(rounds.are_due(), "what a process left behind is looked for when another starts");
        assert_eq!(rounds.go(&clock, async { None }).await, 0);
        assert!(rounds.are_due(), "nobody has looked");
        assert_eq!(rounds.go(&clock, async { Some(7) }).await, 7);
        assert!(rounds.left().is_some_and(|left| left <= Duration::from_hours(1)) && !rounds.are_due());
        rounds.hurry();
        assert!(rounds.are_due());
    }
}
