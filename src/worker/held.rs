//! The leases this process holds, and their renewal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::Shared;
use crate::model::job::Lease;

/// What is being worked on. The lock guards a map of a few hundred entries and is never held over an await.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: Mutex<HashMap<Lease, Option<AbortHandle>>>,
}

impl Held {
    /// Work on a job begins. `running` is stopped when the lease is lost; and so is what runs here for the same job under an
    /// earlier lease, since whoever was given a new one found the old one ended.
    pub(super) fn hold(&self, lease: Lease, running: Option<AbortHandle>) {
        let mut leases = self.lock();
        let earlier: Vec<Lease> =
            leases.keys().filter(|held| held.job == lease.job && **held != lease).copied().collect();
        for lost in earlier {
            stop(leases.remove(&lost).flatten());
        }
        leases.insert(lease, running);
    }

    /// Work under a lease has ended.
    pub(super) fn drop(&self, lease: Lease) {
        self.lock().remove(&lease);
    }

    /// Stops everything that can be stopped, and answers what nobody works on any more. What has finished already is left to
    /// whoever settles it.
    pub(super) fn abandon(&self) -> Vec<Lease> {
        let mut unfinished = Vec::new();
        for (lease, running) in self.lock().drain() {
            if !running.as_ref().is_some_and(AbortHandle::is_finished) {
                stop(running);
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
        stop(self.lock().remove(&lease).flatten());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Option<AbortHandle>>> {
        // A panic while it was held cannot have left the map half changed.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stop(running: Option<AbortHandle>) {
    if let Some(running) = running {
        running.abort();
    }
}

/// Renews every lease at a third of its time, so that two renewals may fail before one is lost.
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

async fn drain(shared: &Shared, pause: std::time::Duration) {
    while !shared.held.all().is_empty() {
        renew_all(shared).await;
        tokio::time::sleep(pause.min(std::time::Duration::from_millis(100))).await;
    }
}

async fn renew_all(shared: &Shared) {
    let leases = shared.held.all();
    if leases.is_empty() {
        return;
    }
    match shared.store.renew(&leases, shared.settings.lease).await {
        Ok(renewed) => {
            let still_held = shared.held.all();
            for lost in leases.iter().filter(|lease| !renewed.contains(lease) && still_held.contains(lease)) {
                tracing::warn!(job.id = %lost.job, "a lease was lost; its work is stopped");
                shared.held.lose(*lost);
            }
        }
        Err(error) => tracing::warn!(error = %error, "leases were not renewed"),
    }
}
