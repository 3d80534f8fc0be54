//! `serve`: the service.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use super::until::Signals;
use super::{Surroundings, Usage};
use crate::app::StartError;
use crate::config::Config;
use crate::telemetry::{logging, panics};

/// Runs the service
///
/// Refuses to start, with the list of all problems, when something is missing or wrong. Logs one line per listener when it
/// is ready. SIGTERM or Ctrl-C stops it: what was accepted is committed, running work is finished, within `worker.drain`; a
/// second signal ends it at once.
///
/// Example: `switchboard serve --config switchboard.toml`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave the database's schema as it is; start only if it is up to date
    #[arg(long)]
    no_migrate: bool,
}

pub(super) async fn run(args: &Args, file: Option<&Path>, surroundings: &Surroundings) -> anyhow::Result<()> {
    let app = &surroundings.app;
    let loaded = Config::load_checked(file, &surroundings.environment, |config| app.check(config))
        .map_err(|problems| Usage::of(&problems))?;
    // It asks for a look at the certificate's files, at any time. Without TLS there is nothing to look at, and by itself it
    // would end the process.
    let _hangups = signal(SignalKind::hangup())?;
    logging::init_logging(&loaded.config.log)?;
    panics::install_hook();
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let running = app.start(&loaded.config, surroundings.clock.clone(), !args.no_migrate).await;
    let running = running.map_err(|error| match error {
        StartError::Config(problems) => anyhow::Error::new(Usage::of(&problems)),
        other => anyhow::Error::new(other),
    })?;
    Signals::listen(running.drain())?.first().await;
    tracing::info!("stopping");
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}
