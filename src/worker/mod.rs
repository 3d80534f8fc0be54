//! Doing the work: claiming jobs, running handlers, sending messages, settling what came of them.
//!
//! Two loops, one for each kind of job, share everything else: leases that are renewed while work goes on, settling that is
//! tried until the store has it, a sweep for what time settles. Nothing here retries by itself: a retry is a row in the
//! queue.

mod deliver;
mod failures;
mod held;
mod pace;
mod pulse;
mod rounds;
mod send;
mod settle;
mod tempo;
#[cfg(test)]
mod tests;
mod upkeep;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::deliver::Deliverer;
use self::held::Held;
use self::pulse::Pulse;
use self::send::Sender;
use crate::clock::Clock;
use crate::connectly::client::Client;
use crate::connectly::message::Strictness;
use crate::connectly::throttle::Rate;
use crate::handler::AnyHandler;
use crate::ingest::handover::Handover;
use crate::ingest::slots::Slots;
use crate::model::job::RetryPolicy;
use crate::model::retention::Retention;
use crate::store::Store;
use crate::telemetry::Metrics;

/// How long giving back what was cut off may take: one statement, in the second that a stop may last over its limit.
const RELEASE_LIMIT: Duration = Duration::from_millis(400);

/// What a worker needs to know of a route.
#[derive(Debug, Clone)]
pub struct WorkRoute {
    /// Its name.
    pub name: String,
    /// Its handler.
    pub handler: AnyHandler,
    /// The longest a handler may run.
    pub timeout: Duration,
    /// The most handlers that run at a time.
    pub concurrency: usize,
    /// How it retries.
    pub retry: RetryPolicy,
}

/// What a worker needs to know of an account.
#[derive(Debug, Clone)]
pub struct WorkAccount {
    /// Sends its messages.
    pub client: Client,
    /// What Connectly allows it.
    pub rate: Rate,
}

/// Who tells a worker that there may be something to do.
#[derive(Debug, Clone, Default)]
pub struct Wakes {
    /// Called when there may be deliveries.
    pub deliveries: Arc<Notify>,
    /// Called when there may be sends.
    pub sends: Arc<Notify>,
}

/// The limits of a worker.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The most handlers that run at a time, over all routes.
    pub concurrency: usize,
    /// How long a lease lasts; it is renewed at a third of that.
    pub lease: Duration,
    /// How often to look for work that nobody announced.
    pub poll: Duration,
    /// How long to wait for running work when stopping.
    pub drain: Duration,
    /// Kept before the window's end.
    pub window_margin: Duration,
    /// The most replies per conversation and minute.
    pub replies_per_minute: u32,
    /// What is done about WhatsApp's limits that Connectly does not state.
    pub strictness: Strictness,
    /// How long things are kept.
    pub retention: Retention,
}

/// What the loops share.
struct Shared {
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Arc<Metrics>,
    settings: Settings,
    held: Held,
    slots: Arc<Slots>,
    pulse: Pulse,
    /// Called when there may be deliveries.
    deliveries: Arc<Notify>,
    /// Set by whoever wants everything claimed that is due, also what was left behind by a lease that ended.
    look_for_all: AtomicBool,
    /// Called when there may be sends.
    sends: Arc<Notify>,
    shutdown: CancellationToken,
}

/// A running worker.
pub struct Worker {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    handover: Handover,
}

impl Worker {
    /// Starts claiming. `deliveries` is called by whoever commits jobs that are not handed over.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Clock,
        metrics: Arc<Metrics>,
        settings: Settings,
        routes: Vec<WorkRoute>,
        accounts: HashMap<String, WorkAccount>,
        wakes: Wakes,
    ) -> Self {
        let Wakes { deliveries, sends } = wakes;
        let of_routes = routes.iter().map(|route| (route.name.clone(), route.concurrency));
        let slots = Arc::new(Slots::new(settings.concurrency, of_routes));
        let (handover, born) = Handover::new(Arc::clone(&slots), settings.lease);
        let shared = Arc::new(Shared {
            store,
            clock,
            metrics,
            settings,
            held: Held::default(),
            pulse: Pulse::new(Arc::clone(&slots)),
            slots,
            deliveries,
            look_for_all: AtomicBool::new(false),
            sends,
            shutdown: CancellationToken::new(),
        });
        let tasks = TaskTracker::new();
        let names = routes.iter().map(|route| route.name.clone()).collect();
        let senders = accounts.keys().cloned().collect();
        let (settler, settling) = settle::channel(Arc::clone(&shared));
        tasks.spawn(settling.run());
        let deliverer = Deliverer::new(Arc::clone(&shared), routes, settler, tasks.clone());
        tasks.spawn(deliverer.clone().begin_born(born));
        tasks.spawn(deliverer.claim_all());
        tasks.spawn(Sender::new(Arc::clone(&shared), accounts, tasks.clone()).run());
        tasks.spawn(held::renew(Arc::clone(&shared)));
        tasks.spawn(held::expire(Arc::clone(&shared)));
        tasks.spawn(upkeep::keep(Arc::clone(&shared)));
        tasks.spawn(upkeep::run(Arc::clone(&shared), names, senders));
        Self { shared, tasks, handover }
    }

    /// Where whoever commits jobs hands over those that can begin at once.
    pub fn handover(&self) -> Handover {
        self.handover.clone()
    }

    /// Looks for work now, for whoever made some due.
    pub fn wake(&self) {
        self.shared.look_for_all.store(true, Ordering::Release);
        self.shared.deliveries.notify_one();
        self.shared.sends.notify_one();
    }

    /// Waits until nothing is claimable and nothing is running.
    pub async fn idle(&self) {
        self.shared.pulse.idle(|| self.wake()).await;
    }

    /// Stops claiming, lets running work finish within the drain time, and settles it. What is cut off then is given back, so
    /// that another instance takes it at once; a message that has left keeps its fence.
    pub async fn stop(self) {
        self.shared.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.shared.settings.drain, self.tasks.wait()).await.is_ok() {
            return;
        }
        let unfinished = self.shared.held.abandon();
        for lease in &unfinished {
            tracing::warn!(job.id = %lease.job, "work was cut off at the drain limit");
        }
        let released = self.shared.store.release(&unfinished);
        if !matches!(tokio::time::timeout(RELEASE_LIMIT, released).await, Ok(Ok(()))) {
            tracing::warn!("what was cut off could not be given back; its leases end by themselves");
        }
    }
}
