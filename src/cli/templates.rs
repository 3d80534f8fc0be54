//! `switchboard templates`: the templates that Connectly has, and whether they may be sent.

use std::path::Path;

use jiff::Timestamp;

use super::account::{AccountOptions, WHERE};
use super::list::{self, TEXT_WIDTH};
use super::table::Table;
use super::terminal::clip;
use super::{Surroundings, Terminal};
use crate::connectly::client::templates::ListedTemplate;

/// What to do with templates.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the business's templates, a language each, with what became of their approval
    #[command(after_help = help())]
    List(ListArgs),
}

/// Which business, and how to print.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    account: AccountOptions,
    /// Print JSON, as one array, with the templates' components
    #[arg(long)]
    json: bool,
}

fn help() -> String {
    format!(
        "An approval takes minutes, at most a day. A rejected template cannot be edited: make one with another name. {WHERE}

Example:
  switchboard templates list --config switchboard.toml"
    )
}

/// What to say when there is no template.
const NONE: &str = "no templates: make one at Connectly";

/// Runs the command.
pub(super) async fn run(
    args: Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let Action::List(args) = args.action;
    let account = args.account.find(file, surroundings, terminal)?;
    let templates = account.client.templates().await?;
    if args.json {
        return Ok(list::json(&list::documents(&templates)?, terminal)?);
    }
    if templates.is_empty() {
        return Ok(terminal.hint(NONE)?);
    }
    let mut table = Table::new(["name", "language", "status", "category", "channel", "created", "text"]);
    for template in templates {
        table.row(cells(template));
    }
    Ok(table.write(terminal)?)
}

fn cells(template: ListedTemplate) -> [String; 7] {
    let text = template.body().map(|text| clip(text, TEXT_WIDTH)).unwrap_or_default();
    let day = |at: Timestamp| at.strftime("%F").to_string();
    let status = match &template.rejection_reason {
        Some(reason) => format!("{} ({reason})", template.status),
        None => template.status,
    };
    [
        template.name,
        template.language,
        status,
        template.category.unwrap_or_default(),
        template.channel.unwrap_or_default(),
        template.created_at.map(day).unwrap_or_default(),
        text,
    ]
}
