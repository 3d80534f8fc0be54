//! The rate limit on sends, as a value: asked when, it answers how long to wait, and never sleeps.
//!
//! It is the generic cell rate algorithm, a token bucket kept as one point in time. Its state is two integers, so that
//! a store can hold it in a row that all instances share.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much may leave: `burst` at once, `per_second` in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Requests per second.
    pub per_second: NonZeroU32,
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
}

/// What is remembered between two requests. The default is a full bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketState {
    /// When the bucket is full again, in nanoseconds since 1970.
    pub full_at_ns: i64,
    /// The latest time it was asked at, in milliseconds since 1970.
    pub seen_ms: i64,
}

/// A bucket of permits. In any span of time `t` it gives out at most `burst + per_second * t` of them. Time is the
/// latest that any of the instances sharing it has told, so clocks that lag by less than [`CLOCK_STEP_MS`] win nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The limit.
    pub rate: Rate,
    /// What to keep.
    pub state: BucketState,
}

const NS_PER_MS: i64 = 1_000_000;
const NS_PER_SECOND: u32 = 1_000_000_000;

/// How far back a clock may seem to go before it counts as set back. Below it, in milliseconds, two instances' clocks
/// merely differ and time stands still, which gives nothing away; above it, waiting for the old time to come again
/// could take hours, so the bucket follows the new time with its filling unchanged.
pub const CLOCK_STEP_MS: i64 = 10_000;

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate) -> Self {
        Self { rate, state: BucketState::default() }
    }

    /// Takes one permit, or says how long to wait before asking again; a refusal costs nothing.
    pub fn take(&mut self, now_ms: i64) -> Result<(), Duration> {
        let current = self.advance_to(now_ms);
        let allowed = self.state.full_at_ns.saturating_sub(self.tolerance_ns());
        if allowed > current {
            return Err(wait(allowed, nanoseconds(now_ms)));
        }
        self.state.full_at_ns = self.state.full_at_ns.max(current).saturating_add(self.interval_ns());
        Ok(())
    }

    /// How many permits there are, at least one, or how long until there is one. It takes none.
    pub fn look(&self, now_ms: i64) -> Result<u32, Duration> {
        let mut looked = *self;
        let current = looked.advance_to(now_ms);
        let allowed = looked.state.full_at_ns.saturating_sub(looked.tolerance_ns());
        if allowed > current {
            return Err(wait(allowed, nanoseconds(now_ms)));
        }
        let further = (current.saturating_sub(allowed)) / looked.interval_ns();
        let permits = u32::try_from(further.saturating_add(1)).unwrap_or(u32::MAX);
        Ok(permits.min(self.rate.burst.get()))
    }

    /// Gives out nothing before `until_ms`, and from then on only what `per_second` yields: for a 429. It never
    /// shortens a wait.
    pub fn drain_until(&mut self, until_ms: i64) {
        let drained_ns = nanoseconds(until_ms).saturating_add(self.tolerance_ns());
        self.state.full_at_ns = self.state.full_at_ns.max(drained_ns);
    }

    /// The time that counts, in nanoseconds: never earlier than the latest seen.
    fn advance_to(&mut self, now_ms: i64) -> i64 {
        let back_ms = self.state.seen_ms.saturating_sub(now_ms);
        if back_ms > CLOCK_STEP_MS {
            self.state.full_at_ns = self.state.full_at_ns.saturating_sub(nanoseconds(back_ms));
            self.state.seen_ms = now_ms;
        }
        self.state.seen_ms = self.state.seen_ms.max(now_ms);
        nanoseconds(self.state.seen_ms)
    }

    /// The time one permit takes to grow back, rounded up so that the limit is never exceeded.
    fn interval_ns(&self) -> i64 {
        i64::from(NS_PER_SECOND.div_ceil(self.rate.per_second.get()))
    }

    /// How far ahead of now `full_at_ns` may be for a permit to be there.
    fn tolerance_ns(&self) -> i64 {
        i64::from(self.rate.burst.get() - 1).saturating_mul(self.interval_ns())
    }
}

fn nanoseconds(milliseconds: i64) -> i64 {
    milliseconds.saturating_mul(NS_PER_MS)
}

