//! `switchboard messages send`: a message is asked for until the server answers, and is sent once.

mod follow;
mod request;
#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use follow::{End, PATIENCE, Patience, follow};
use request::{Content, Details, Fallback, TemplateArgs, body};
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::cli::Usage;
use crate::cli::admin::{Admin, Document, Once};
use crate::cli::backoff::doubling;
use crate::cli::document;
use crate::cli::list::{self, text, tree};
use crate::cli::problem::AdminError;
use crate::cli::terminal::Terminal;
use crate::cli::why;
use crate::clock::Clock;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "The server queues the message, and it leaves as replies do: within the account's rate, \
after what was queued before it in the same conversation, and never to a customer who has opted out. Every request has an \
Idempotency-Key. One that gets no answer (the connection broke, the server is starting) is repeated under the same key, five \
times within eight seconds, so that nothing is sent twice.

Examples:
  switchboard messages send text +15550100001 \"Your order is on its way\" --wait
  switchboard messages send text +15550100001 \"Your order is on its way\" --callback order_id=12345 \\
      --fallback-template reopen --fallback-language en
  switchboard messages send template +15550100001 order_update --language en \\
      --parameter body_1=Ana --parameter body_2=12345
  switchboard messages send file request.json";

/// Shown below the help of `file`.
const FILE_EXAMPLES: &str = "Examples:
  echo '{\"to\": \"+15550100001\", \"message\": {\"text\": \"hi\"}}' | switchboard messages send file -
  switchboard messages send file message.json --to +15550100001 --callback order_id=12345";

/// What to send.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Sends words, which leave while the customer's 24-hour window is open
    Text {
        /// Who gets it: a phone number in international form, or a user id (BSUID)
        to: String,
        /// The words
        text: String,
        #[command(flatten)]
        details: Details,
        #[command(flatten)]
        fallback: Fallback,
        #[command(flatten)]
        asking: Asking,
    },
    /// Sends a template, which may leave at any time
    Template {
        /// Who gets it: a phone number in international form, or a user id (BSUID)
        to: String,
        #[command(flatten)]
        template: TemplateArgs,
        #[command(flatten)]
        details: Details,
        #[command(flatten)]
        asking: Asking,
    },
    /// Sends what a file says: the body of `POST /api/v1/messages`, or Connectly's `message` object
    #[command(after_help = FILE_EXAMPLES)]
    File {
        /// The file; `-` is standard input
        path: PathBuf,
        /// Who gets it; then the file is Connectly's `message` object, and what else there is to say is given here
        #[arg(long, value_name = "CUSTOMER")]
        to: Option<String>,
        #[command(flatten)]
        details: Details,
        #[command(flatten)]
        fallback: Fallback,
        #[command(flatten)]
        asking: Asking,
    },
}

/// How the server is asked, and what is printed.
#[derive(Debug, clap::Args)]
struct Asking {
    /// The request's key, of at most 255 characters: the same request under the same key is done once within 24 hours. A
    /// fresh one unless given
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Follow the message until it is on the phone or surely will not be, for 30 seconds at most. Exit code 1 when it
    /// failed, expired or was suppressed
    #[arg(long)]
    wait: bool,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

/// Sends one message.
pub(super) async fn run(
    args: Args,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let (body, asking) = match args.what {
        What::Text { to, text, details, fallback, asking } => {
            let message = to_raw_value(&json!({ "text": text }))?;
            (body(&to, &Content::Message(message, &fallback), &details)?, asking)
        }
        What::Template { to, template, details, asking } => {
            (body(&to, &Content::Template(&template), &details)?, asking)
        }
        What::File { path, to, details, fallback, asking } => {
            (of_file(&path, to.as_deref(), &details, &fallback)?, asking)
        }
    };
    let key = asking.idempotency_key.clone().unwrap_or_else(|| clock.ulid().to_string());
    let asked = ask(&body, &key, FIRST_PAUSE, admin, terminal).await?;
    if asking.wait {
        return watch(&asked.document, asking.json, PATIENCE, admin, clock, terminal).await;
    }
    Ok(document::show(&asked.document, asking.json, terminal)?)
}

/// The body that a file is, or that is made of the `message` object in it.
fn of_file(
    path: &Path,
    to: Option<&str>,
    details: &Details,
    fallback: &Fallback,
) -> anyhow::Result<Document> {
    let is_input = path == Path::new("-");
    let shown = if is_input { "standard input".into() } else { path.display().to_string() };
    let bytes = if is_input {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        bytes
    } else {
        std::fs::read(path).with_context(|| Usage(format!("cannot read {shown}")))?
    };
    let content: Document =
        serde_json::from_slice(&bytes).with_context(|| Usage(format!("{shown} is no JSON")))?;
    match to {
        Some(to) => body(to, &Content::Message(content, fallback), details),
        None if *details != Details::default() || *fallback != Fallback::default() => {
            let both = "the file says everything about its message, unless --to makes it a `message` object";
            Err(Usage(both.to_owned()).into())
        }
        None if !list::fields(content.get()).contains_key("to") => Err(Usage(format!(
            "{shown} does not say `to` whom: add it beside `message` or `template`, or give --to where the file is a \
            `message` object itself"
        ))
        .into()),
        None => Ok(content),
    }
}

/// Before the first repeat; each pause is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How often a request is repeated: a restart of the server passes meanwhile.
const REPEATS: usize = 5;

/// Asks until there is an answer, always under the same key.
async fn ask(
    body: &Document,
    key: &str,
    first_pause: Duration,
    admin: &Admin,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Once> {
    let mut pauses = doubling(first_pause).take(REPEATS);
    let mut begun = false;
    loop {
        let error = match admin.post_once(&["messages"], key, body).await {
            Ok(once) => {
                if once.before && !begun {
                    terminal.hint("the same was asked before under this key: this is its message, and nothing is sent again")?;
                }
                return Ok(once);
            }
            Err(error) => error,
        };
        // Where nobody listened from the start, nothing was asked, and waiting does not help.
        begun |= !matches!(error, AdminError::Unreachable { .. });
        if !begun || !error.is_passing() {
            return Err(error.into());
        }
        let Some(pause) = pauses.next() else {
            return Err(anyhow::Error::new(error).context(format!(
                "nobody knows whether the message is queued: ask again with --idempotency-key {key}, which sends it once"
            )));
        };
        terminal.hint(&format!("{error}; asking again under the same key"))?;
        tokio::time::sleep(pause).await;
    }
}

/// Follows the message and tells how far it got. That it got nowhere is a failure.
async fn watch(
    asked: &Document,
    json: bool,
    patience: Patience,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let id = text(&tree(asked.get()), "/id");
    let (document, message) = follow(&id, patience, admin, clock, terminal).await?;
    if json {
        terminal.json(document.get())?;
    } else {
        why::tell(&message, admin, terminal).await?;
    }
    let state = text(&message, "/state");
    match End::of(&state) {
        End::Arrived => Ok(()),
        End::Lost => anyhow::bail!("the message did not arrive: {state}"),
        End::Open => {
            let seconds = patience.limit.as_secs();
            Ok(terminal
                .hint(&format!("{state} after {seconds} s: `switchboard why {id}` tells how it goes on"))?)
        }
    }
}
