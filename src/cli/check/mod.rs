//! `switchboard check`: whether a configuration can be served here and now, and everything that is in its way at once.

mod brokers;
mod endpoints;
mod report;
mod webhooks;

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use self::report::Report;
use super::account::is_usable;
use super::{Surroundings, Terminal, Usage};
use crate::app::client_settings;
use crate::config::{AccountConfig, Config, Problems};
use crate::connectly::client::webhooks::Registration;
use crate::connectly::client::{CallError, Client};
use crate::store::inspect::inspect;

/// The longest that Connectly is waited for: whoever checks sits in front of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shown below the help.
pub const EXAMPLES: &str = "Looks at the configuration, its routes and their handlers, and whether their host names resolve; at the \
database: whether it answers, is up to date and keeps what it commits; at the brokers that routes publish to: whether they answer, and whether a stream takes what is \
published; at the webhooks registered at Connectly: whether it takes the API keys to list them, and whether \
`messages` and `delivery_status` go to `public.url`. Nothing is changed anywhere, and a server may be running meanwhile.

Exit code 0: all is well. 1: a check failed. 2: the configuration is wrong.

Examples:
  switchboard check --config switchboard.toml
  switchboard check --json";

/// How to print what the checks came to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs every check there is, and prints what came of them.
pub(super) async fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let app = &surroundings.app;
    let mut report = Report::default();
    let problems = match Config::load_checked(file, &surroundings.environment, |config| app.check(config)) {
        Ok(loaded) => {
            report.ok("configuration", "every setting has a value that it takes");
            for warning in &loaded.warnings {
                report.warn("configuration", warning);
            }
            Problems::new()
        }
        Err(problems) => problems,
    };
    let file_name = problems.file().map(|file| format!("{file}: ")).unwrap_or_default();
    for problem in &problems {
        report.fail("configuration", &format!("{file_name}{problem}"));
    }
    // What can be read is looked into, also when something else is missing.
    match Config::load(file, &surroundings.environment) {
        Ok(loaded) => {
            routes(&loaded.config, &problems, &mut report);
            database(&loaded.config, &mut report).await;
            brokers::look(&loaded.config, &problems, &mut report).await;
            endpoints::look(&loaded.config, &problems, &mut report).await;
            accounts(&loaded.config, &mut report).await;
        }
        Err(_) => {
            for subject in ["routes", "database", "API key", webhooks::SUBJECT] {
                report.skip(subject, "the configuration cannot be read");
            }
        }
    }
    report.print(args.json, terminal)?;
    if !problems.is_empty() && file.is_none() && surroundings.connection()?.is_some() {
        terminal.hint(
            "`dev`, which runs here, needs no configuration: this looks at what `serve` would be given",
        )?;
    }
    anyhow::ensure!(problems.is_empty(), Usage("the configuration is wrong".to_owned()));
    anyhow::ensure!(report.failed() == 0, "{} of {} checks failed", report.failed(), report.count());
    Ok(())
}

fn routes(config: &Config, problems: &Problems, report: &mut Report) {
    let wrong = problems.iter().filter(|problem| problem.key.starts_with("routes")).count();
    if wrong > 0 {
        report.skip("routes", "see the problems of the configuration");
    } else if config.routes.is_empty() {
        report.warn("routes", "there are none: events are stored, and nobody is told");
    } else {
        let named = config.routes.iter().map(|route| format!("{} ({})", route.name, route.handler));
        report.ok("routes", &named.collect::<Vec<_>>().join(", "));
    }
}

async fn database(config: &Config, report: &mut Report) {
    let Some(url) = &config.store.url else {
        return report.skip("database", "none is configured");
    };
    for finding in inspect(url.expose_secret()).await {
        match finding.told {
            Ok(detail) => report.ok(finding.subject, &detail),
            Err(detail) => report.fail(finding.subject, &detail),
        }
    }
}

/// Whether Connectly takes each account's key, asked by the list of registered webhooks, and what that list says.
async fn accounts(config: &Config, report: &mut Report) {
    let public_url = config.public.url.as_deref();
    for (name, account) in &config.accounts {
        let told = |detail: &str| format!("accounts.{name}: {detail}");
        let cannot = |report: &mut Report| report.skip(webhooks::SUBJECT, &told("see the API key"));
        if !is_usable(account) {
            report.skip("API key", &told("it is not configured"));
            cannot(report);
            continue;
        }
        match registered(config, account).await {
            Ok(registered) => {
                report.ok("API key", &told("Connectly takes it"));
                webhooks::compare(name, public_url, &registered, report);
            }
            // Whoever is told anything at all has shown a key that is taken.
            Err(error) if matches!(error.downcast_ref(), Some(CallError::Unreadable(_))) => {
                report.ok("API key", &told("Connectly takes it"));
                report.fail(webhooks::SUBJECT, &told(&format!("{error:#}")));
            }
            Err(error) => {
                report.fail("API key", &told(&format!("{error:#}")));
                cannot(report);
            }
        }
    }
}

async fn registered(config: &Config, account: &AccountConfig) -> anyhow::Result<Vec<Registration>> {
    let mut settings = client_settings(config, account);
    settings.timeout = settings.timeout.min(PATIENCE);
    Ok(Client::new(&settings)?.webhooks().await?)
}

#[cfg(test)]
mod tests;
