//! `switchboard listen`: live events, to a program on your desk.
//!
//! [`Watch`] brings the events, one at a time. Each one's own bytes are fetched and signed with the secret of its account
//! ([`signing`]), and `program` is the one that gets them. Nothing is sent twice of our own accord: what the program answers is
//! told, and the next event follows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::admin::Admin;
use super::events::Filter;
use super::table::aligned;
use super::terminal::{Terminal, clean};
use super::watch::{Arrived, Watch};
use super::{Surroundings, signing, until};
use crate::config::DEFAULT_ACCOUNT;
use crate::connectly::signature::Key;

mod program;

use program::{Fate, Program};

/// Shown below the help.
pub const EXAMPLES: &str = "Each event's body goes out to the byte as Connectly sent it, as a POST with the header \
`x-connectly-hmac-sha256`, so that the program's own check runs. A line says what the program answered and how long that took. \
Connectly wants 200 and may send an event again that got anything else; `listen` does not. Events go out one after the other, \
from the next one that arrives on: `switchboard events body` and `switchboard simulate file` bring an older one once more.

The secret is the one in --secret-file, else the account's in `CONNECTLY_WEBHOOK_SECRET` or the configuration, else the one of \
`dev`.

Examples:
  switchboard listen --forward-to http://127.0.0.1:3000/webhook
  switchboard listen --forward-to http://127.0.0.1:3000/webhook --type message.received";

/// The widths of a line's cells: ids, the longest type, a status or why there is none, a time in milliseconds.
const WIDTHS: [usize; 5] = [26, 17, 9, 8, 0];

/// Which events, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The program's address, like `http://127.0.0.1:3000/webhook`
    #[arg(long, value_name = "URL", value_parser = address)]
    forward_to: Url,
    /// A file with the webhook secret to sign with
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    filter: Filter,
}

fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    url.ok_or("expected an address like http://127.0.0.1:3000/webhook")
}

pub(super) async fn run(
    args: Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    admin: &Admin,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let program = Program::new(args.forward_to, surroundings.clock.clone())?;
    let secret_file = args.secret_file.as_deref();
    let mut keys = Keys { secret_file, file, surroundings, known: BTreeMap::new() };
    // Who has no secret hears it now, not at the first event.
    keys.of(args.filter.subject.account.as_deref().unwrap_or(DEFAULT_ACCOUNT))?;
    let watch = Watch::begin(admin, args.filter.query()).await?;
    terminal.hint("listening; Ctrl-C ends it")?;
    Listener { admin, keys, program }.listen(&watch, until::interrupted(), terminal).await
}

/// The current key of each account, looked up when its first event comes.
struct Keys<'a> {
    secret_file: Option<&'a Path>,
    file: Option<&'a Path>,
    surroundings: &'a Surroundings,
    known: BTreeMap<String, Key>,
}

impl Keys<'_> {
    fn of(&mut self, account: &str) -> anyhow::Result<Key> {
        if let Some(key) = self.known.get(account) {
            return Ok(key.clone());
        }
        let mut found = signing::keys(self.secret_file, account, self.file, self.surroundings)?;
        let current = found.swap_remove(0);
        self.known.insert(account.to_owned(), current.clone());
        Ok(current)
    }
}

/// What stands between the stream and the program.
struct Listener<'a> {
    admin: &'a Admin,
    keys: Keys<'a>,
    program: Program,
}

impl Listener<'_> {
    /// Forwards events until `stop` is done.
    async fn listen(
        mut self,
        watch: &Watch<'_>,
        stop: impl Future<Output = ()>,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let take = async |event: &Arrived, terminal: &mut Terminal<'_>| {
            let fate = self.forward(event).await?;
            Ok(terminal.line(&line(event, &fate))?)
        };
        watch.run(stop, take, terminal).await
    }

    /// Sends one event. A server that cannot be asked for the body just now is an error: the watch says so, and comes back to
    /// this event when it has connected again.
    async fn forward(&mut self, event: &Arrived) -> anyhow::Result<Fate> {
        let key = match self.keys.of(&event.account) {
            Ok(key) => key,
            Err(error) => return Ok(Fate::NotSent(format!("{error:#}"))),
        };
        match self.admin.bytes(&["events", &event.id, "body"]).await {
            Ok(body) => Ok(self.program.post(body, &key).await),
            Err(error) if error.is_passing() => Err(error.into()),
            Err(error) => Ok(Fate::NotSent(error.to_string())),
        }
    }
}

fn line(event: &Arrived, fate: &Fate) -> String {
    let [answer, took, said] = fate.cells();
    let cells = [event.id.clone(), event.event_type.clone(), answer, took, said];
    aligned(&cells.map(|cell| clean(&cell)), &WIDTHS)
}

#[cfg(test)]
mod tests;
