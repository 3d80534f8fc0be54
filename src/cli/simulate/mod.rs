//! `switchboard simulate`: signed events, as Connectly would send them.
//!
//! [`inbound`], [`status`] and [`mod@file`] make what is sent, [`target`] finds where to, [`delivery`] sends it
//! and says what became of it; [`load`] sends many. To add an event: a file with its `Args` and a pure function that makes the body.

use super::Surroundings;
use super::terminal::Terminal;

pub mod delivery;
pub mod file;
pub mod inbound;
pub mod load;
pub mod status;
mod tally;
pub mod target;

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
    /// A customer writes, or presses a button
    ///
    /// Beside `switchboard dev` it goes through the emulator, whose 24-hour window it opens.
    #[command(after_help = inbound::EXAMPLES)]
    Inbound(inbound::Args),
    /// A message gets somewhere: sent, delivered, read or failed
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// A body from a file, with the time and a new message id filled in, so that it is a new event
    #[command(after_help = file::EXAMPLES)]
    File(file::Args),
    /// Inbound texts at a steady rate, and how long their answers took
    #[command(after_help = load::EXAMPLES)]
    Load(load::Args),
}

/// A customer's number that belongs to nobody: 555-01xx is kept for fiction.
const CUSTOMER: &str = "+15550100001";
/// A business's number of the same kind.
const BUSINESS: &str = "+15550100002";

/// Sends one event and prints its id.
pub async fn run(args: Args, surroundings: &Surroundings, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let (now, id) = (surroundings.clock.now(), surroundings.clock.ulid());
    let target = args.target.find(surroundings)?;
    let delivery = match (&args.what, &target.emulator) {
        (What::Inbound(inbound), Some(emulator)) => Delivery::through_emulator(emulator, &inbound.request()),
        (What::Inbound(inbound), None) => Delivery::signed(&target.webhook, json(&inbound.body(now, id))),
        (What::Status(status), _) => Delivery::signed(&target.webhook, json(&status.body(now)?)),
        (What::Load(load), _) => return load::run(load, target.webhook, surroundings, terminal).await,
        (What::File(file), _) => Delivery::signed(&target.webhook, file.body(now, id)?),
    };
    delivery.send(terminal).await
}

fn json(body: &serde_json::Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

/// A number with the channel and a name, as both ends of a delivery are written.
fn endpoint(id: &str, name: Option<&str>) -> serde_json::Value {
    serde_json::json!({"id": id, "channelType": "whatsapp", "name": name})
}

#[cfg(test)]
mod tests;
