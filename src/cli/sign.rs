//! `switchboard sign`: the signature that Connectly would send with a body.

use std::path::Path;

use super::signing::Signing;
use super::{Surroundings, Terminal};

/// Shown below the help.
pub const EXAMPLES: &str =
    "It is the value of the header `x-connectly-hmac-sha256`: Base64 of HMAC-SHA256 over the body's own \
bytes, under the webhook secret. With several secrets, the first one signs.

Examples:
  switchboard sign body.json --secret-file secret.txt
  curl -H \"x-connectly-hmac-sha256: $(switchboard sign body.json)\" --data-binary @body.json \\
    http://127.0.0.1:8080/webhooks/connectly";

/// Which body, and which secret.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    signing: Signing,
}

pub(super) fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let keys = args.signing.keys(file, surroundings)?;
    let body = args.signing.body()?;
    for current in keys.iter().take(1) {
        terminal.line(&current.sign(&body))?;
    }
    Ok(())
}
