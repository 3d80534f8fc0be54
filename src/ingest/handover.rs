//! The short way from a commit to its handlers: jobs that are born leased to this process begin without being claimed.
//!
//! A few times as many jobs of a route may be on this way as handlers of it may run, since groups are committed and read
//! meanwhile. Each waits for a slot then, and is given back when there is none for too long. What finds no place on the way waits
//! in the queue like any other, and from then on everything of its route does, until whoever claims has caught up: what came
//! later does not go first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::slots::{Ahead, Slots};
use crate::clock::Stopwatch;
use crate::model::job::Lease;
use crate::store::Store;
use crate::store::arrival::Arrival;
use crate::store::work::{LeasedJob, Offer};

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

    #[test]
    fn a_route_of_which_jobs_wait_is_offered_nothing_until_they_are_claimed() {
        let (handover, slots, _born) = handover();
        drop(offered(&handover, &["a"; 9]));
        assert_eq!(offered(&handover, &["a", "b"]).1, [of("b", 1)]);
        slots.set_behind("a", false);
        assert_eq!(offered(&handover, &["a", "b"]).1, [of("a", 1), of("b", 1)]);
    }

    #[test]
    fn nothing_is_offered_when_nobody_begins_it_any_more() {
        let (handover, slots, born) = handover();
        drop(born);
        assert_eq!(offered(&handover, &["a"]).1, []);
        assert!(!slots.in_use());
    }
}
