//! `switchboard events export`: every event that the filters match, to a file or a pipe.
//!
//! `pages` asks the server for one page at a time, `format` spells its rows (`spreadsheet` for CSV), `output` takes
//! them; no more than one page is held. To add a format: a variant of `Format` and a function that appends rows to bytes.

use std::path::PathBuf;
use std::time::Duration;

use super::admin::{Admin, Query};
use super::events::Filter;
use super::filter::Period;
use super::list::limit;
use super::progress::Progress;
use super::terminal::Terminal;
use super::{Usage, until};
use crate::clock::Clock;

mod format;
mod output;
mod pages;
mod spreadsheet;

use format::Format;
use output::Output;
use pages::Pages;

/// Shown below the help.
pub const EXAMPLES: &str =
    "JSON lines hold exactly what the API gives, one event a line: the format for programs.

CSV is for spreadsheets. The columns, in this order, empty where an event has nothing to say:
id, type, account, occurred_at, received_at, conversation_id, business, business_name, customer_id, phone, user_id, name, \
provider_message_id, in_reply_to, status, message_id, callback_data, campaign, kind, text, error_code, error_message, trace_id, \
duplicates, body_purged, content, error, report.
callback_data, content, error and report are JSON, whole, so that nothing of an event is missing. \
A cell that begins with = + - @, a tab or a line break could run as a formula, so an apostrophe is put before it. Phone numbers \
get it too: '+15550100001 stays a text with all its digits, where +15550100001 would become the number 1.56E+10. A cell that \
begins with an apostrophe gets another one, so a program that wants the text itself drops exactly one. Lines end in CR LF; text \
is UTF-8. Excel needs --bom to know that when it opens the file by a double click.

Each event that was there at the start is in the export once; what arrives meanwhile is left for the next one. A file given \
with --output appears when it is complete, in the place of one that is there, readable by its owner alone: it holds what \
customers wrote.

Examples:
  switchboard events export --since 1d > events.jsonl
  switchboard events export --type message.failed --since 30d --format csv --bom --output failed.csv";

/// How long to wait before a page is asked for again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Which events, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    period: Period,
    /// Write to this file, which appears, or is replaced, when it is complete; without it, to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How events are written
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Begin CSV with a byte order mark, so that Excel reads accents and emoji right
    #[arg(long)]
    bom: bool,
    /// How many at most, newest first; without it, all
    #[arg(long, value_name = "N", value_parser = limit)]
    limit: Option<usize>,
}

/// Writes the events out.
pub async fn run(
    args: Args,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    anyhow::ensure!(!args.bom || args.format == Format::Csv, Usage("--bom goes with --format csv".into()));
    let mut query: Query = args.filter.query();
    args.period.add_to(&mut query, clock.now());
    let pages = Pages::new(admin, query, args.limit, FIRST_PAUSE);
    let mut export = Export { pages, format: args.format, bom: args.bom, progress: Progress::begin(clock) };
    let Some(path) = args.output else {
        export.write(&mut Output::Terminal, terminal).await?;
        return Ok(terminal.clear_progress()?);
    };
    let mut output = Output::file(&path)?;
    let rows = tokio::select! {
        rows = export.write(&mut output, terminal) => rows?,
        () = until::interrupted() => anyhow::bail!("stopped before the end: {} was not written", path.display()),
    };
    output.finish()?;
    Ok(terminal.hint(&format!("{} in {}", counted(rows), path.display()))?)
}

/// An export under way.
struct Export<'a> {
    pages: Pages<'a>,
    format: Format,
    bom: bool,
    progress: Progress,
}

impl Export<'_> {
    /// Writes page by page, and says how many rows it were.
    async fn write(&mut self, output: &mut Output, terminal: &mut Terminal<'_>) -> anyhow::Result<u64> {
        let mut rows = 0;
        let on_screen = output.is_screen(terminal);
        output.write(self.format.opening(self.bom).as_bytes(), terminal)?;
        loop {
            let page = self.pages.turn(terminal).await?;
            if page.is_empty() {
                return Ok(rows);
            }
            output.write(&self.format.rows(&page)?, terminal)?;
            rows += page.len() as u64;
            if !on_screen {
                self.progress.show(terminal, || counted(rows))?;
            }
        }
    }
}

fn counted(rows: u64) -> String {
    format!("{rows} {}", if rows == 1 { "event" } else { "events" })
}

#[cfg(test)]
mod tests;
