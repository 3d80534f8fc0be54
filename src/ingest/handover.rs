//! The short way from a commit to its handlers: jobs that are born leased to this process begin without being claimed.
//!
//! A few times as many jobs of a route may be on this way as handlers of it may run, since groups are committed and read
//! meanwhile. Each waits for a slot then, and is given back when there is none for too long. What finds no place on the way waits
//! in the queue like any other, and from then on everything of its route does, until whoever claims has caught up: what came
//! later does not go first.
//!
//! What whoever claims takes ahead of the slots waits for them in the same places.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::clock::Stopwatch;
use crate::model::job::Lease;
use crate::store::Store;
use crate::store::arrival::Arrival;
use crate::store::work::{LeasedJob, Offer};

/// While handlers of one group run, the next is read, another is being committed, and one more comes together.
pub const AHEAD_OF_EACH_SLOT: usize = 4;

/// How many handlers may run: of each route, and over all of them.
///
/// One slot of each route is its own, and what is left of the limit over all is shared: routes whose handlers hang can take
/// every shared slot, and the others still go on.
#[derive(Debug)]
pub struct Slots {
    shared: Places,
    routes: HashMap<String, OfRoute>,
}

#[derive(Debug)]
struct OfRoute {
    own: Places,
    all: Places,
    /// For jobs on their way to a slot.
    ahead: Places,
    /// Whether jobs of it wait to be claimed.
    behind: AtomicBool,
}

/// So many handlers at a time.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    most: usize,
}

/// The right to run one handler, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    _of_route: OwnedSemaphorePermit,
    _own_or_shared: OwnedSemaphorePermit,
}

/// A job's place on the way to a slot, from its commit or from a claim ahead of the slots, until it is dropped.
#[derive(Debug)]
pub struct Ahead {
    _place: OwnedSemaphorePermit,
}

impl Places {
    fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), most }
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    fn free(&self) -> usize {
        self.free.available_permits()
    }

    fn in_use(&self) -> bool {
        self.free() < self.most
    }
}

impl Slots {
    /// `all` over all routes, or one of each if that is more; and of each route so many.
    pub fn new(all: usize, routes: impl IntoIterator<Item = (String, usize)>) -> Self {
        let of_route = |slots| OfRoute {
            own: Places::new(1),
            all: Places::new(slots),
            ahead: Places::new(slots.saturating_mul(AHEAD_OF_EACH_SLOT)),
            behind: AtomicBool::new(false),
        };
        let routes: HashMap<_, _> = routes.into_iter().map(|(name, slots)| (name, of_route(slots))).collect();
        Self { shared: Places::new(all.saturating_sub(routes.len())), routes }
    }

    /// Takes a slot, if one is free.
    pub fn take(&self, route: &str) -> Option<Slot> {
        let route = self.routes.get(route)?;
        let of_route = route.all.take()?;
        let own_or_shared = route.own.take().or_else(|| self.shared.take())?;
        Some(Slot { _of_route: of_route, _own_or_shared: own_or_shared })
    }

    /// Waits for a slot, for so long.
    pub async fn wait(&self, route: &str, patience: Duration) -> Option<Slot> {
        let OfRoute { own, all, .. } = self.routes.get(route)?;
        let slot = async {
            let of_route = all.wait().await?;
            let own_or_shared = tokio::select! {
                biased;
                own = own.wait() => own?,
                shared = self.shared.wait() => shared?,
            };
            Some(Slot { _of_route: of_route, _own_or_shared: own_or_shared })
        };
        tokio::time::timeout(patience, slot).await.ok().flatten()
    }

    /// Takes a place for what is just being committed, unless jobs of the route wait to be claimed: what comes later does not
    /// go first.
    fn for_born(&self, route: &str) -> Option<Ahead> {
        if self.is_behind(route) { None } else { self.ahead(route) }
    }

    /// Takes a place on the way to a slot, if one is free.
    pub fn ahead(&self, route: &str) -> Option<Ahead> {
        Some(Ahead { _place: self.routes.get(route)?.ahead.take()? })
    }

    /// How many places on the way to a slot of a route are free.
    pub fn free_ahead(&self, route: &str) -> usize {
        self.routes.get(route).map_or(0, |route| route.ahead.free())
    }

    /// How many are free over all routes.
    pub fn free(&self) -> usize {
        self.shared.free() + self.routes.values().map(|route| route.own.free()).sum::<usize>()
    }

