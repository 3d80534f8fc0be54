//! Waiting for somebody to end a service.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or SIGINT.
pub(super) async fn stopped() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Runs a graceful stop; a second signal ends the process at once, which nothing committed minds.
pub(super) async fn stop(graceful: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::select! {
        () = graceful => Ok(()),
        again = stopped() => {
            again?;
            anyhow::bail!("stopped at once, by a second signal")
        }
    }
}
