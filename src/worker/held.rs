//! The leases this process holds, and their renewal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Shared;
use crate::clock::Stopwatch;
use crate::model::job::Lease;

/// How often to look whether something is still held, once the process is to end.
const LOOK: Duration = Duration::from_millis(100);

/// What is being worked on. The lock guards a map of a few hundred entries and is never held over an await.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: Mutex<HashMap<Lease, Holding>>,
}

/// Work under a lease.
#[derive(Debug)]
struct Holding {
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
        let mut leases = self.lock();
        let earlier: Vec<Lease> =
            leases.keys().filter(|held| held.job == lease.job && **held != lease).copied().collect();
        for lost in earlier {
            stop(leases.remove(&lost));
        }
        leases.insert(lease, Holding { running, since });
    }

    /// Work under a lease has ended.
    pub(super) fn drop(&self, lease: Lease) {
        self.lock().remove(&lease);
    }

    /// Stops everything that can be stopped, and answers what nobody works on any more. What has finished already is left to
    /// whoever settles it.
    pub(super) fn abandon(&self) -> Vec<Lease> {
        let mut unfinished = Vec::new();
        for (lease, holding) in self.lock().drain() {
            if !holding.running.as_ref().is_some_and(AbortHandle::is_finished) {
                stop(Some(holding));
                unfinished.push(lease);
            }
        }
        unfinished
    }

    fn all(&self) -> Vec<Lease> {
        self.lock().keys().copied().collect()
    }

    /// Stops work whose lease somebody else has taken over: whatever it came to could not be settled.
    fn lose(&self, lease: Lease) {
        stop(self.lock().remove(&lease));
    }

    /// Notes that leases were extended by a call that was begun at `since`.
    fn extended(&self, leases: &[Lease], since: Stopwatch) {
        let mut held = self.lock();
        for lease in leases {
            if let Some(holding) = held.get_mut(lease) {
                holding.since = since;
            }
        }
    }

    /// Work of which nobody could say in time that its lease goes on.
    fn expired(&self, lease: Duration) -> Vec<Lease> {
        let is_over =
            |holding: &Holding| holding.running.is_some() && holding.since.elapsed() >= gives_up_after(lease);
        self.lock().iter().filter(|(_, holding)| is_over(holding)).map(|(lease, _)| *lease).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Holding>> {
        // A panic while it was held cannot have left the map half changed.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
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
            shared.held.extended(&renewed, since);
            let still_held = shared.held.all();
            for lost in leases.iter().filter(|lease| !renewed.contains(lease) && still_held.contains(lease)) {
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
}