/// From now to then in whole milliseconds, rounded up, so that asking again at the end of it succeeds.
fn wait(then_ns: i64, now_ns: i64) -> Duration {
    let ns = u64::try_from(then_ns.saturating_sub(now_ns)).unwrap_or(0);
    Duration::from_millis(ns.div_ceil(NS_PER_MS.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A moment of 2026, in milliseconds since 1970.
    const NOW: i64 = 1_767_225_600_000;

    fn bucket(per_second: u32, burst: u32) -> Bucket {
        let number = |n| NonZeroU32::new(n).unwrap();
        Bucket::new(Rate { per_second: number(per_second), burst: number(burst) })
    }

    fn taken(bucket: &mut Bucket, now_ms: i64) -> usize {
        std::iter::repeat_with(|| bucket.take(now_ms)).take_while(Result::is_ok).count()
    }

    #[test]
    fn a_burst_leaves_at_once_and_then_the_rate_holds() {
        let mut bucket = bucket(200, 1000);
        assert_eq!(taken(&mut bucket, NOW), 1000);
        assert_eq!(bucket.take(NOW), Err(Duration::from_millis(5)));
        assert_eq!(taken(&mut bucket, NOW + 1000), 200);
        assert_eq!(taken(&mut bucket, NOW + 3_600_000), 1000);
    }

    #[test]
    fn the_state_survives_a_restart_as_two_integers() {
        let mut before = bucket(200, 10);
        assert_eq!(taken(&mut before, NOW), 10);
        let row = serde_json::to_string(&before.state).unwrap();
        let mut after = Bucket { state: serde_json::from_str(&row).unwrap(), ..bucket(200, 10) };
        assert_eq!(taken(&mut after, NOW), 0);
    }

    #[test]
    fn a_drained_bucket_gives_nothing_until_the_time_and_no_burst_then() {
        let mut bucket = bucket(200, 1000);
        bucket.drain_until(NOW + 30_000);
        assert_eq!(bucket.take(NOW), Err(Duration::from_secs(30)));
        assert_eq!(taken(&mut bucket, NOW + 29_999), 0);
        assert_eq!(taken(&mut bucket, NOW + 30_000), 1);
        assert_eq!(taken(&mut bucket, NOW + 31_000), 200);
        bucket.drain_until(NOW);
        assert_eq!(taken(&mut bucket, NOW + 32_000), 200);
    }

    #[test]
    fn clocks_that_differ_a_little_yield_no_extra_permit() {
        let mut bucket = bucket(200, 10);
        assert_eq!(taken(&mut bucket, NOW), 10);
        for _ in 0..100 {
            assert_eq!(taken(&mut bucket, NOW - 500), 0);
            assert_eq!(taken(&mut bucket, NOW), 0);
        }
    }

    #[test]
    fn a_clock_set_back_by_hours_stalls_nobody() {
        let mut bucket = bucket(200, 10);
        assert_eq!(taken(&mut bucket, NOW), 10);
        let earlier = NOW - 7_200_000;
        assert_eq!(bucket.take(earlier), Err(Duration::from_millis(5)));
        assert_eq!(taken(&mut bucket, earlier + 50), 10);
    }

    #[test]
    fn absurd_times_do_not_panic() {
        for now in [i64::MIN, -1, 0, i64::MAX, i64::MIN, NOW] {
            let mut bucket = bucket(u32::MAX, u32::MAX);
            bucket.drain_until(now);
            let _ = bucket.take(i64::MAX);
            let _ = bucket.take(now);
        }
    }

    proptest! {
        #[test]
        fn no_window_of_time_sees_more_than_the_limit(
            per_second in 1_u32..2000,
            burst in 1_u32..50,
            steps in prop::collection::vec((0_i64..200, 1_usize..40, 0_i64..CLOCK_STEP_MS), 1..60),
        ) {
            let mut bucket = bucket(per_second, burst);
            let (mut now, mut given) = (NOW, Vec::new());
            for (step, asks, skew) in steps {
                now += step;
                // Every other request comes from an instance whose clock is behind.
                for ask in 0..asks {
                    let clock = if ask % 2 == 0 { now } else { now - skew };
                    if bucket.take(clock).is_ok() {
                        given.push(now);
                    }
                }
            }
            for (first, start) in given.iter().enumerate() {
                for (last, end) in given.iter().enumerate().skip(first) {
                    let count = i64::try_from(last - first + 1).unwrap();
                    let allowed_in_thousandths = i64::from(burst) * 1000 + i64::from(per_second) * (end - start);
                    prop_assert!(count * 1000 <= allowed_in_thousandths);
                }
            }
        }

        #[test]
        fn looking_tells_how_many_can_be_taken(
            per_second in 1_u32..5000,
            burst in 1_u32..50,
            steps in prop::collection::vec((0_i64..200, 0_usize..60), 1..40),
        ) {
            let (mut bucket, mut now) = (bucket(per_second, burst), NOW);
            for (step, asks) in steps {
                now += step;
                match bucket.look(now) {
                    Ok(permits) => prop_assert_eq!(taken(&mut bucket.clone(), now), permits as usize),
                    Err(wait) => prop_assert_eq!(bucket.clone().take(now), Err(wait)),
                }
                for _ in 0..asks {
                    let _ = bucket.take(now);
                }
            }
        }

        #[test]
        fn asking_again_after_the_wait_succeeds(
            per_second in 1_u32..5000,
            burst in 1_u32..50,
            clocks in prop::collection::vec(NOW - 100_000..NOW + 100_000, 1..60),
        ) {
            let mut bucket = bucket(per_second, burst);
            for now in clocks {
                if let Err(wait) = bucket.take(now) {
                    let again = now + i64::try_from(wait.as_millis()).unwrap();
                    prop_assert!(wait > Duration::ZERO);
                    prop_assert_eq!(bucket.take(again), Ok(()));
                }
            }
        }
    }
}
