//! Delivering events to handlers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::pulse::Loop;
use super::settle::Settler;
use super::{Shared, WorkRoute};
use crate::clock::Stopwatch;
use crate::connectly::message::Strictness;
use crate::handler::{reply, state};
use crate::model::job::{Attempt, Lease};
use crate::model::outcome::{HandlerError, HandlerResult, Outcome, Retry, StateChange};
use crate::store::work::{ClaimDeliveries, Delivery, Settled, Settlement};

/// The most deliveries claimed at once: each holds its event in memory until its handler is done.
const LARGEST_CLAIM: usize = 128;

/// Claims deliveries and runs their handlers.
pub(super) struct Deliverer {
    shared: Arc<Shared>,
    routes: HashMap<String, Arc<RouteSlots>>,
    slots: Arc<Semaphore>,
    reclaiming: Arc<Semaphore>,
    settler: Settler,
    tasks: TaskTracker,
}

struct RouteSlots {
    route: WorkRoute,
    slots: Arc<Semaphore>,
}

/// Held while a handler runs: a slot of its own route, and one of all.
struct Slot {
    _route: OwnedSemaphorePermit,
    _any: OwnedSemaphorePermit,
    _reclaim: Option<OwnedSemaphorePermit>,
}

impl Deliverer {
    pub(super) fn new(
        shared: Arc<Shared>,
        routes: Vec<WorkRoute>,
        settler: Settler,
        tasks: TaskTracker,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(shared.settings.concurrency));
        let with_slots = |route: WorkRoute| {
            let slots = Arc::new(Semaphore::new(route.concurrency));
            (route.name.clone(), Arc::new(RouteSlots { route, slots }))
        };
        let routes = routes.into_iter().map(with_slots).collect();
        // One at a time: if a job kills the process, only that one uses up its attempts.
        let reclaiming = Arc::new(Semaphore::new(1));
        Self { shared, routes, slots, reclaiming, settler, tasks }
    }

    /// Claims whenever there may be work, until stopped.
    pub(super) async fn run(self) {
        while !self.shared.shutdown.is_cancelled() {
            let begun = self.claim(false).await + self.claim(true).await;
            self.shared.pulse.pass(Loop::Deliveries, begun);
            if begun > 0 {
                continue;
            }
            tokio::select! {
                () = self.shared.deliveries.notified() => {}
                () = tokio::time::sleep(self.shared.settings.poll) => {}
                () = self.shared.shutdown.cancelled() => {}
            }
        }
    }

    /// Claims what fits into free slots and starts it; answers how many.
    async fn claim(&self, reclaim: bool) -> usize {
        let Some(claim) = self.fitting(reclaim) else {
            return 0;
        };
        let watch = self.shared.clock.stopwatch();
        match self.shared.store.claim_deliveries(&claim).await {
            // This process stood still, or the store did: the leases are over or nearly so, and somebody else will soon be
            // at work.
            Ok(claimed) if !claimed.is_empty() && watch.elapsed() >= claim.lease / 2 => {
                tracing::warn!(jobs = claimed.len(), "a claim was answered too late to begin what it leased");
                // Never begun, so no attempt: or a slow store would use them up.
                let leases: Vec<Lease> = claimed.iter().map(|delivery| delivery.lease).collect();
                if let Err(error) = self.shared.store.release(&leases).await {
                    tracing::warn!(error = %error, "what was not begun could not be given back; its leases end");
                }
                0
            }
            Ok(claimed) => {
                let begun = claimed.len();
                for delivery in claimed {
                    self.begin(delivery, watch, reclaim).await;
                }
                begun
            }
            Err(error) => {
                tracing::warn!(error = %error, "no deliveries were claimed");
                0
            }
        }
    }

    fn fitting(&self, reclaim: bool) -> Option<ClaimDeliveries> {
        let free = |(name, route): (&String, &Arc<RouteSlots>)| {
            let slots = u32::try_from(route.slots.available_permits()).unwrap_or(u32::MAX);
            (slots > 0).then(|| (name.clone(), slots))
        };
        let mut routes: Vec<_> = self.routes.iter().filter_map(free).collect();
        // The limit over all of them is used up from the front: in turn, so that busy routes do not starve the others.
        routes.shuffle(&mut rand::rng());
        let limit = if reclaim { self.reclaiming.available_permits() } else { LARGEST_CLAIM };
        let limit = u32::try_from(self.slots.available_permits().min(limit)).unwrap_or(u32::MAX);
        let lease = self.shared.settings.lease;
        (limit > 0 && !routes.is_empty()).then_some(ClaimDeliveries { routes, limit, lease, reclaim })
    }

    async fn begin(&self, delivery: Delivery, leased: Stopwatch, reclaimed: bool) {
        let Some(route) = self.routes.get(&delivery.context.route).cloned() else {
            return;
        };
        // Only this loop takes permits, and it claimed no more than were free.
        let (Ok(of_route), Ok(of_all)) =
            (Arc::clone(&route.slots).acquire_owned().await, Arc::clone(&self.slots).acquire_owned().await)
        else {
            return;
        };
        let of_reclaim =
            if reclaimed { Arc::clone(&self.reclaiming).acquire_owned().await.ok() } else { None };
        let slot = Slot { _route: of_route, _any: of_all, _reclaim: of_reclaim };
        self.shared.pulse.begin();
        let (shared, settler) = (Arc::clone(&self.shared), self.settler.clone());
        self.tasks.spawn(async move {
            let settlement = work(&shared, &route.route, delivery, leased).await;
            // Free before it is settled: the next claim finds the slot when the settlement has released the lane.
            drop(slot);
            if let Some(settlement) = settlement {
                settler.settle(settlement);
            }
        });
    }
}

