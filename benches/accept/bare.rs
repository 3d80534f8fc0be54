//! The product's own verb without HTTP: groups of arrivals committed one after the other, read beforehand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard::clock::Clock;
use switchboard::store::arrival::Arrival;
use switchboard::store::{OpenOptions, Store, open};

use crate::beforehand;
use crate::load::{self, Run};
use crate::pace::Pace;

/// Arrivals that are read at a time, while the time does not count.
const READ_AHEAD: usize = 2048;
/// As many as the product has; one of them is used.
const CONNECTIONS: u32 = 8;

/// Commits groups of so many. The latency is that of a commit.
///
/// On threads of its own, as many as the product has: there, too, a worker of the runtime commits.
pub(crate) fn measure(database: &str, group: usize, pace: Pace) -> Run {
    std::thread::scope(|scope| scope.spawn(|| in_runtime(database, group, pace)).join().unwrap())
}

fn in_runtime(database: &str, group: usize, pace: Pace) -> Run {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let clock = Clock::system();
    let options = OpenOptions { migrate: true, connections: CONNECTIONS };
    let store = runtime.block_on(open(database, &options, clock.clone())).unwrap();
    let committing = runtime.spawn(commit(Arc::clone(&store), clock, group, pace));
    let run = runtime.block_on(committing).unwrap();
    runtime.block_on(store.close());
    run
}

async fn commit(store: Arc<dyn Store>, clock: Clock, group: usize, pace: Pace) -> Run {
    commit_for(store.as_ref(), &clock, group, pace.warm_up).await;
    let mut commits = commit_for(store.as_ref(), &clock, group, pace.length).await;
    let took = commits.iter().sum();
    let events = commits.len() * group;
    load::figures(&mut commits, events, took)
}

/// Commits until that took so long in all; answers how long each commit took.
#[allow(clippy::disallowed_methods, reason = "a measurement reads the time")]
async fn commit_for(store: &dyn Store, clock: &Clock, group: usize, length: Duration) -> Vec<Duration> {
    let (mut commits, mut took) = (Vec::new(), Duration::ZERO);
    while took < length {
        let ahead: Vec<Arrival> = (0..READ_AHEAD).map(|_| beforehand::arrival(clock)).collect();
        for group in ahead.chunks_exact(group) {
            let began = Instant::now();
            store.commit(group).await.unwrap();
            let commit = began.elapsed();
            took += commit;
            commits.push(commit);
            if took >= length {
                break;
            }
        }
    }
    commits
}
