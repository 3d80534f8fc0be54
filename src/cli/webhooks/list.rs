//! `switchboard webhooks list`.

use std::path::Path;

use serde_json::Value;

use crate::cli::account::{AccountOptions, WHERE};
use crate::cli::list::{self, text};
use crate::cli::{Surroundings, Terminal};

/// Shown below the help.
pub(super) fn help() -> String {
    format!("{WHERE}\n\nExample:\n  switchboard webhooks list --config switchboard.toml")
}

/// Which business, and how to print.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    account: AccountOptions,
    /// Print JSON, as one array
    #[arg(long)]
    json: bool,
}

/// The columns of a table of registrations.
const HEADINGS: [&str; 6] = ["id", "topic", "echo", "channels", "filters", "address"];
/// What to say when there is none.
const NONE: &str =
    "nothing is registered, so Connectly posts nothing: `switchboard webhooks register` changes that";
/// The same on a desk.
const NONE_LOCALLY: &str =
    "nothing is registered; an emulator posts to the address that it was started with all the same";

pub(super) async fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let account = args.account.find(file, surroundings, terminal)?;
    let rows = list::documents(&account.client.webhooks().await?)?;
    if args.json {
        list::json(&rows, terminal)?;
    } else {
        let none = if account.is_local { NONE_LOCALLY } else { NONE };
        list::table(&rows, HEADINGS, cells, none, terminal)?;
    }
    Ok(())
}

fn cells(registration: &Value) -> [String; 6] {
    let echo = registration["configuration"]["echo"] == true;
    let items = |name: &str, show: fn(&Value) -> String| {
        let items = registration["configuration"][name].as_array();
        items.into_iter().flatten().map(show).collect::<Vec<_>>().join(", ")
    };
    [
        text(registration, "/id"),
        text(registration, "/topic"),
        if echo { "on" } else { "off" }.to_owned(),
        items("channel_types", |kind| kind.as_str().unwrap_or_default().to_owned()),
        items("filters", |filter| format!("{}={}", text(filter, "/field"), text(filter, "/expression"))),
        text(registration, "/address"),
    ]
}
