//! Asking: lists with their filters and pages, single things, and what a person does with a job.

mod conversations;
mod events;
mod jobs;
mod messages;
mod states;
mod stats;

use std::fmt::Debug;
use std::time::Duration;

const ID: &str = "01K00000000000000000000001";
const SECOND: Duration = Duration::from_secs(1);

fn newest_first<T: Ord + Copy + Debug>(ids: &[T]) {
    assert!(ids.is_sorted_by(|one, two| one > two), "{ids:?}");
}
