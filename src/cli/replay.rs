//! `switchboard replay`: events that are delivered once more.

use serde_json::{Value, json};

use super::Usage;
use super::admin::Admin;
use super::confirm::confirm;
use super::events::{Filter, parse_id};
use super::filter::{Period, body_of};
use super::list::text;
use super::terminal::Terminal;
use crate::clock::Clock;
use crate::model::id::EventId;

/// Shown below the help.
pub const EXAMPLES: &str = "Each event is read anew and goes to the routes that match it today, at the end of its lane. \
What a handler did at the first time does not stop it: it runs again, and its replies are sent again. Every replay counts; \
none is taken for an earlier one.

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
    if !args.dry_run && !args.yes {
        let counted: Value =
            admin.read(&admin.work(&["replays"], &with(&asked, "dry_run", true.into())).await?)?;
        let jobs = text(&counted, "/jobs");
        let question = format!("{jobs} jobs will run their handlers again, which can send messages again");
        if !confirm(false, &question, terminal)? {
            return Ok(());
        }
    }
    let answer = admin.work(&["replays"], &with(&asked, "dry_run", args.dry_run.into())).await?;
    if args.json {
        return Ok(terminal.json(answer.get())?);
    }
    let answer: Value = admin.read(&answer)?;
    let (jobs, purged) = (text(&answer, "/jobs"), text(&answer, "/purged"));
    let made = if args.dry_run { "jobs would be made" } else { "jobs were made" };
    terminal.line(&format!("{jobs} {made}"))?;
    if !purged.is_empty() {
        terminal.hint(&format!("{purged} events cannot be replayed: their bytes are no longer kept"))?;
    }
    Ok(())
}

fn body(args: &Args, clock: &Clock) -> anyhow::Result<Value> {
    let mut query = args.filter.query();
    args.period.add_to(&mut query, clock.now());
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
    Ok(match &args.route {
        Some(route) => with(&body, "route", route.as_str().into()),
        None => body,
    })
}

fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use crate::cli::Usage;
    use crate::cli::testing::run;

    const ID: &str = "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z";

    async fn replays(server: &MockServer, body: Value, answer: Value) {
        let posted = Mock::given(method("POST")).and(path("/api/v1/replays")).and(body_json(body));
        posted.respond_with(ResponseTemplate::new(200).set_body_json(answer)).expect(1).mount(server).await;
    }

    #[tokio::test]
    async fn one_event_or_all_that_filters_find() {
        let server = MockServer::start().await;
        replays(&server, json!({"event_id": ID, "dry_run": false}), json!({"jobs": 2})).await;
        assert_eq!(run(&server, &["replay", ID, "--yes"]).await.unwrap().out(), "2 jobs were made\n");
        let body = json!({
            "type": "message.received", "since": "2026-01-01T00:00:00Z", "route": "front-desk", "dry_run": true
        });
        replays(&server, body, json!({"jobs": 7, "purged": 3})).await;
        let line = [
            "replay",
            "--type",
            "message.received",
            "--since",
            "2026-01-01T00:00:00Z",
            "--route",
            "front-desk",
        ];
        let counted = run(&server, &[&line[..], &["--dry-run"]].concat()).await.unwrap();
        assert_eq!(counted.out(), "7 jobs would be made\n");
        assert_eq!(counted.err(), "3 events cannot be replayed: their bytes are no longer kept\n");
    }

    #[tokio::test]
    async fn where_nobody_can_answer_it_counts_and_does_nothing() {
        let server = MockServer::start().await;
        replays(&server, json!({"event_id": ID, "dry_run": true}), json!({"jobs": 2})).await;
        let error = run(&server, &["replay", ID]).await.err().unwrap();
        assert!(error.is::<Usage>() && error.to_string().contains("2 jobs"), "{error}");
        for line in [&["replay"][..], &["replay", ID, "--status", "read"]] {
            assert!(run(&server, line).await.err().unwrap().is::<Usage>(), "{line:?}");
        }
    }
}
