//! The leases this process holds, and their renewal.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use ulid::Ulid;

use super::Shared;
use crate::clock::Stopwatch;
use crate::model::id::JobId;
use crate::model::job::Lease;

/// How often to look whether something is still held, once the process is to end.
const LOOK: Duration = Duration::from_millis(100);

/// What is being worked on, one lease of a job at a time. The lock guards a map of some thousand entries and is never held over
/// an await.
#[derive(Debug, Default)]
pub(super) struct Held {
    jobs: Mutex<HashMap<JobId, Holding>>,
}

/// Work under a lease.
#[derive(Debug)]
struct Holding {
    /// The token of the lease.
    token: Ulid,
    /// What to stop when the lease is lost. None for a send: its answer counts however late it is.
    running: Option<AbortHandle>,
    /// Since before the call that gave or extended the lease: by then it lasts a lease at the most.
    since: Stopwatch,
}

/// Work ends when nine tenths of a lease have passed without news of it: before anybody else may begin the same.
fn gives_up_after(lease: Duration) -> Duration {
    lease / 10 * 9
}

impl Held {
    /// Work on a job begins. `running` is stopped when the lease is lost; and so is what runs here for the same job under an
    /// earlier lease, since whoever was given a new one found the old one ended.
    ///
    /// `since` was started before the lease was asked for.
    pub(super) fn hold(&self, lease: Lease, since: Stopwatch, running: Option<AbortHandle>) {
        let Lease { job, token } = lease;
        let earlier = self.lock().insert(job, Holding { token, running, since });
        if earlier.as_ref().is_some_and(|earlier| earlier.token != token) {
            stop(earlier);
        }
    }

    /// Work under a lease has ended.
    pub(super) fn drop(&self, lease: Lease) {
        self.take(lease);
    }

    fn take(&self, lease: Lease) -> Option<Holding> {
        match self.lock().entry(lease.job) {
            Entry::Occupied(held) if held.get().token == lease.token => Some(held.remove()),
            _ => None,
        }
    }

    /// Stops everything that can be stopped, and answers what nobody works on any more. What has finished already is left to
    /// whoever settles it.
    pub(super) fn abandon(&self) -> Vec<Lease> {
        let mut unfinished = Vec::new();
        for (job, holding) in self.lock().drain() {
            if !holding.running.as_ref().is_some_and(AbortHandle::is_finished) {
                unfinished.push(Lease { job, token: holding.token });
                stop(Some(holding));
            }
        }
        unfinished
    }

    fn all(&self) -> Vec<Lease> {
        self.lock().iter().map(|(job, holding)| Lease { job: *job, token: holding.token }).collect()
    }

    /// Stops work whose lease somebody else has taken over: whatever it came to could not be settled.
    fn lose(&self, lease: Lease) {
        stop(self.take(lease));
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.lock().get(&lease.job).is_some_and(|holding| holding.token == lease.token)
    }

    /// Notes that leases were extended by a call that was begun at `since`.
    fn extended(&self, leases: &HashSet<Lease>, since: Stopwatch) {
        let mut held = self.lock();
        for lease in leases {
            if let Some(holding) = held.get_mut(&lease.job).filter(|holding| holding.token == lease.token) {
                holding.since = since;
            }
        }
    }

    /// Work of which nobody could say in time that its lease goes on.
    fn expired(&self, lease: Duration) -> Vec<Lease> {
        let is_over =
            |holding: &Holding| holding.running.is_some() && holding.since.elapsed() >= gives_up_after(lease);
        let held = self.lock();
        let over = held.iter().filter(|(_, holding)| is_over(holding));
        over.map(|(job, holding)| Lease { job: *job, token: holding.token }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Holding>> {
        // A panic while it was held cannot have left the map half changed.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stop(holding: Option<Holding>) {
    if let Some(running) = holding.and_then(|holding| holding.running) {
        running.abort();
    }
}

/// Stops work whose lease is about to end, since renewing it failed: others will begin it anew.
pub(super) async fn expire(shared: Arc<Shared>) {
    let lease = shared.settings.lease;
    loop {
        if !shared.shutdown.is_cancelled() {
            let looked = shared.shutdown.run_until_cancelled(tokio::time::sleep(lease / 20));
            looked.await;
        } else if shared.held.all().is_empty() {
            return;
        } else {
            tokio::time::sleep(LOOK).await;
        }
        for lost in shared.held.expired(lease) {
            tracing::warn!(job.id = %lost.job, "a lease could not be renewed in time; its work is stopped");
            shared.held.lose(lost);
        }
    }
}

/// Renews every lease at a third of its time; a renewal that takes as long again has failed.
pub(super) async fn renew(shared: Arc<Shared>) {
    let pause = shared.settings.lease / 3;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // Work that is still running while we drain keeps its lease as long as it lasts.
            () = shared.shutdown.cancelled() => return drain(&shared, pause).await,
        }
        renew_all(&shared).await;
    }
}

async fn drain(shared: &Shared, pause: Duration) {
    while !shared.held.all().is_empty() {
        renew_all(shared).await;
        tokio::time::sleep(pause.min(LOOK)).await;
    }
}

async fn renew_all(shared: &Shared) {
    let leases = shared.held.all();
    if leases.is_empty() {
        return;
    }
    let lease = shared.settings.lease;
    let since = shared.clock.stopwatch();
    let Ok(renewed) = tokio::time::timeout(lease / 3, shared.store.renew(&leases, lease)).await else {
        tracing::warn!("leases were not renewed: the store did not answer in time");
        return;
    };
    match renewed {
        Ok(renewed) => {
            let renewed: HashSet<Lease> = renewed.into_iter().collect();
            shared.held.extended(&renewed, since);
            for lost in leases.iter().filter(|lease| !renewed.contains(lease) && shared.held.holds(lease)) {
                tracing::warn!(job.id = %lost.job, "a lease was lost; its work is stopped");
                shared.held.lose(*lost);
            }
        }
        Err(error) => tracing::warn!(error = %error, "leases were not renewed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::model::id::Id;

    fn lease(clock: &Clock) -> Lease {
        Lease { job: Id::new(clock.ulid()), token: clock.ulid() }
    }

    #[tokio::test]
    async fn work_whose_lease_was_not_renewed_in_time_is_stopped_and_a_send_is_not() {
        let clock = Clock::system();
        let (handler, send) = (lease(&clock), lease(&clock));
        let held = Held::default();
        let hanging = tokio::spawn(std::future::pending::<()>());
        held.hold(handler, clock.stopwatch(), Some(hanging.abort_handle()));
        held.hold(send, clock.stopwatch(), None);
        assert_eq!(held.expired(Duration::from_hours(1)), []);
        assert_eq!(held.expired(Duration::ZERO), [handler]);
        held.lose(handler);
        assert!(hanging.await.unwrap_err().is_cancelled());
        assert_eq!(held.all(), [send]);
    }

    #[tokio::test]
    async fn what_runs_under_an_earlier_lease_is_stopped() {
        let clock = Clock::system();
        let earlier = lease(&clock);
        let later = Lease { token: clock.ulid(), ..earlier };
        let held = Held::default();
        let hanging = tokio::spawn(std::future::pending::<()>());
        held.hold(earlier, clock.stopwatch(), Some(hanging.abort_handle()));
        held.hold(later, clock.stopwatch(), None);
        assert!(hanging.await.unwrap_err().is_cancelled());
        held.drop(earlier);
        assert_eq!(held.all(), [later], "what ends late does not end what came after it");
    }
}
