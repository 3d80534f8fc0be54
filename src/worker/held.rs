//! The leases this process holds, and their renewal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::Shared;
use crate::model::id::JobId;
use crate::model::job::Lease;

/// What is being worked on. The lock guards a map of a few hundred entries and is never held over an await.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: Mutex<HashMap<JobId, (Lease, Option<AbortHandle>)>>,
}

impl Held {
    /// Work on a job begins. `running` is stopped when the lease is lost.
    pub(super) fn hold(&self, lease: Lease, running: Option<AbortHandle>) {
        self.lock().insert(lease.job, (lease, running));
    }

    /// Work on a job has ended.
    pub(super) fn drop(&self, lease: Lease) {
        self.lock().remove(&lease.job);
    }

    /// Stops everything that can be stopped.
    pub(super) fn abort_all(&self) {
        for (_, (_, running)) in self.lock().drain() {
            if let Some(running) = running {
                running.abort();
            }
        }
    }

    fn all(&self) -> Vec<Lease> {
        self.lock().values().map(|(lease, _)| *lease).collect()
    }

    /// Stops work whose lease somebody else has taken over: whatever it came to could not be settled.
    fn lose(&self, lease: Lease) {
        let mut leases = self.lock();
        // The same job may have been claimed again here meanwhile, under another token.
        if leases.get(&lease.job).is_some_and(|(held, _)| *held == lease)
            && let Some((_, Some(running))) = leases.remove(&lease.job)
        {
            running.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, (Lease, Option<AbortHandle>)>> {
        // A panic while it was held cannot have left the map half changed.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
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
