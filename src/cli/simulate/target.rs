//! Where a simulated event goes.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::cli::endpoint::{Endpoint, Given, Missing, Source};
use crate::cli::{Surroundings, Usage};

/// Where the webhook is unless the public listener was moved.
const WEBHOOK_URL: &str = "http://127.0.0.1:8080/webhooks/connectly";

/// Where the webhook is, as the caller says.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Webhook")]
pub struct TargetOptions {
    /// The webhook's address, like `http://127.0.0.1:8080/webhooks/connectly`
    #[arg(long, global = true, env = "SWITCHBOARD_WEBHOOK_URL", value_name = "URL")]
    webhook_url: Option<String>,
    /// A file with the webhook secret; `CONNECTLY_WEBHOOK_SECRET` may hold the secret itself
    #[arg(long, global = true, env = "CONNECTLY_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The secret itself. Meant for the environment: other users can read a command line.
    #[arg(
        long = "webhook-secret",
        global = true,
        env = "CONNECTLY_WEBHOOK_SECRET",
        hide = true,
        hide_env_values = true
    )]
    secret: Option<SecretString>,
}

/// Where a simulated event goes.
#[derive(Debug)]
pub struct Target {
    /// The public listener's webhook, and what to sign with.
    pub webhook: Endpoint,
    /// The emulator beside the server: it makes inbound events itself.
    pub emulator: Option<String>,
}

impl TargetOptions {
    /// The webhook, from the first place that has it. The emulator counts only if the webhook is the one beside it.
    pub fn find(&self, surroundings: &Surroundings) -> anyhow::Result<Target> {
        let given =
            Given::read(self.webhook_url.as_deref(), self.secret_file.as_deref(), self.secret.as_ref())?;
        let connection = if given.is_complete() { None } else { surroundings.connection()? };
        let left = connection
            .as_ref()
            .map(|left| Endpoint { url: left.webhook_url.clone(), secret: left.webhook_secret.clone() });
        let configured = surroundings.configured.as_ref().and_then(|configured| configured.webhook.clone());
        let chosen = given.choose(configured, left, WEBHOOK_URL);
        let (webhook, source) = chosen.map_err(|missing| Usage(advice(&missing)))?;
        let beside = connection.filter(|_| source == Source::Connection);
        Ok(Target { webhook, emulator: beside.and_then(|connection| connection.emulator_url) })
    }
}

fn advice(missing: &Missing) -> String {
    match missing {
        Missing::Secret(url) => {
            format!("no webhook secret for {url}: give --secret-file or set CONNECTLY_WEBHOOK_SECRET")
        }
        Missing::Everything => "no running server is known: give --webhook-url and --secret-file, or set \
            SWITCHBOARD_WEBHOOK_URL and CONNECTLY_WEBHOOK_SECRET, or give --config, or run this where \
            `switchboard dev` runs (it leaves .switchboard/connection.json)"
            .to_owned(),
    }
}
