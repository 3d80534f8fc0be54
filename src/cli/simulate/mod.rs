//! `switchboard simulate`: signed events, as Connectly would send them.
//!
//! [`inbound`], [`echo`], [`status`], [`report`], [`unknown`] and [`mod@file`] make what is sent, [`target`] finds where to,
//! [`delivery`] sends it and says what became of it; [`load`] sends many. Of what a message holds, [`written`] and [`reply`]
//! know the kinds, and [`side`] who it is from.
//!
//! To add an event: a file with its `Args` and a pure function that makes the body. To add a kind of content: its flag in
//! [`written`] or [`reply`], and a line in `tests::shapes`.

use super::terminal::Terminal;
use super::{Surroundings, Usage};

pub mod callback;
pub mod delivery;
pub mod echo;
pub mod file;
pub mod flag;
pub mod inbound;
pub mod load;
pub mod place;
pub mod reply;
pub mod report;
pub mod side;
pub mod status;
mod tally;
pub mod target;
pub mod unknown;
pub mod written;

use delivery::Delivery;
use target::TargetOptions;

/// What to send, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetOptions,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A customer writes, presses, picks or reacts
    ///
    /// Beside `switchboard dev` it goes through the emulator, whose 24-hour window it opens and which knows what callback
    /// data its messages have; with --callback it goes straight to the webhook.
    #[command(after_help = inbound::EXAMPLES)]
    Inbound(Box<inbound::Args>),
    /// The business writes elsewhere: a person's answer from Connectly's inbox
    #[command(after_help = echo::EXAMPLES)]
    Echo(echo::Args),
    /// A message gets somewhere: sent, delivered, read or failed
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// A report is ready for download
    #[command(after_help = report::EXAMPLES)]
    Report(report::Args),
    /// Something that nobody documented, and that nothing understands
    #[command(after_help = unknown::EXAMPLES)]
    Unknown,
    /// A body from a file, with the time and a new message id filled in, so that it is a new event
    #[command(after_help = file::EXAMPLES)]
    File(file::Args),
    /// Inbound texts at a steady rate, and how long their answers took
    #[command(after_help = load::EXAMPLES)]
    Load(load::Args),
}

impl What {
    /// Refuses flags that do not go together.
    fn check(&self) -> Result<(), Usage> {
        match self {
            Self::Inbound(inbound) => inbound.check(),
            Self::Echo(echo) => echo.check(),
            Self::Status(status) => status.check(),
            Self::Report(_) | Self::Unknown | Self::File(_) | Self::Load(_) => Ok(()),
        }
    }
}

/// Sends one event and prints its id.
pub async fn run(args: Args, surroundings: &Surroundings, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    args.what.check()?;
    let (now, id) = (surroundings.clock.now(), surroundings.clock.ulid());
    let target = args.target.find(surroundings)?;
    let body = match &args.what {
        What::Inbound(inbound) => {
            if let Some((emulator, request)) = target.emulator.as_deref().zip(inbound.request()) {
                return Delivery::through_emulator(emulator, &request).send(terminal).await;
            }
            json(&inbound.body(now, id))
        }
        What::Echo(echo) => json(&echo.body(now, id)),
        What::Status(status) => json(&status.body(now)),
        What::Report(report) => json(&report.body(now, id)),
        What::Unknown => json(&unknown::body(now, id)),
        What::File(file) => file.body(now, id)?,
        What::Load(load) => return load::run(load, target.webhook, surroundings, terminal).await,
    };
    Delivery::signed(&target.webhook, body).send(terminal).await
}

fn json(body: &serde_json::Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
