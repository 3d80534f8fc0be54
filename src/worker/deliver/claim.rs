//! Claiming what waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::seq::SliceRandom as _;

use super::super::Settings;
use super::super::pulse::Loop;
use super::super::rounds::Rounds;
use super::{Deliverer, LARGEST_GROUP, Leased, Place, Running};
use crate::ingest::handover::give_back;
use crate::store::work::{ClaimDeliveries, LeasedJob, Look};

impl Deliverer {
    /// Claims whenever there may be work, until stopped.
    pub(in crate::worker) async fn claim_all(self) {
        let Settings { poll, lease, .. } = self.shared.settings;
        let (mut whole, mut ended) = (Rounds::new(poll, lease), Rounds::new(poll, lease));
        while !self.shared.shutdown.is_cancelled() {
            if self.shared.look_for_all.swap(false, Ordering::AcqRel) {
                whole.hurry();
                ended.hurry();
            }
            // Nobody tells of what other processes let go, nor of leases that end.
            let begun = if whole.are_due() {
                whole.go(&self.shared.clock, self.claim(Look::Whole)).await
            } else {
                self.claim(Look::Onwards).await.unwrap_or(0)
            };
            let mut left_behind = 0;
            if ended.are_due() {
                left_behind = ended.go(&self.shared.clock, self.claim(Look::Ended)).await;
                if left_behind > 0 {
                    ended.hurry();
                }
            }
            let begun = begun + left_behind;
            self.shared.pulse.pass(Loop::Deliveries, begun);
            if begun > 0 {
                continue;
            }
            tokio::select! {
                () = self.shared.deliveries.notified() => {}
                () = tokio::time::sleep(whole.left().map_or(poll, |left| left.min(poll))) => {}
                () = self.shared.shutdown.cancelled() => {}
            }
        }
    }

    /// Claims what fits into free slots, and what will soon, and begins it; answers how many. None when nothing fits, or the store
    /// did not answer.
    async fn claim(&self, look: Look) -> Option<usize> {
        let claim = self.fitting(look)?;
        let since = self.shared.clock.stopwatch();
        let claimed = match self.shared.store.claim_deliveries(&claim).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(error = %error, "no deliveries were claimed");
                return None;
            }
        };
        self.note_behind(&claim, &claimed);
        let found = claimed.len();
        let (mut group, mut surplus) = (Vec::with_capacity(found), Vec::new());
        for job in claimed {
            match self.place(&job.route, look) {
                Some(place) => group.push(Leased { job, place, since }),
                // Something that was just committed took the slot meanwhile.
                None => surplus.push(job.lease),
            }
        }
        if !group.is_empty() {
            self.tasks.spawn(self.clone().begin_claimed(group));
        }
        give_back(self.shared.store.as_ref(), &surplus).await;
        Some(found)
    }

    /// Begins what was claimed, while more is claimed: one group at a time, so that reading leaves connections to others.
    async fn begin_claimed(self, group: Vec<Leased>) {
        let Ok(reading) = self.reading.acquire().await else { return };
        let begun = self.begin_group(group).await;
        drop(reading);
        if let Err(unread) = begun {
            // It was given back. Its places are kept, so that it is not claimed again at once only to fail once more.
            let pause = tokio::time::sleep(self.shared.settings.poll);
            self.shared.shutdown.run_until_cancelled(pause).await;
            drop(unread);
            self.shared.deliveries.notify_one();
        }
    }

    fn fitting(&self, look: Look) -> Option<ClaimDeliveries> {
        let slots = &self.shared.slots;
        let in_claim = |slots: usize| u32::try_from(slots).unwrap_or(u32::MAX);
        let (mut routes, mut ahead_of_all) = (Vec::new(), 0);
        for (route, free) in slots.free_of_routes() {
            let ahead = if look == Look::Ended { 0 } else { self.ahead(route, free) };
            routes.push((route.to_owned(), in_claim(free + ahead)));
            ahead_of_all += ahead;
        }
        // The limit over all of them is used up from the front: in turn, so that busy routes do not starve the others.
        routes.shuffle(&mut rand::rng());
        let limit = if look == Look::Ended { self.reclaiming.available_permits() } else { LARGEST_GROUP };
        let limit = in_claim((slots.free() + ahead_of_all).min(limit));
        let lease = self.shared.settings.lease;
        (limit > 0 && !routes.is_empty()).then_some(ClaimDeliveries { routes, limit, lease, look })
    }

    /// How many more of a route may be claimed than it has free slots: a claim takes longer than a quick handler.
    fn ahead(&self, route: &str, free: usize) -> usize {
        let of_tempo = self.routes.get(route).map_or(0, |served| served.tempo.ahead(free));
        of_tempo.min(self.shared.slots.free_ahead(route))
    }

    /// A claim that found less than fits has caught up with its routes.
    fn note_behind(&self, claim: &ClaimDeliveries, claimed: &[LeasedJob]) {
        if claim.look == Look::Ended || claimed.len() >= claim.limit as usize {
            return;
        }
        for (route, slots) in &claim.routes {
            let found = claimed.iter().filter(|job| job.route == *route).count();
            if found < *slots as usize {
                self.shared.slots.set_behind(route, false);
            }
        }
    }

    /// A slot for a claimed job, or a place in which it waits for one. Of slow handlers none is free soon.
    fn place(&self, route: &str, look: Look) -> Option<Place> {
        let slots = &self.shared.slots;
        let Some(slot) = slots.take(route) else {
            let is_soon = look != Look::Ended && self.ahead(route, 1) > 0;
            return is_soon.then(|| slots.ahead(route)).flatten().map(Place::Ahead);
        };
        if look != Look::Ended {
            return Some(Place::Slot(Running { slot, reclaim: None }));
        }
        let reclaim = Arc::clone(&self.reclaiming).try_acquire_owned().ok()?;
        Some(Place::Slot(Running { slot, reclaim: Some(reclaim) }))
    }
}