    /// The routes with free slots, and how many each has.
    pub fn free_of_routes(&self) -> impl Iterator<Item = (&str, usize)> {
        let free = |route: &OfRoute| route.all.free().min(route.own.free() + self.shared.free());
        self.routes
            .iter()
            .map(move |(name, route)| (name.as_str(), free(route)))
            .filter(|(_, free)| *free > 0)
    }

    /// Whether any is taken, or about to be.
    pub fn in_use(&self) -> bool {
        self.routes.values().any(|route| route.all.in_use() || route.ahead.in_use())
    }

    /// Notes whether jobs of a route wait to be claimed.
    pub fn set_behind(&self, route: &str, behind: bool) {
        if let Some(route) = self.routes.get(route) {
            route.behind.store(behind, Ordering::Release);
        }
    }

    /// Whether jobs of a route wait to be claimed.
    fn is_behind(&self, route: &str) -> bool {
        self.routes.get(route).is_some_and(|route| route.behind.load(Ordering::Acquire))
    }
}

/// A job that was born leased, on its way to a slot.
#[derive(Debug)]
pub struct Born {
    /// The job.
    pub job: LeasedJob,
    /// Its place.
    pub ahead: Ahead,
    /// Since before it was leased.
    pub leased: Stopwatch,
}

/// Hands jobs from whoever commits to whoever begins.
#[derive(Debug, Clone)]
pub struct Handover {
    slots: Arc<Slots>,
    lease: Duration,
    born: mpsc::UnboundedSender<Born>,
}

/// Places that are kept for a group while it is committed.
#[derive(Debug)]
pub(super) struct Offered {
    places: HashMap<String, Vec<Ahead>>,
    lease: Duration,
    leased: Stopwatch,
}

impl Handover {
    /// A handover towards `slots`, and where what is handed over comes out. No more than there are places is ever in it.
    pub fn new(slots: Arc<Slots>, lease: Duration) -> (Self, mpsc::UnboundedReceiver<Born>) {
        let (born, beginning) = mpsc::unbounded_channel();
        (Self { slots, lease, born }, beginning)
    }

    /// One that takes nothing: every job waits to be claimed.
    pub fn closed() -> Self {
        Self::new(Arc::new(Slots::new(0, [])), Duration::ZERO).0
    }

    /// Keeps places for what a group may make. `leased` was started just now.
    pub(super) fn offer(&self, group: &[Arrival], leased: Stopwatch) -> Offered {
        let mut places: HashMap<String, Vec<Ahead>> = HashMap::new();
        let matches = group.iter().flat_map(|arrival| &arrival.routes).filter(|job| job.failed.is_none());
        for job in matches.take_while(|_| !self.born.is_closed()) {
            match self.slots.for_born(&job.route) {
                Some(place) => places.entry(job.route.clone()).or_default().push(place),
                None => self.slots.set_behind(&job.route, true),
            }
        }
        Offered { places, lease: self.lease, leased }
    }

    /// Hands over what was born leased; answers what nobody takes any more.
    pub(super) fn begin(&self, mut offered: Offered, jobs: Vec<LeasedJob>) -> Vec<Lease> {
        let mut refused = Vec::new();
        for job in jobs {
            let lease = job.lease;
            // The store leases no more than it was offered.
            let Some(ahead) = offered.places.get_mut(&job.route).and_then(Vec::pop) else {
                refused.push(lease);
                continue;
            };
            if self.born.send(Born { job, ahead, leased: offered.leased }).is_err() {
                refused.push(lease);
            }
        }
        refused
    }
}

/// Gives back jobs that were leased and not begun. That is no attempt: or a slow store would use them up.
pub async fn give_back(store: &dyn Store, leases: &[Lease]) {
    if leases.is_empty() {
        return;
    }
    if let Err(error) = store.release(leases).await {
        tracing::warn!(error = %error, "what was not begun could not be given back; its leases end");
    }
}

#[cfg(test)]
impl Handover {
    /// Hands over one job, if there is a place for it and somebody to take it; answers its lease otherwise.
    pub(crate) fn hand(&self, job: LeasedJob, leased: Stopwatch) -> Option<Lease> {
        let places = self.slots.for_born(&job.route).map(|place| (job.route.clone(), vec![place]));
        let offered = Offered { places: places.into_iter().collect(), lease: self.lease, leased };
        self.begin(offered, vec![job]).pop()
    }
}

