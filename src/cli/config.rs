//! `config`: the commented reference, and what is in effect.

use std::path::Path;

use super::{Surroundings, Terminal, Usage};
use crate::config::{Config, TEMPLATE};

/// Prints the commented reference, or the settings in effect
///
/// Example: `switchboard config template > switchboard.toml`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every setting with its default and what it is for, as a file to start from
    Template,
    /// The settings in effect, from the file and the environment; secrets are hidden
    Show,
}

pub(super) fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    match args.command {
        Command::Template => terminal.bytes(TEMPLATE.as_bytes())?,
        Command::Show => {
            let loaded =
                Config::load(file, &surroundings.environment).map_err(|problems| Usage::of(&problems))?;
            for warning in &loaded.warnings {
                terminal.hint(&format!("warning: {warning}"))?;
            }
            terminal.bytes(loaded.config.redacted().as_bytes())?;
        }
    }
    Ok(())
}
