//! `switchboard messages`: what was sent, and how far it got; and sending one more.

mod send;

use std::io;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::admin::{Admin, Document, Query};
use super::document;
use super::filter::{Period, Subject, add};
use super::gist::{instead, message_gist};
use super::list::{self, Listing, TEXT_WIDTH, text};
use super::terminal::{Terminal, clip};
use crate::clock::Clock;

/// What to do with messages.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists messages, newest first
    #[command(after_help = "Example:\n  switchboard messages list --state unconfirmed --since 1d")]
    List(Box<ListArgs>),
    /// Shows one message and its timeline
    #[command(after_help = "Example:\n  switchboard messages show 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z")]
    Show {
        /// Our id of the message, or Connectly's
        #[arg(value_parser = parse_id)]
        id: String,
        /// Print the API's JSON
        #[arg(long)]
        json: bool,
    },
    /// Sends a message: words, a template, or what a file says
    #[command(after_help = send::EXAMPLES)]
    Send(Box<send::Args>),
    /// Settles an unconfirmed message: says whether it was sent after all
    #[command(after_help = RESOLVE_EXAMPLES)]
    Resolve(Resolve),
}

/// Shown below the help of `resolve`.
const RESOLVE_EXAMPLES: &str = "A message is unconfirmed when the answer to its request was lost: ask the customer, or look \
it up at Connectly. As sent it becomes `accepted`, as not sent it is queued again under the same id, at the end of its \
conversation's queue; if its 24-hour window has closed meanwhile, it expires.

Examples:
  switchboard messages list --state unconfirmed
  switchboard messages resolve 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z --sent
  switchboard messages resolve 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z --not-sent";

#[derive(Debug, clap::Args)]
struct Resolve {
    /// Our id of the message, or Connectly's
    #[arg(value_parser = parse_id)]
    id: String,
    /// It was sent
    #[arg(long, required_unless_present = "not_sent", conflicts_with = "not_sent")]
    sent: bool,
    /// It was not sent: send it now
    #[arg(long)]
    not_sent: bool,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

/// Every state that a message can be in.
const STATES: [&str; 9] =
    ["queued", "accepted", "sent", "delivered", "read", "failed", "unconfirmed", "expired", "suppressed"];
/// Every place that a message can come from.
const ORIGINS: [&str; 3] = ["reply", "api", "observed"];

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// In this state
    #[arg(long, value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Queued by a handler's reply, asked for through the API, or sent by somebody else
    #[arg(long, value_parser = PossibleValuesParser::new(ORIGINS))]
    origin: Option<String>,
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    listing: Listing,
}

/// Connectly's ids may be anything; dots alone would be read as a path.
pub(super) fn parse_id(text: &str) -> Result<String, &'static str> {
    let dots = text.chars().all(|character| character == '.');
    if dots { Err("expected a message's id") } else { Ok(text.to_owned()) }
}

/// The columns of a table of messages.
const HEADINGS: [&str; 6] = ["id", "created", "state", "to", "from", "text"];
/// What to say when no message was found.
const NONE: &str = "no messages found; they appear when a handler replies, one is sent, or a status comes in";

/// Runs one of the commands.
pub async fn run(
    args: Args,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    match args.action {
        Action::List(args) => {
            let mut query = Query::new();
            add(&mut query, "state", args.state.as_deref());
            add(&mut query, "origin", args.origin.as_deref());
            args.subject.add_to(&mut query);
            args.period.add_to(&mut query, clock.now());
            let rows = admin.list(&["messages"], &query, args.listing.limit).await?;
            args.listing.print(&rows, HEADINGS, cells, NONE, terminal)?;
        }
        Action::Show { id, json } => {
            let message = admin.get(&["messages", &id], &Query::new()).await?;
            show(&message, json, terminal)?;
        }
        Action::Send(args) => send::run(*args, admin, clock, terminal).await?,
        Action::Resolve(Resolve { id, sent, json, .. }) => {
            let message = admin.post(&["messages", &id, "resolve"], &json!({ "sent": sent })).await?;
            document::show(&message, json, terminal)?;
        }
    }
    Ok(())
}

/// Prints a message. Of a template that left in its place, the table of its steps does not say enough.
fn show(message: &Document, json: bool, terminal: &mut Terminal<'_>) -> io::Result<()> {
    document::show(message, json, terminal)?;
    match instead(&list::tree(message.get())) {
        Some(template) if !json => terminal.hint(&format!(
            "the 24-hour window was closed, so the template goes out instead, as send 2: {template}"
        )),
        Some(_) | None => Ok(()),
    }
}

