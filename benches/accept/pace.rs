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
    /// The events that are stored before it is measured what is accepted beside them; on SQLite a tenth.
    pub(crate) stored_events: u64,
}

/// What is quoted.
const FULL: Pace = Pace {
    runs: 3,
    warm_up: Duration::from_millis(700),
    length: Duration::from_secs(3),
    steady: Duration::from_mins(10),
    waiting_jobs: 1_000_000,
    stored_events: 10_000_000,
};
/// Only shows that everything works; its figures mean nothing.
const SMOKE: Pace = Pace {
    runs: 2,
    warm_up: Duration::from_millis(100),
    length: Duration::from_millis(300),
    steady: Duration::from_secs(2),
    waiting_jobs: 2_000,
    stored_events: 10_000,
};

impl Pace {
    #[allow(clippy::disallowed_methods, reason = "how `scripts/bench` is asked to be short")]
    pub(crate) fn from_environment() -> Self {
        let pace = if std::env::var_os("SWITCHBOARD_BENCH_SMOKE").is_some() { SMOKE } else { FULL };
        let number = |variable| std::env::var(variable).ok().map(|text: String| text.parse().unwrap());
        let jobs = number("SWITCHBOARD_BENCH_JOBS").map(|jobs| usize::try_from(jobs).unwrap());
        Self {
            waiting_jobs: jobs.unwrap_or(pace.waiting_jobs),
            stored_events: number("SWITCHBOARD_BENCH_EVENTS").unwrap_or(pace.stored_events),
            ..pace
        }
    }
}
