//! `[worker]`: how jobs are worked on.

use std::time::Duration;

use serde::Serialize;

use super::section::Section;
use super::shown;

/// How this process works on jobs.
#[derive(Debug, Clone, Serialize)]
pub struct WorkerConfig {
    /// The most handlers that run at a time, over all routes; one of them is each route's own.
    pub concurrency: usize,
    /// How long a claimed job stays claimed when its process says no more; the time to recover from a crash.
    #[serde(serialize_with = "shown::duration")]
    pub lease: Duration,
    /// How often to look for jobs that nothing in this process announced.
    #[serde(serialize_with = "shown::duration")]
    pub poll: Duration,
    /// How long a stopping process waits for running work.
    #[serde(serialize_with = "shown::duration")]
    pub drain: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 64,
            lease: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            // The longest send, 5 s to connect and 30 s for its answer, and time to settle it.
            drain: Duration::from_secs(40),
        }
    }
}

impl WorkerConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            concurrency: section.integer("concurrency", 1..=4096).unwrap_or(default.concurrency),
            lease: section
                .duration("lease", Duration::from_secs(1)..=Duration::from_mins(10))
                .unwrap_or(default.lease),
            poll: section
                .duration("poll", Duration::from_millis(10)..=Duration::from_mins(1))
                .unwrap_or(default.poll),
            drain: section
                .duration("drain", Duration::ZERO..=Duration::from_mins(10))
                .unwrap_or(default.drain),
        }
    }
}
