//! Connectly's rate limit: 200 requests a second, with bursts of up to 1,000.

use jiff::Timestamp;

/// How many requests are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, in the long run.
    pub per_second: u32,
    /// Requests at once, after a rest.
    pub burst: u32,
}

impl Default for Rate {
    /// What Connectly documents for its messaging endpoints.
    fn default() -> Self {
        Self { per_second: 200, burst: 1_000 }
    }
}

/// A token bucket: full at first, one token a request. Time is passed in; time that runs backwards adds nothing.
pub(super) struct Bucket {
    rate: Rate,
    tokens: f64,
    filled_at: Option<Timestamp>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, tokens: f64::from(rate.burst), filled_at: None }
    }

    /// Whether a request may pass now; it takes its token when it may.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let rested = self.filled_at.map_or(0.0, |filled| now.duration_since(filled).as_secs_f64());
        self.filled_at = Some(now);
        self.tokens =
            (self.tokens + rested.max(0.0) * f64::from(self.rate.per_second)).min(f64::from(self.rate.burst));
        let passes = self.tokens >= 1.0;
        if passes {
            self.tokens -= 1.0;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_only_the_rate() {
        let mut bucket = Bucket::new(Rate { per_second: 10, burst: 3 });
        let passed = (0..5).filter(|_| bucket.take(at(0))).count();
        assert_eq!(passed, 3);
        assert!(!bucket.take(at(50)));
        assert!(bucket.take(at(100)));
        assert!(!bucket.take(at(100)));
    }

    #[test]
    fn time_that_runs_backwards_fills_nothing() {
        let mut bucket = Bucket::new(Rate { per_second: 1, burst: 1 });
        assert!(bucket.take(at(10_000)));
        assert!(!bucket.take(at(0)));
        assert!(bucket.take(at(1_000)));
    }
}
