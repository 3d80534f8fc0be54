//! Delivering events to handlers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::failures::Failures;
use super::pulse::Loop;
use super::settle::Settler;
use super::tempo::Tempo;
use super::{Shared, WorkRoute};
use crate::clock::Stopwatch;
use crate::connectly::message::Strictness;
use crate::handler::{reply, state};
use crate::ingest::handover::{Ahead, Born, Slot, give_back};
use crate::model::job::{Attempt, Lease, SoFar};
use crate::model::outcome::{HandlerError, HandlerResult, Outcome, Retry, StateChange};
use crate::store::work::{ClaimDeliveries, Delivery, LeasedJob, Settled, Settlement};

/// The most deliveries claimed at once: each holds its event in memory until its handler is done.
const LARGEST_CLAIM: usize = 128;

/// How long a job that was just committed, or claimed ahead, waits for a slot. With handlers that take longer than this it had better wait in the
/// queue, where every instance finds it.
pub(super) const SLOT_PATIENCE: Duration = Duration::from_millis(50);

/// Claims deliveries, takes those that were born leased, and runs their handlers.
#[derive(Clone)]
pub(super) struct Deliverer {
    shared: Arc<Shared>,
    routes: Arc<HashMap<String, Served>>,
    reclaiming: Arc<Semaphore>,
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

/// Held while a handler runs.
struct Running {
    _slot: Slot,
    _reclaim: Option<OwnedSemaphorePermit>,
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
        Self { shared, routes: Arc::new(routes), reclaiming, settler, tasks }
    }

    /// Claims whenever there may be work, until stopped.
    pub(super) async fn claim_all(self) {
        let mut reclaimed: Option<Stopwatch> = None;
        while !self.shared.shutdown.is_cancelled() {
            let mut begun = self.claim(false).await;
            // Leases end without anybody calling, so it is looked for them once a poll, and when somebody asks for all.
            let poll = self.shared.settings.poll;
            let due = reclaimed.is_none_or(|since| since.elapsed() >= poll);
            if self.shared.look_for_all.swap(false, Ordering::AcqRel) || due {
                let left_behind = self.claim(true).await;
                reclaimed = (left_behind == 0).then(|| self.shared.clock.stopwatch());
                begun += left_behind;
            }
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

    /// Begins what was committed for this process, until stopped; what comes then is given back.
    pub(super) async fn begin_born(self, mut born: mpsc::UnboundedReceiver<Born>) {
        let mut group = Vec::new();
        while self
            .shared
            .shutdown
            .run_until_cancelled(born.recv_many(&mut group, LARGEST_CLAIM))
            .await
            .is_some()
        {
            self.begin_group(std::mem::take(&mut group)).await;
        }
        born.close();
        while let Some(late) = born.recv().await {
            group.push(late);
        }
        let leases: Vec<Lease> = group.iter().map(|born| born.job.lease).collect();
        give_back(self.shared.store.as_ref(), &leases).await;
    }

    async fn begin_group(&self, group: Vec<Born>) {
        let jobs: Vec<LeasedJob> = group.iter().map(|born| born.job.clone()).collect();
        let deliveries = match self.shared.store.deliveries(&jobs).await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                tracing::warn!(error = %error, "what was just committed was not begun; it is claimed");
                self.shared.deliveries.notify_one();
                return;
            }
        };
        let mut places: HashMap<Lease, Born> = group.into_iter().map(|born| (born.job.lease, born)).collect();
        let mut late = Vec::new();
        for delivery in deliveries {
            let Some(Born { ahead, leased, .. }) = places.remove(&delivery.lease) else { continue };
            if self.is_late(leased) {
                late.push(delivery.lease);
            } else {
                self.begin_in_turn(delivery, leased, ahead);
            }
        }
        if !late.is_empty() {
            tracing::warn!(
                jobs = late.len(),
                "what was just committed was read too late to begin; it is claimed"
            );
            give_back(self.shared.store.as_ref(), &late).await;
            self.shared.deliveries.notify_one();
        }
    }

    /// Claims what fits into free slots, and what will soon, and starts it; answers how many.
    async fn claim(&self, reclaim: bool) -> usize {
        let Some(claim) = self.fitting(reclaim) else {
            return 0;
        };
        let watch = self.shared.clock.stopwatch();
        match self.shared.store.claim_deliveries(&claim).await {
            Ok(claimed) if !claimed.is_empty() && self.is_late(watch) => {
                tracing::warn!(jobs = claimed.len(), "a claim was answered too late to begin what it leased");
                let leases: Vec<Lease> = claimed.iter().map(|delivery| delivery.lease).collect();
                give_back(self.shared.store.as_ref(), &leases).await;
                0
            }
            Ok(claimed) => {
                self.note_behind(&claim, &claimed);
                let mut surplus = Vec::new();
                let begun = claimed.len();
                for delivery in claimed {
                    match self.room(&delivery.context.route, reclaim) {
                        Some(running) => self.begin(delivery, watch, running),
                        None => match self.place_ahead(&delivery.context.route, reclaim) {
                            Some(ahead) => self.begin_in_turn(delivery, watch, ahead),
                            // Something that was just committed took the slot meanwhile.
                            None => surplus.push(delivery.lease),
                        },
                    }
                }
                give_back(self.shared.store.as_ref(), &surplus).await;
                begun
            }
            Err(error) => {
                tracing::warn!(error = %error, "no deliveries were claimed");
                0
            }
        }
    }

