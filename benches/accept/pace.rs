//! How long and how often is measured.

use std::time::Duration;

/// How long and how often each point is measured.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Counted runs of each point; the median is quoted.
    pub(crate) runs: usize,
    /// Before each counted run.
    pub(crate) warm_up: Duration,
    /// Each counted run.
    pub(crate) length: Duration,
}

/// What is quoted.
const FULL: Pace = Pace { runs: 3, warm_up: Duration::from_millis(700), length: Duration::from_secs(3) };
/// Only shows that everything works; its figures mean nothing.
const SMOKE: Pace = Pace { runs: 2, warm_up: Duration::from_millis(100), length: Duration::from_millis(300) };

impl Pace {
    #[allow(clippy::disallowed_methods, reason = "how `scripts/bench` is asked to be short")]
    pub(crate) fn from_environment() -> Self {
        if std::env::var_os("SWITCHBOARD_BENCH_SMOKE").is_some() { SMOKE } else { FULL }
    }
}
