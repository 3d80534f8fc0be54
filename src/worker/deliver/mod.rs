//! Delivering events to handlers.

mod attempt;
mod claim;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::failures::Failures;
use super::settle::Settler;
use super::tempo::Tempo;
use super::{Shared, WorkRoute};
use crate::clock::Stopwatch;
use crate::ingest::handover::{Born, give_back};
use crate::ingest::slots::{Ahead, Slot};
use crate::model::job::Lease;
use crate::store::work::{Delivery, LeasedJob};

/// The most deliveries that are claimed or read at once: each holds its event in memory until its handler is done.
const LARGEST_GROUP: usize = 128;

/// How long a job that was just committed, or claimed ahead, waits for a slot. With handlers that take longer than this it had
/// better wait in the queue, where every instance finds it.
pub(super) const SLOT_PATIENCE: Duration = Duration::from_millis(50);

/// Claims deliveries, takes those that were born leased, and runs their handlers.
#[derive(Clone)]
pub(super) struct Deliverer {
    shared: Arc<Shared>,
    routes: Arc<HashMap<String, Served>>,
    reclaiming: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    settler: Settler,
    tasks: TaskTracker,
}

/// A route with what this process has seen of it.
struct Served {
    route: WorkRoute,
    failures: Failures,
    tempo: Tempo,
}

impl Served {
    fn new(route: WorkRoute) -> Self {
        Self { route, failures: Failures::default(), tempo: Tempo::default() }
    }
}

/// A leased job on its way to its handler.
struct Leased {
    job: LeasedJob,
    place: Place,
    /// Since before it was leased.
    since: Stopwatch,
}

/// What a job holds on its way.
enum Place {
    /// It can begin.
    Slot(Running),
    /// It waits for a slot.
    Ahead(Ahead),
}

/// Held while a handler runs.
struct Running {
    slot: Slot,
    /// For a job that was left behind.
    reclaim: Option<OwnedSemaphorePermit>,
}

impl From<Born> for Leased {
    fn from(Born { job, ahead, leased }: Born) -> Self {
        Self { job, place: Place::Ahead(ahead), since: leased }
    }
}

impl Deliverer {
    pub(super) fn new(
        shared: Arc<Shared>,
        routes: Vec<WorkRoute>,
        settler: Settler,
        tasks: TaskTracker,
    ) -> Self {
        let served = |route: WorkRoute| (route.name.clone(), Served::new(route));
        let routes = routes.into_iter().map(served).collect();
        // One at a time: if a job kills the process, only that one uses up its attempts.
        let reclaiming = Arc::new(Semaphore::new(1));
        let reading = Arc::new(Semaphore::new(1));
        Self { shared, routes: Arc::new(routes), reclaiming, reading, settler, tasks }
    }

    /// Begins what was committed for this process, until stopped; what comes then is given back.
    pub(super) async fn begin_born(self, mut born: mpsc::UnboundedReceiver<Born>) {
        let mut group = Vec::new();
        while self
            .shared
            .shutdown
            .run_until_cancelled(born.recv_many(&mut group, LARGEST_GROUP))
            .await
            .is_some()
        {
            let begun = self.begin_group(group.drain(..).map(Leased::from).collect()).await;
            if begun.is_err() {
                self.shared.deliveries.notify_one();
            }
        }
        born.close();
        while let Some(late) = born.recv().await {
            group.push(late);
        }
        let leases: Vec<Lease> = group.iter().map(|born| born.job.lease).collect();
        give_back(self.shared.store.as_ref(), &leases).await;
    }

    /// Reads what leased jobs need, and begins them. What could not be read is given back, and answered with its places.
    async fn begin_group(&self, group: Vec<Leased>) -> Result<(), Vec<Leased>> {
        let jobs: Vec<LeasedJob> = group.iter().map(|leased| leased.job.clone()).collect();
        let deliveries = match self.shared.store.deliveries(&jobs).await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                tracing::warn!(error = %error, "what was leased could not be read; it is claimed again");
                let leases: Vec<Lease> = jobs.iter().map(|job| job.lease).collect();
                give_back(self.shared.store.as_ref(), &leases).await;
                return Err(group);
            }
        };
        let mut places: HashMap<Lease, (Place, Stopwatch)> =
            group.into_iter().map(|leased| (leased.job.lease, (leased.place, leased.since))).collect();
        let (mut late, mut stopped) = (Vec::new(), Vec::new());
        for delivery in deliveries {
            let Some((place, since)) = places.remove(&delivery.lease) else { continue };
            match place {
                _ if self.shared.shutdown.is_cancelled() => stopped.push(delivery.lease),
                _ if self.is_late(since) => late.push(delivery.lease),
                Place::Slot(running) => self.begin(delivery, since, running),
                Place::Ahead(ahead) => self.begin_in_turn(delivery, since, ahead),
            }
        }
        give_back(self.shared.store.as_ref(), &stopped).await;
        if !late.is_empty() {
            tracing::warn!(
                jobs = late.len(),
                "what was leased was read too late to begin; it is claimed again"
            );
            give_back(self.shared.store.as_ref(), &late).await;
            self.shared.deliveries.notify_one();
        }
        Ok(())
    }

    /// Whether a lease that was asked for at `since` is over or nearly so: this process stood still, or the store did, and
    /// somebody else will soon be at work.
    fn is_late(&self, since: Stopwatch) -> bool {
        since.elapsed() >= self.shared.settings.lease / 2
    }

    /// Begins when there is a slot. When there is none for too long the job is given back, and its route is behind.
    fn begin_in_turn(&self, delivery: Delivery, leased: Stopwatch, ahead: Ahead) {
        let route = &delivery.context.route;
        if let Some(slot) = self.shared.slots.take(route) {
            return self.begin(delivery, leased, Running { slot, reclaim: None });
        }
        let deliverer = self.clone();
        self.tasks.spawn(async move {
            let Shared { slots, store, settings, deliveries, shutdown, .. } = &*deliverer.shared;
            let route = &delivery.context.route;
            let slot = slots.wait(route, SLOT_PATIENCE.min(settings.lease / 4)).await;
            if let Some(slot) = slot.filter(|_| !shutdown.is_cancelled()) {
                deliverer.begin(delivery, leased, Running { slot, reclaim: None });
                return drop(ahead);
            }
            slots.set_behind(route, true);
            give_back(store.as_ref(), &[delivery.lease]).await;
            drop(ahead);
            deliveries.notify_one();
        });
    }

    fn begin(&self, delivery: Delivery, leased: Stopwatch, running: Running) {
        self.shared.pulse.begin();
        let deliverer = self.clone();
        self.tasks.spawn(async move {
            let Self { shared, routes, settler, .. } = deliverer;
            // Only jobs of routes that have slots are leased.
            let Some(served) = routes.get(&delivery.context.route) else { return shared.pulse.end() };
            let settlement = attempt::work(&shared, served, delivery, leased).await;
            let Running { slot, reclaim } = running;
            drop(reclaim);
            // Free before it is settled: the next claim finds the slot when the settlement has released the lane.
            let unsettled = slot.end();
            if let Some(settlement) = settlement {
                settler.settle(settlement, unsettled);
            }
        });
    }
}
