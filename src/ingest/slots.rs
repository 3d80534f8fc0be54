//! How many handlers may run, and how many jobs may be on their way to one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// While handlers of one group run, the next is read, another is being committed, and one more comes together.
pub const AHEAD_OF_EACH_SLOT: usize = 4;

/// So many outcomes may wait to be settled beside the handlers that run: a few groups.
const UNSETTLED: usize = 1_024;

/// How many handlers may run: of each route, and over all of them.
///
/// One slot of each route is its own, and what is left of the limit over all is shared: routes whose handlers hang can take
/// every shared slot, and the others still go on.
///
/// A slot is free again when its handler has ended. What that came to is settled in its own time, but not without end: nothing
/// begins while too much of it waits.
#[derive(Debug)]
pub struct Slots {
    shared: Places,
    routes: HashMap<String, OfRoute>,
    unsettled: Places,
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

/// The right to run one handler, until it is dropped or has ended.
#[derive(Debug)]
pub struct Slot {
    _of_route: OwnedSemaphorePermit,
    _own_or_shared: OwnedSemaphorePermit,
    unsettled: Unsettled,
}

/// A handler's outcome that waits to be settled, until it is dropped.
#[derive(Debug)]
pub struct Unsettled {
    _place: OwnedSemaphorePermit,
}

impl Slot {
    /// Its handler has ended: another may run.
    pub fn end(self) -> Unsettled {
        self.unsettled
    }
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
        Self {
            shared: Places::new(all.saturating_sub(routes.len())),
            unsettled: Places::new(all.max(routes.len()) + UNSETTLED),
            routes,
        }
    }

    /// Takes a slot, if one is free.
    pub fn take(&self, route: &str) -> Option<Slot> {
        let route = self.routes.get(route)?;
        let of_route = route.all.take()?;
        let own_or_shared = route.own.take().or_else(|| self.shared.take())?;
        let unsettled = Unsettled { _place: self.unsettled.take()? };
        Some(Slot { _of_route: of_route, _own_or_shared: own_or_shared, unsettled })
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
            let unsettled = Unsettled { _place: self.unsettled.wait().await? };
            Some(Slot { _of_route: of_route, _own_or_shared: own_or_shared, unsettled })
        };
        tokio::time::timeout(patience, slot).await.ok().flatten()
    }

    /// Takes a place for what is just being committed, unless jobs of the route wait to be claimed: what comes later does not
    /// go first.
    pub(super) fn for_born(&self, route: &str) -> Option<Ahead> {
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
        let free = self.shared.free() + self.routes.values().map(|route| route.own.free()).sum::<usize>();
        free.min(self.unsettled.free())
    }

    /// The routes with free slots, and how many each has.
    pub fn free_of_routes(&self) -> impl Iterator<Item = (&str, usize)> {
        let free = |route: &OfRoute| {
            route.all.free().min(route.own.free() + self.shared.free()).min(self.unsettled.free())
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_waited_for_but_not_for_ever() {
        let slots = Slots::new(3, [("a", 2), ("b", 2)].map(|(name, slots)| (name.to_owned(), slots)));
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

    #[tokio::test(start_paused = true)]
    async fn nothing_begins_while_too_much_waits_to_be_settled() {
        let slots = Slots::new(2, [("a".to_owned(), 2)]);
        let mut unsettled: Vec<_> = (0..UNSETTLED + 2).map(|_| slots.take("a").unwrap().end()).collect();
        assert_eq!(slots.free(), 0);
        assert!(slots.take("a").is_none());
        assert!(slots.wait("a", Duration::from_secs(1)).await.is_none());
        unsettled.pop();
        assert!(slots.take("a").is_some());
    }
}