/// Runs the handler and decides what follows; nothing does when the process was stopped meanwhile.
async fn work(
    shared: &Shared,
    route: &WorkRoute,
    delivery: Delivery,
    leased: Stopwatch,
) -> Option<Settlement> {
    let at = shared.clock.now();
    let watch = shared.clock.stopwatch();
    let (lease, attempt, first) = (delivery.lease, delivery.context.attempt, delivery.first_attempt_at);
    let result = if attempt > route.retry.attempts {
        let reason = "its worker was lost at every attempt";
        Err(HandlerError::fail(reason))
    } else {
        run(shared, route, delivery, leased)
            .await?
            .and_then(|outcome| checked(outcome, &route.name, shared.settings.strictness))
    };
    shared.metrics.handler_ran(&route.name, watch.elapsed());
    let age = Duration::try_from(shared.clock.now().duration_since(first)).unwrap_or_default();
    let (resolution, outcome, detail) = resolve(route, result, attempt, age);
    shared.metrics.delivery(&route.name, outcome);
    let attempt = Attempt {
        number: i64::from(attempt),
        at,
        duration_ms: watch.elapsed_ms(),
        outcome: outcome.to_owned(),
        detail,
    };
    Some(Settlement { lease, attempt, resolution })
}

/// Runs the handler in a task of its own, so that a panic or a hang harms nobody else.
async fn run(
    shared: &Shared,
    route: &WorkRoute,
    delivery: Delivery,
    leased: Stopwatch,
) -> Option<HandlerResult> {
    let lease = delivery.lease;
    let handler = route.handler.clone();
    let running = tokio::spawn(async move { handler.handle(&delivery.event, &delivery.context).await });
    let abort = running.abort_handle();
    shared.held.hold(lease, leased, Some(abort.clone()));
    Some(match tokio::time::timeout(route.timeout, running).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) if error.is_panic() => Err(HandlerError::retry("the handler panicked")),
        // The job has been given back, or taken over: it is somebody else's to settle.
        Ok(Err(_)) if shared.shutdown.is_cancelled() => return None,
        Ok(Err(_)) => Err(HandlerError::retry("the lease was lost while the handler ran")),
        Err(_) => {
            abort.abort();
            Err(HandlerError::retry(format!("the handler ran longer than {:?}", route.timeout)))
        }
    })
}

/// A reply that WhatsApp would refuse is the handler's mistake, which no retry mends.
fn checked(mut outcome: Outcome, route: &str, strictness: Strictness) -> HandlerResult {
    let (replies, warnings) = reply::check(outcome.replies, strictness).map_err(HandlerError::fail)?;
    for warning in warnings {
        tracing::warn!(route.name = route, %warning, "a reply is over a limit of WhatsApp's");
    }
    outcome.replies = replies;
    if let StateChange::Set(state) = &outcome.state {
        state::check(state).map_err(HandlerError::fail)?;
    }
    Ok(outcome)
}

fn resolve(
    route: &WorkRoute,
    result: HandlerResult,
    attempt: u32,
    age: Duration,
) -> (Settled, &'static str, Option<String>) {
    let error = match result {
        Ok(mut outcome) => {
            let note = outcome.note.take();
            return (Settled::Done(outcome), "done", note);
        }
        Err(error) => error,
    };
    let asked = match error.retry {
        Retry::Never => return (Settled::Park, "parked", Some(error.reason)),
        Retry::After(delay) => Some(delay),
        Retry::Backoff => None,
    };
    match route.retry.next(attempt, age, asked, rand::random()) {
        Some(delay) => (Settled::Retry(delay), "retry", Some(error.reason)),
        None => (Settled::Park, "parked", Some(error.reason)),
    }
}
