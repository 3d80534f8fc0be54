//! How long to wait before asking again.

use std::time::Duration;

/// No wait is longer than this.
const LONGEST: Duration = Duration::from_secs(30);

/// Waits without end: each is twice as long as the one before, up to half a minute. Whoever gives up takes a few.
pub fn doubling(first: Duration) -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(first), |pause| Some(pause.saturating_mul(2).min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let seconds: Vec<_> = doubling(Duration::from_secs(1)).map(|pause| pause.as_secs()).take(8).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
