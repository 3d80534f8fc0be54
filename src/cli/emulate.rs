//! `emulate`: the emulator alone.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::until::Signals;
use super::{Surroundings, Terminal, Usage};
use crate::config::{AccountConfig, Config, DEFAULT_ACCOUNT, EmulatorConfig};
use crate::emulator::{Emulator, Settings};

/// Runs the emulator alone: a Connectly on your desk
///
/// It takes sends, signs and delivers webhooks, and keeps WhatsApp's 24-hour rule on a clock that you can move. Business id,
/// API key and webhook secret are those of the default account; what is missing is made up and printed.
///
/// Example: `switchboard emulate --webhook-url http://127.0.0.1:8080/webhooks/connectly`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; the configuration's `emulator.listen` otherwise
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where its webhooks go; without, they are only listed
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
}

/// How long stopping may take: nothing is kept that would be worth more.
const STOP_LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn run(
    args: Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let loaded = Config::load(file, &surroundings.environment).map_err(|problems| Usage::of(&problems))?;
    let config = loaded.config;
    let account = config.accounts.get(DEFAULT_ACCOUNT);
    let filled = |text: &str, otherwise: &str| {
        if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
    };
    let business_id = filled(account.map_or("", |account| account.business_id.as_str()), "dev");
    let key = filled(account.map_or("", |account| account.api_key.expose_secret()), "dev-api-key");
    let secret = filled(account.map_or("", first_secret), "dev-webhook-secret");
    let mut settings = Settings::new(business_id.clone(), key.clone().into(), secret.clone().into());
    configure(&mut settings, &config.emulator);
    settings.listen = args.listen.unwrap_or(settings.listen);
    settings.webhook_url = args.webhook_url;
    let address = settings.listen;
    let started = Emulator::start(settings, surroundings.clock.clone()).await;
    let emulator = started.with_context(|| format!("{address} cannot be taken"))?;
    let made_up = account.is_none();
    terminal.line(&format!("emulator   {}", emulator.url()))?;
    terminal.line(&format!("control    {}/_emulator/", emulator.url()))?;
    if made_up {
        terminal.line(&format!("business   {business_id}"))?;
        terminal.line(&format!("API key    {key}"))?;
        terminal.line(&format!("secret     {secret}"))?;
    }
    Signals::listen(STOP_LIMIT)?.first().await;
    emulator.stop().await;
    Ok(())
}

/// Sets up an emulator as the configuration has it.
pub(super) fn configure(settings: &mut Settings, config: &EmulatorConfig) {
    settings.listen = config.listen;
    settings.hosts.clone_from(&config.hosts);
    settings.any_template = config.any_template;
    settings.status_lag = config.status_lag;
    settings.delivered_lag = config.delivered_lag;
    settings.read_lag = config.read_lag;
}

fn first_secret(account: &AccountConfig) -> &str {
    account.webhook_secrets.first().map_or("", SecretString::expose_secret)
}
