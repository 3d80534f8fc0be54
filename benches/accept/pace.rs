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
    /// The long run, by itself.
    pub(crate) steady: Duration,
    /// The jobs that wait when a process starts to work them off.
    pub(crate) waiting_jobs: usize,
}

/// What is quoted.
const FULL: Pace = Pace {
    runs: 3,
    warm_up: Duration::from_millis(700),
    length: Duration::from_secs(3),
    steady: Duration::from_mins(10),
    waiting_jobs: 1_000_000,
};
/// Only shows that everything works; its figures mean nothing.
const SMOKE: Pace = Pace {
    runs: 2,
    warm_up: Duration::from_millis(100),
    length: Duration::from_millis(300),
    steady: Duration::from_secs(2),
    waiting_jobs: 2_000,
};

impl Pace {
    #[allow(clippy::disallowed_methods, reason = "how `scripts/bench` is asked to be short")]
    pub(crate) fn from_environment() -> Self {
        let pace = if std::env::var_os("SWITCHBOARD_BENCH_SMOKE").is_some() { SMOKE } else { FULL };
        let jobs = std::env::var("SWITCHBOARD_BENCH_JOBS").ok().map(|jobs| jobs.parse().unwrap());
        Self { waiting_jobs: jobs.unwrap_or(pace.waiting_jobs), ..pace }
    }
}
