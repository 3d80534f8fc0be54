//! `switchboard webhooks delete`.

use std::path::Path;

use clap::ArgGroup;
use serde_json::json;

use crate::cli::account::{AccountOptions, WHERE};
use crate::cli::confirm::confirm;
use crate::cli::{Surroundings, Terminal, Usage};
use crate::connectly::client::webhooks::Registration;

/// Shown below the help.
pub(super) fn help() -> String {
    format!(
        "What happens while nothing is registered is not posted later. {WHERE}

Examples:
  switchboard webhooks delete wh_01K00000000000000000000000
  switchboard webhooks delete --topic report --yes"
    )
}

/// Which registration.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("which").args(["id", "topic"]).required(true)))]
pub struct Args {
    /// The registration's id, as `webhooks list` shows it
    id: Option<String>,
    /// The topic, when it has only one registration
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    #[command(flatten)]
    account: AccountOptions,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let account = args.account.find(file, surroundings, terminal)?;
    let registered = account.client.webhooks().await?;
    let Registration { id, topic, address, .. } = args.choose(&registered)?;
    if !confirm(args.yes, &format!("{topic} will no longer be posted to {address} ({id})"), terminal)? {
        return Ok(());
    }
    account.client.delete_webhook(id).await?;
    if args.json {
        let deleted = json!({"id": id, "topic": topic, "address": address, "result": "deleted"});
        return Ok(terminal.json(&deleted.to_string())?);
    }
    Ok(terminal.line(&format!("deleted {id}: {topic} is no longer posted to {address}"))?)
}

impl Args {
    fn choose<'a>(&self, registered: &'a [Registration]) -> anyhow::Result<&'a Registration> {
        let is_meant = |registration: &&Registration| match (&self.id, &self.topic) {
            (Some(id), _) => registration.id == *id,
            (None, Some(topic)) => registration.topic.eq_ignore_ascii_case(topic),
            // The command line asks for one of them.
            (None, None) => false,
        };
        let found: Vec<&Registration> = registered.iter().filter(is_meant).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] => anyhow::bail!("there is no such registration; `switchboard webhooks list` shows them"),
            several => {
                let ids: Vec<&str> = several.iter().map(|registration| registration.id.as_str()).collect();
                Err(Usage(format!("there are several, give the id of one: {}", ids.join(", "))).into())
            }
        }
    }
}