impl Offered {
    /// As the store is told.
    pub(super) fn as_offer(&self) -> Offer {
        let count = |places: &Vec<Ahead>| u32::try_from(places.len()).unwrap_or(u32::MAX);
        let slots = self.places.iter().map(|(route, places)| (route.clone(), count(places))).collect();
        Offer { slots, lease: self.lease }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::model::id::EventId;
    use crate::store::arrival::RouteMatch;

    /// An arrival that matched these routes.
    fn arrival(clock: &Clock, routes: &[&str]) -> Arrival {
        let mut arrival = Arrival::read(
            EventId::new(clock.ulid()),
            "default".to_owned(),
            clock.now(),
            b"{}".as_slice().into(),
        );
        let matched = |route: &&str| RouteMatch { route: (*route).to_owned(), ordered: true, failed: None };
        arrival.routes = routes.iter().map(matched).collect();
        arrival
    }

    /// What a group of one arrival each is offered.
    fn offered(handover: &Handover, routes: &[&str]) -> (Offered, Vec<(String, u32)>) {
        let clock = Clock::system();
        let group: Vec<Arrival> = routes.iter().map(|route| arrival(&clock, &[route])).collect();
        let offered = handover.offer(&group, clock.stopwatch());
        let mut slots: Vec<_> = offered.as_offer().slots.into_iter().collect();
        slots.sort();
        (offered, slots)
    }

    fn handover() -> (Handover, Arc<Slots>, mpsc::UnboundedReceiver<Born>) {
        let routes = [("a", 2), ("b", 2)].map(|(name, slots)| (name.to_owned(), slots));
        let slots = Arc::new(Slots::new(3, routes));
        let (handover, born) = Handover::new(Arc::clone(&slots), Duration::from_secs(1));
        (handover, slots, born)
    }

    fn of(route: &str, slots: u32) -> (String, u32) {
        (route.to_owned(), slots)
    }

    #[test]
    fn no_more_is_offered_than_will_soon_find_a_slot() {
        let (handover, slots, _born) = handover();
        let nine = ["a"; 9];
        let (kept, offer) = offered(&handover, &[&nine[..], &["b", "unknown"]].concat());
        assert_eq!(offer, [of("a", 8), of("b", 1)]);
        assert!(slots.in_use(), "what is on its way counts as under way");
        assert_eq!(slots.free(), 3, "and takes no slot yet");
        drop(kept);
        assert!(!slots.in_use());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_waited_for_but_not_for_ever() {
        let (_handover, slots, _born) = handover();
        let patience = Duration::from_secs(1);
        let taken: Vec<_> = ["a", "a", "b"].into_iter().map_while(|route| slots.take(route)).collect();
        assert_eq!(taken.len(), 3);
        assert!(slots.wait("a", patience).await.is_none());
        assert!(slots.wait("unknown", patience).await.is_none());
        let (found, ()) = tokio::join!(slots.wait("a", patience), async { drop(taken) });
        assert!(found.is_some());
        drop(found);
        assert_eq!(slots.free(), 3);
    }

    #[test]
    fn a_route_of_which_jobs_wait_is_offered_nothing_until_they_are_claimed() {
        let (handover, slots, _born) = handover();
        drop(offered(&handover, &["a"; 9]));
        assert_eq!(offered(&handover, &["a", "b"]).1, [of("b", 1)]);
        slots.set_behind("a", false);
        assert_eq!(offered(&handover, &["a", "b"]).1, [of("a", 1), of("b", 1)]);
    }

    #[test]
    fn routes_that_hang_leave_every_other_a_slot() {
        let routes = [("a", 9), ("b", 9), ("c", 9)].map(|(name, slots)| (name.to_owned(), slots));
        let slots = Slots::new(6, routes);
        let hanging: Vec<_> = ["a", "b"].into_iter().cycle().map_while(|route| slots.take(route)).collect();
        assert_eq!((hanging.len(), slots.free()), (5, 1));
        assert_eq!(slots.free_of_routes().collect::<Vec<_>>(), [("c", 1)]);
        let slot = slots.take("c");
        assert!(slot.is_some() && slots.take("c").is_none());
        drop(slot);
        assert!(slots.take("c").is_some());
    }

    #[test]
    fn nothing_is_offered_when_nobody_begins_it_any_more() {
        let (handover, slots, born) = handover();
        drop(born);
        assert_eq!(offered(&handover, &["a"]).1, []);
        assert!(!slots.in_use());
    }
}
