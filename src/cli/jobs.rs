//! `switchboard jobs`: work that waits, runs or needs a person.

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::admin::{Admin, Query};
use super::document;
use super::filter::{Period, add, body_of};
use super::list::{Listing, TEXT_WIDTH, text};
use super::terminal::{Terminal, clip};
use crate::clock::Clock;
use crate::model::id::JobId;
use crate::model::job::{JobKind, JobState};

/// What to do with jobs.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists unfinished and parked jobs; with --state, finished ones too
    #[command(after_help = "Example:\n  switchboard jobs list --state parked --route front-desk")]
    List(ListArgs),
    /// Shows one job and its attempts
    #[command(after_help = "Example:\n  switchboard jobs show 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z")]
    Show(One),
    /// Tries a parked job again, at the end of its lane, or all of a route or a time
    #[command(
        after_help = "Examples:\n  switchboard jobs retry 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z\n  switchboard jobs retry --route front-desk --since 2h"
    )]
    Retry(Retry),
    /// Gives a job up: it will not be tried again
    #[command(after_help = "Example:\n  switchboard jobs discard 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z")]
    Discard(One),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// In this state
    #[arg(long, value_parser = PossibleValuesParser::new(JobState::ALL.map(JobState::as_str)))]
    state: Option<String>,
    /// Deliveries to a route, or sends
    #[arg(long, value_parser = PossibleValuesParser::new([JobKind::Deliver.as_str(), JobKind::Send.as_str()]))]
    kind: Option<String>,
    /// Of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The job's id
    #[arg(value_parser = parse_id)]
    id: JobId,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["id", "kind", "route", "since", "until"]))]
struct Retry {
    /// The job's id
    #[arg(value_parser = parse_id, conflicts_with_all = ["kind", "route", "since", "until"])]
    id: Option<JobId>,
    /// All parked deliveries to a route, or all parked sends
    #[arg(long, value_parser = PossibleValuesParser::new([JobKind::Deliver.as_str(), JobKind::Send.as_str()]))]
    kind: Option<String>,
    /// All parked ones of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    period: Period,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

fn parse_id(text: &str) -> Result<JobId, &'static str> {
    JobId::parse(text).ok_or("expected a job's id, 26 letters and digits")
}

/// The columns of a table of jobs.
const HEADINGS: [&str; 8] = ["id", "state", "kind", "route", "attempts", "due", "of", "last error"];
/// What to say when no job was found.
const NONE: &str = "no jobs match (finished ones: --state done)";

/// Runs one of the commands.
pub async fn run(
    args: Args,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    match args.action {
        Action::List(args) => print_list(&args, admin, clock, terminal).await,
        Action::Show(one) => {
            let job = admin.get(&["jobs", &one.id.to_string()], &Query::new()).await?;
            Ok(document::show(&job, one.json, terminal)?)
        }
        Action::Retry(Retry { id: Some(id), json, .. }) => {
            act(&One { id, json }, "retry", admin, terminal).await
        }
        Action::Retry(retry) => retry_all(&retry, admin, clock, terminal).await,
        Action::Discard(one) => act(&one, "discard", admin, terminal).await,
    }
}

async fn print_list(
    args: &ListArgs,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let mut query = Query::new();
    add(&mut query, "state", args.state.as_deref());
    add(&mut query, "kind", args.kind.as_deref());
    add(&mut query, "route", args.route.as_deref());
    args.period.add_to(&mut query, clock.now());
    let rows = admin.list(&["jobs"], &query, args.listing.limit).await?;
    args.listing.print(&rows, HEADINGS, cells, NONE, terminal)?;
    Ok(())
}

async fn act(one: &One, action: &str, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let job = admin.post(&["jobs", &one.id.to_string(), action], &json!({})).await?;
    Ok(document::show(&job, one.json, terminal)?)
}

async fn retry_all(
    args: &Retry,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let mut which = Query::new();
    add(&mut which, "kind", args.kind.as_deref());
    add(&mut which, "route", args.route.as_deref());
    args.period.add_to(&mut which, clock.now());
    let answer = admin.work(&["jobs", "retry"], &Query::new(), &body_of(which)).await?;
    if args.json {
        return Ok(terminal.json(answer.get())?);
    }
    let answer: Value = admin.read(&answer)?;
    Ok(terminal.line(&format!("{} jobs are ready again", text(&answer, "/jobs")))?)
}

