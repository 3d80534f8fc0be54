//! `switchboard quality`: what WhatsApp thinks of the business's numbers.

use std::path::Path;

use super::account::{AccountOptions, WHERE};
use super::table::Table;
use super::{Surroundings, Terminal, list};

/// Shown below the help.
pub(super) fn help() -> String {
    format!(
        "The limit is how many customers may be written to first, by template, within 24 hours. {WHERE}

Example:
  switchboard quality --config switchboard.toml"
    )
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

/// What to say when there is no number.
const NONE: &str = "Connectly tells of no WhatsApp number";
/// What to say of a limit that is not told. From Connectly's FAQ.
const UNSPECIFIED: &str =
    "a limit is unspecified until WhatsApp changes it for the first time; messages can be sent all the same";

/// Runs the command.
pub(super) async fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let account = args.account.find(file, surroundings, terminal)?;
    let signals = account.client.quality().await?;
    if args.json {
        return Ok(list::json(&list::documents(&signals)?, terminal)?);
    }
    if signals.is_empty() {
        return Ok(terminal.hint(NONE)?);
    }
    let is_untold = signals.iter().any(|signal| signal.messages_limit_tier == "unspecified");
    let mut table = Table::new(["number", "quality", "limit", "whatsapp account"]);
    for signal in signals {
        let waba_id = signal.waba_id.unwrap_or_default();
        table.row([signal.phone_number, signal.quality_score, signal.messages_limit_tier, waba_id]);
    }
    table.write(terminal)?;
    if is_untold {
        terminal.hint(UNSPECIFIED)?;
    }
    Ok(())
}