    fn fitting(&self, reclaim: bool) -> Option<ClaimDeliveries> {
        let slots = &self.shared.slots;
        let in_claim = |slots: usize| u32::try_from(slots).unwrap_or(u32::MAX);
        let (mut routes, mut ahead_of_all) = (Vec::new(), 0);
        for (route, free) in slots.free_of_routes() {
            let ahead = if reclaim { 0 } else { self.ahead(route, free) };
            routes.push((route.to_owned(), in_claim(free + ahead)));
            ahead_of_all += ahead;
        }
        // The limit over all of them is used up from the front: in turn, so that busy routes do not starve the others.
        routes.shuffle(&mut rand::rng());
        let limit = if reclaim { self.reclaiming.available_permits() } else { LARGEST_CLAIM };
        let limit = in_claim((slots.free() + ahead_of_all).min(limit));
        let lease = self.shared.settings.lease;
        (limit > 0 && !routes.is_empty()).then_some(ClaimDeliveries { routes, limit, lease, reclaim })
    }

    /// How many more of a route may be claimed than it has free slots: a claim takes longer than a quick handler.
    fn ahead(&self, route: &str, free: usize) -> usize {
        let of_tempo = self.routes.get(route).map_or(0, |served| served.tempo.ahead(free));
        of_tempo.min(self.shared.slots.free_ahead(route))
    }

    /// A place in which a claimed job waits for a slot. Of slow handlers none is free soon.
    fn place_ahead(&self, route: &str, reclaim: bool) -> Option<Ahead> {
        if reclaim || self.ahead(route, 1) == 0 { None } else { self.shared.slots.ahead(route) }
    }

    /// A claim that found less than fits has caught up with its routes.
    fn note_behind(&self, claim: &ClaimDeliveries, claimed: &[Delivery]) {
        if claim.reclaim || claimed.len() >= claim.limit as usize {
            return;
        }
        for (route, slots) in &claim.routes {
            let found = claimed.iter().filter(|delivery| delivery.context.route == *route).count();
            if found < *slots as usize {
                self.shared.slots.set_behind(route, false);
            }
        }
    }

    fn room(&self, route: &str, reclaim: bool) -> Option<Running> {
        let slot = self.shared.slots.take(route)?;
        let of_reclaim =
            reclaim.then(|| Arc::clone(&self.reclaiming).try_acquire_owned()).transpose().ok()?;
        Some(Running { _slot: slot, _reclaim: of_reclaim })
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
            return self.begin(delivery, leased, Running { _slot: slot, _reclaim: None });
        }
        let deliverer = self.clone();
        self.tasks.spawn(async move {
            let Shared { slots, store, settings, deliveries, .. } = &*deliverer.shared;
            let route = &delivery.context.route;
            if let Some(slot) = slots.wait(route, SLOT_PATIENCE.min(settings.lease / 4)).await {
                deliverer.begin(delivery, leased, Running { _slot: slot, _reclaim: None });
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
            let settlement = work(&shared, served, delivery, leased).await;
            // Free before it is settled: the next claim finds the slot when the settlement has released the lane.
            drop(running);
            if let Some(settlement) = settlement {
                settler.settle(settlement);
            }
        });
    }
}

/// Runs the handler and decides what follows; nothing does when the process was stopped meanwhile.
async fn work(shared: &Shared, served: &Served, delivery: Delivery, leased: Stopwatch) -> Option<Settlement> {
    let Served { route, failures, tempo } = served;
    let at = shared.clock.now();
    let watch = shared.clock.stopwatch();
    let (lease, attempt, first) = (delivery.lease, delivery.context.attempt, delivery.first_attempt_at);
    let result = if attempt > route.retry.attempts {
        let reason =
            "its attempts are used up: its worker was lost at the last, or `retry.attempts` was lowered";
        Err(HandlerError::fail(reason))
    } else {
        let result = run(shared, route, delivery, leased)
            .await?
            .and_then(|outcome| checked(outcome, &route.name, shared.settings.strictness));
        tempo.note(watch.elapsed());
        failures.note(&route.name, &result);
        result
    };
    shared.metrics.handler_ran(&route.name, watch.elapsed());
    let age = Duration::try_from(shared.clock.now().duration_since(first)).unwrap_or_default();
    let (resolution, outcome, detail) = resolve(served, result, attempt, age);
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
    served: &Served,
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
    let so_far = SoFar { tried: attempt, age, asked, only_fails: served.failures.are_all_there_is() };
    match served.route.retry.next(so_far, rand::random()) {
        Some(delay) => (Settled::Retry(delay), "retry", Some(error.reason)),
        None => (Settled::Park, "parked", Some(error.reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::{AnyHandler, Handler};
    use crate::model::context::Context;
    use crate::model::event::Event;
    use crate::model::job::RetryPolicy;

    struct Away;

    impl Handler for Away {
        async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
            Err(HandlerError::retry("away"))
        }
    }

    #[test]
    fn a_route_that_only_fails_tries_again_later() {
        let route = WorkRoute {
            name: "desk".to_owned(),
            handler: AnyHandler::new(Away),
            timeout: Duration::from_secs(1),
            concurrency: 1,
            retry: RetryPolicy::default(),
        };
        let served = Served::new(route);
        let delay = || match resolve(&served, Err(HandlerError::retry("away")), 1, Duration::ZERO) {
            (Settled::Retry(delay), "retry", _) => delay,
            other => panic!("{other:?}"),
        };
        assert!(delay() <= Duration::from_secs(1));
        for _ in 0..100 {
            served.failures.note("desk", &Err(HandlerError::retry("away")));
        }
        assert!(delay() >= Duration::from_secs(5));
    }
}
