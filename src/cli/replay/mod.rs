//! `switchboard replay`: events that are delivered once more.

use serde_json::{Value, json};

use super::Usage;
use super::admin::Admin;
use super::confirm::confirm;
use super::events::{Filter, parse_id};
use super::filter::{Period, body_of};
use super::progress::Progress;
use super::terminal::Terminal;
use crate::clock::Clock;
use crate::model::id::EventId;

mod slices;
#[cfg(test)]
mod tests;

use slices::{Done, Slices};

/// Shown below the help.
pub const EXAMPLES: &str = "Each event is read anew and goes to the routes that match it today, at the end of its lane. \
What a handler did at the first time does not stop it: it runs again, and its replies are sent again. Every replay counts; \
none is taken for an earlier one.

It is done in slices, in the order of the events. One that is stopped says how far it came and how to go on there, so that no \
event is replayed twice; what arrives after its beginning is left out.

Examples:
  switchboard replay 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z
  switchboard replay --since 2026-01-01T02:00:00Z --until 2026-01-01T02:20:00Z --route front-desk --dry-run";

/// What to replay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The event's id; absent: all that the filters find
    #[arg(value_parser = parse_id)]
    id: Option<EventId>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    period: Period,
    /// To this route only
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Go on where a replay of the same events stopped: what it said then
    #[arg(long, value_name = "CURSOR", conflicts_with = "id")]
    cursor: Option<String>,
    /// Only count what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

/// Counts first, then asks, then does it.
pub async fn run(
    args: &Args,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let asked = body(args, clock)?;
    let go = |dry_run: bool, expected| {
        let body = with(&asked, "dry_run", dry_run.into());
        Slices::new(admin, body, expected, Progress::begin(clock))
    };
    let mut expected = None;
    if !args.dry_run && !args.yes {
        let counted = go(true, None).run(terminal).await?;
        let jobs = counted.jobs;
        if jobs == 0 {
            return show(&counted, args, terminal);
        }
        let question = format!("{jobs} jobs will run their handlers again, which can send messages again");
        if !confirm(false, &question, terminal)? {
            return Ok(());
        }
        expected = Some(jobs);
    }
    let done = go(args.dry_run, expected).run(terminal).await?;
    show(&done, args, terminal)
}

fn show(done: &Done, args: &Args, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let Done { jobs, purged, .. } = done;
    if args.json {
        let answer = json!({ "jobs": jobs });
        let answer = if *purged > 0 { with(&answer, "purged", (*purged).into()) } else { answer };
        return Ok(terminal.json(&answer.to_string())?);
    }
    let made = if args.dry_run { "jobs would be made" } else { "jobs were made" };
    terminal.line(&format!("{jobs} {made}"))?;
    if *purged > 0 {
        terminal.hint(&format!("{purged} events cannot be replayed: their bytes are no longer kept"))?;
    }
    Ok(())
}

fn body(args: &Args, clock: &Clock) -> anyhow::Result<Value> {
    let mut query = args.filter.query();
    args.period.add_to(&mut query, clock.now());
    if args.cursor.is_some() && args.period.is_relative() {
        return Err(Usage(
            "beside --cursor, --since and --until are the times that they were then".to_owned(),
        )
        .into());
    }
    let body = match args.id {
        Some(_) if !query.is_empty() => {
            return Err(Usage("an event's id stands alone: no filters beside it".to_owned()).into());
        }
        Some(id) => json!({ "event_id": id }),
        None if query.is_empty() => {
            return Err(Usage("say which events: an id, or filters such as --since 2h".to_owned()).into());
        }
        None => body_of(query),
    };
    let chosen = [("route", &args.route), ("cursor", &args.cursor)];
    let given = chosen.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    Ok(given.fold(body, |body, (name, value)| with(&body, name, value.into())))
}

fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}
