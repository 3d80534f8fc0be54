//! What has to be done now and then: the sweep, making the store ready for the coming months, and retention.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use crate::store::retention;
use crate::store::work::RouteKnowledge;

/// How long a job waits for somebody who knows its route or account, before a person has to look.
const PATIENCE: Duration = Duration::from_hours(1);
/// Between two rounds of upkeep.
const ROUND: Duration = Duration::from_hours(1);

/// Sweeps once per poll until stopped.
pub(super) async fn run(shared: Arc<Shared>, routes: Vec<String>, accounts: Vec<String>) {
    let known = RouteKnowledge { routes, accounts, patience: PATIENCE };
    loop {
        tokio::select! {
            () = tokio::time::sleep(shared.settings.poll) => {}
            () = shared.shutdown.cancelled() => return,
        }
        sweep(&shared, &known).await;
    }
}

/// Upkeep and retention, once an hour until stopped. Beside the sweep, which does not wait for what may take minutes.
pub(super) async fn keep(shared: Arc<Shared>) {
    let rounds = async {
        loop {
            tokio::time::sleep(ROUND).await;
            keep_house(&shared).await;
        }
    };
    shared.shutdown.run_until_cancelled(rounds).await;
}

async fn keep_house(shared: &Shared) {
    if let Err(error) = shared.store.upkeep().await {
        tracing::warn!(error = %error, "the store's upkeep failed; it is tried again");
    }
    let keep = shared.settings.retention.keep(shared.clock.now());
    match retention::purge(shared.store.as_ref(), &keep).await {
        Ok(purged) if purged.is_anything() => tracing::info!(
            bodies = purged.bodies,
            events = purged.events,
            messages = purged.messages,
            jobs = purged.jobs,
            conversations = purged.conversations,
            customers = purged.customers,
            "what is older than is kept was taken away"
        ),
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(error = %error, "retention failed; it is tried again");
        }
    }
}

async fn sweep(shared: &Shared, known: &RouteKnowledge) {
    match shared.store.sweep(known).await {
        Ok(swept) => {
            if swept.unconfirmed > 0 {
                tracing::warn!(
                    messages = swept.unconfirmed,
                    "messages became unconfirmed: they left and no answer came"
                );
            }
            if swept.forgotten > 0 {
                tracing::warn!(
                    jobs = swept.forgotten,
                    "jobs were parked: nobody has known their route or account for an hour"
                );
            }
        }
        Err(error) => tracing::warn!(error = %error, "the sweep failed; it is tried again"),
    }
}