fn cells(message: &Value) -> [String; 6] {
    [
        text(message, "/id"),
        text(message, "/created_at"),
        text(message, "/state"),
        text(message, "/to"),
        text(message, "/from"),
        clip(&message_gist(message), TEXT_WIDTH),
    ]
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use crate::cli::testing::{Captured, answer, answers};
    use clap::Parser as _;
    use serde_json::json;
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    async fn run(server: &MockServer, line: &[&str]) -> Captured {
        crate::cli::testing::run(server, &[&["messages"], line].concat()).await.unwrap()
    }

    #[tokio::test]
    async fn a_list_shows_where_each_message_stands() {
        let server = MockServer::start().await;
        let rows = json!([
            {"id": "01M2", "state": "read", "to": "+15550100001", "from": "+15550100002", "content": {"text": "hello"},
             "created_at": "2026-01-01T00:00:02Z"},
            {"id": "01M1", "state": "failed", "to": "+15550100001", "content": {"template": {"name": "order_update",
             "parameters": [{"name": "body_1", "value": "Ana"}, {"name": "body_2", "value": "12345"}]}},
             "created_at": "2026-01-01T00:00:01Z"},
            {"id": "01M0", "state": "sent", "content": {"listMessage": {}}, "created_at": "2026-01-01T00:00:00Z"},
        ]);
        answers(
            &server,
            "/api/v1/messages?state=read&origin=api&customer=%2B1555&limit=20",
            &json!({"data": rows, "next": null}),
        )
        .await;
        let printed =
            run(&server, &["list", "--state", "read", "--origin", "api", "--customer", "+1555"]).await;
        insta::assert_snapshot!(printed.out(), @r"
        ID    CREATED               STATE   TO            FROM          TEXT
        01M2  2026-01-01T00:00:02Z  read    +15550100001  +15550100002  hello
        01M1  2026-01-01T00:00:01Z  failed  +15550100001                [order_update] Ana, 12345
        01M0  2026-01-01T00:00:00Z  sent                                [listMessage]
        ");
    }

    #[tokio::test]
    async fn a_list_that_may_have_been_cut_says_so_to_people() {
        let row = json!({"id": "01M2", "state": "read", "created_at": "2026-01-01T00:00:02Z"});
        let page = json!({"data": [row], "next": "c1"});
        let told = "these are the first 1; --limit shows more, if there are more\n";
        for (line, told) in
            [(&["list", "--limit", "1"][..], told), (&["list", "--limit", "1", "--json"][..], "")]
        {
            let server = MockServer::start().await;
            answers(&server, "/api/v1/messages?limit=1", &page).await;
            assert_eq!(run(&server, line).await.err(), told);
        }
    }

    #[tokio::test]
    async fn one_message_is_shown_with_its_timeline() {
        let server = MockServer::start().await;
        let message = json!({"id": "01M2", "timeline": [{"at": "2026-01-01T00:00:00Z", "state": "queued"}]});
        answers(&server, "/api/v1/messages/wamid.a%2Fb", &message).await;
        insta::assert_snapshot!(run(&server, &["show", "wamid.a/b"]).await.out(), @r"
        id  01M2

        timeline:
        AT                    STATE
        2026-01-01T00:00:00Z  queued
        ");
    }

    #[tokio::test]
    async fn a_resolution_is_told_and_the_message_printed() {
        for (option, sent, state) in [("--sent", true, "accepted"), ("--not-sent", false, "queued")] {
            let server = MockServer::start().await;
            let told = Mock::given(method("POST"))
                .and(path("/api/v1/messages/01M2/resolve"))
                .and(body_json(json!({ "sent": sent })));
            let message = json!({ "id": "01M2", "state": state });
            told.respond_with(ResponseTemplate::new(200).set_body_json(message))
                .expect(1)
                .mount(&server)
                .await;
            let printed = run(&server, &["resolve", "01M2", option]).await;
            assert_eq!(printed.out(), format!("id     01M2\nstate  {state}\n"));
        }
    }

    #[tokio::test]
    async fn what_is_not_unconfirmed_cannot_be_resolved() {
        let server = MockServer::start().await;
        let problem =
            json!({"title": "Not in this state", "detail": "only an unconfirmed message can be resolved"});
        let refusal = ResponseTemplate::new(409).set_body_json(problem);
        answer(&server, "POST", "/api/v1/messages/01M2/resolve", refusal).await;
        let line = ["messages", "resolve", "01M2", "--sent"];
        let error = crate::cli::testing::run(&server, &line).await.err().unwrap();
        let told = "409 Not in this state: only an unconfirmed message can be resolved";
        assert_eq!(error.to_string(), told);
    }

    #[test]
    fn a_resolution_says_one_thing() {
        for line in [&["resolve", "01M2"] as &[&str], &["resolve", "01M2", "--sent", "--not-sent"]] {
            let error = Cli::try_parse_from([&["switchboard", "messages"], line].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
    }
}