fn cells(job: &Value) -> [String; 8] {
    let of = [text(job, "/event_id"), text(job, "/message_id")];
    [
        text(job, "/id"),
        text(job, "/state"),
        text(job, "/kind"),
        text(job, "/route"),
        text(job, "/attempts"),
        text(job, "/due_at"),
        of.into_iter().find(|id| !id.is_empty()).unwrap_or_default(),
        clip(&text(job, "/last_error"), TEXT_WIDTH),
    ]
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{answer, answers, run};
    use serde_json::json;
    use wiremock::{MockServer, ResponseTemplate};

    const ID: &str = "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z";

    #[tokio::test]
    async fn a_list_shows_what_is_stuck_and_why() {
        let server = MockServer::start().await;
        let parked = json!({"id": "01J1", "kind": "deliver", "route": "front-desk", "event_id": "01E1", "state": "parked",
            "attempts": 8, "last_error": "500\nfrom the endpoint"});
        let ready = json!({"id": "01J2", "kind": "send", "message_id": "01M1", "state": "ready", "attempts": 0,
            "due_at": "2026-01-01T00:00:00Z"});
        let target = "/api/v1/jobs?state=parked&kind=deliver&route=front-desk&limit=2";
        answers(&server, target, &json!({"data": [parked, ready], "next": "more"})).await;
        let line = [
            "jobs",
            "list",
            "--state",
            "parked",
            "--kind",
            "deliver",
            "--route",
            "front-desk",
            "--limit",
            "2",
        ];
        insta::assert_snapshot!(run(&server, &line).await.unwrap().out(), @r"
        ID    STATE   KIND     ROUTE       ATTEMPTS  DUE                   OF    LAST ERROR
        01J1  parked  deliver  front-desk  8                               01E1  500 from the endpoint
        01J2  ready   send                 0         2026-01-01T00:00:00Z  01M1
        ");
    }

    #[tokio::test]
    async fn retry_and_discard_print_the_job() {
        let server = MockServer::start().await;
        for (action, state) in [("retry", "ready"), ("discard", "discarded")] {
            let response = ResponseTemplate::new(200).set_body_json(json!({"id": ID, "state": state}));
            answer(&server, "POST", &format!("/api/v1/jobs/{ID}/{action}"), response).await;
            let printed = run(&server, &["jobs", action, ID]).await.unwrap();
            assert_eq!(printed.out(), format!("id     {ID}\nstate  {state}\n"));
        }
    }

    #[tokio::test]
    async fn all_parked_jobs_of_a_route_are_retried_and_something_has_to_be_named() {
        let server = MockServer::start().await;
        let response = ResponseTemplate::new(200).set_body_json(json!({"jobs": 12}));
        answer(&server, "POST", "/api/v1/jobs/retry", response).await;
        let line = ["jobs", "retry", "--route", "front-desk", "--since", "2026-01-01T00:00:00Z"];
        assert_eq!(run(&server, &line).await.unwrap().out(), "12 jobs are ready again\n");
        let body: serde_json::Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
        assert_eq!(body, json!({"route": "front-desk", "since": "2026-01-01T00:00:00Z"}));
        for line in
            [&["switchboard", "jobs", "retry"][..], &["switchboard", "jobs", "retry", ID, "--route", "a"]]
        {
            assert!(<crate::cli::Cli as clap::Parser>::try_parse_from(line).is_err(), "{line:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_servers_words() {
        let server = MockServer::start().await;
        let problem = json!({"type": "/problems/conflict", "title": "conflict", "status": 409, "detail": "the job is done"});
        let response = ResponseTemplate::new(409).set_body_json(problem);
        answer(&server, "POST", &format!("/api/v1/jobs/{ID}/retry"), response).await;
        let error = run(&server, &["jobs", "retry", ID]).await.err().unwrap();
        assert_eq!(error.to_string(), "409 conflict: the job is done");
    }
}
