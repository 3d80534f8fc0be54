//! `switchboard webhooks`: where Connectly posts a business's events, as Connectly has it.

use std::path::Path;

use super::{Surroundings, Terminal};

mod address;
pub mod delete;
pub mod list;
pub mod register;
#[cfg(test)]
mod tests;

/// What to do with registrations.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists what is registered at Connectly
    #[command(after_help = list::help())]
    List(list::Args),
    /// Has Connectly post this business's events to an address
    #[command(after_help = register::help())]
    Register(register::Args),
    /// Has Connectly post no more to an address
    #[command(after_help = delete::help())]
    Delete(delete::Args),
}

/// Runs one of the commands.
pub(super) async fn run(
    args: Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    match args.action {
        Action::List(args) => list::run(&args, file, surroundings, terminal).await,
        Action::Register(args) => register::run(&args, file, surroundings, terminal).await,
        Action::Delete(args) => delete::run(&args, file, surroundings, terminal).await,
    }
}
