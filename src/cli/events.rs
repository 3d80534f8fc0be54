//! `switchboard events`: stored events, one or many, as they are or as they come.

use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::admin::{Admin, Query};
use super::document;
use super::filter::{Period, Subject, add};
use super::list::{Listing, TEXT_WIDTH, text};
use super::terminal::{Terminal, clip};
use super::watch::Watch;
use super::{export, tail, until};
use crate::clock::Clock;
use crate::connectly::event::status::Status;
use crate::model::event::EventType;
use crate::model::id::EventId;

/// What to do with events.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists events, newest first
    #[command(after_help = "Example:\n  switchboard events list --type message.failed --since 2h")]
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        period: Period,
        #[command(flatten)]
        listing: Listing,
    },
    /// Shows one event
    #[command(after_help = "Example:\n  switchboard events show 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z")]
    Show {
        /// The event's id
        #[arg(value_parser = parse_id)]
        id: EventId,
        /// Print the API's JSON
        #[arg(long)]
        json: bool,
    },
    /// Writes an event's body, to the byte as Connectly signed it
    #[command(after_help = "Example:\n  switchboard events body 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z > body.json")]
    Body {
        /// The event's id
        #[arg(value_parser = parse_id)]
        id: EventId,
    },
    /// Prints events as they come, until Ctrl-C
    #[command(after_help = "Example:\n  switchboard events tail --customer +15550100001")]
    Tail {
        #[command(flatten)]
        filter: Filter,
        /// Print each event's JSON on a line of its own
        #[arg(long)]
        json: bool,
    },
    /// Writes every event that matches, newest first, as JSON lines or CSV
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
}

/// Which events.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(EventType::ALL.map(EventType::as_str)))]
    event_type: Option<String>,
    /// Of this status
    #[arg(long, value_parser = PossibleValuesParser::new(Status::ALL.map(Status::as_str)))]
    status: Option<String>,
    /// With this error code of Connectly's
    #[arg(long, value_name = "CODE")]
    error_code: Option<String>,
    #[command(flatten)]
    pub(super) subject: Subject,
}

impl Filter {
    /// As the API takes it.
    pub(super) fn query(&self) -> Query {
        let mut query = Query::new();
        add(&mut query, "type", self.event_type.as_deref());
        add(&mut query, "status", self.status.as_deref());
        add(&mut query, "error_code", self.error_code.as_deref());
        self.subject.add_to(&mut query);
        query
    }
}

pub(super) fn parse_id(text: &str) -> Result<EventId, &'static str> {
    EventId::parse(text).ok_or("expected an event's id, 26 letters and digits")
}

/// The columns of a table of events.
const HEADINGS: [&str; 6] = ["id", "received", "type", "customer", "business", "text"];
/// What to say when no event was found.
const NONE: &str = "no events match";

/// Runs one of the commands.
pub async fn run(
    args: Args,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    match args.action {
        Action::List { filter, period, listing } => {
            let mut query = filter.query();
            period.add_to(&mut query, clock.now());
            let rows = admin.list(&["events"], &query, listing.limit).await?;
            listing.print(&rows, HEADINGS, cells, NONE, terminal)?;
        }
        Action::Show { id, json } => {
            let event = admin.get(&["events", &id.to_string()], &Query::new()).await?;
            document::show(&event, json, terminal)?;
        }
        Action::Body { id } => terminal.bytes(&admin.bytes(&["events", &id.to_string(), "body"]).await?)?,
        Action::Tail { filter, json } => {
            let watch = Watch::begin(admin, filter.query()).await?;
            tail::run(&watch, json, until::interrupted(), terminal).await?;
        }
        Action::Export(args) => export::run(args, admin, clock, terminal).await?,
    }
    Ok(())
}

/// An event as a row.
pub fn cells(event: &Value) -> [String; 6] {
    let customer = [text(event, "/customer/phone"), text(event, "/customer/user_id")];
    [
        text(event, "/id"),
        text(event, "/received_at"),
        text(event, "/type"),
        customer.into_iter().find(|name| !name.is_empty()).unwrap_or_default(),
        text(event, "/business/id"),
        clip(&gist(event), TEXT_WIDTH),
    ]
}

/// What an event says, in a few words: the text, the kind of what was sent, or the message that a status is about.
fn gist(event: &Value) -> String {
    let (said, kind) = (text(event, "/content/text"), text(event, "/content/kind"));
    if !said.is_empty() {
        return said;
    }
    if !kind.is_empty() {
        return format!("[{kind}]");
    }
    let (code, message) = (text(event, "/error/code"), text(event, "/provider_message_id"));
    if code.is_empty() { message } else { format!("{message} {code}") }
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{answer, answers, run};
    use serde_json::{Value, json};
    use wiremock::{MockServer, ResponseTemplate};

    const ID: &str = "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z";

    fn event(number: usize) -> Value {
        json!({"id": format!("01E{number}"), "type": "message.received", "received_at": "2026-01-01T00:00:00.123Z",
            "customer": {"phone": "+15550100001", "user_id": null}, "business": {"id": "+15550100002"},
            "content": {"kind": "text", "text": format!("hi\u{1b}[2J {number}")}})
    }

    #[tokio::test]
    async fn a_list_shows_what_each_event_says() {
        let server = MockServer::start().await;
        let image = json!({"id": "01E2", "type": "message.received", "received_at": "2026-01-01T00:00:00Z",
            "customer": {"phone": null, "user_id": "US.1"}, "content": {"kind": "image"}});
        let failed = json!({"id": "01E3", "type": "message.failed", "received_at": "2026-01-01T00:00:00Z",
            "provider_message_id": "01P1", "error": {"code": "ERROR_CODE_X"}});
        let page = json!({"data": [event(1), image, failed], "next": null});
        let target = "/api/v1/events?type=message.received&customer=%2B1555&business=%2B2&provider_message_id=01P1\
            &since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z&limit=20";
        answers(&server, target, &page).await;
        let line = "events list --type message.received --customer +1555 --business +2 --provider-message-id 01P1 \
            --since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z";
        let line: Vec<_> = line.split_whitespace().collect();
        insta::assert_snapshot!(run(&server, &line).await.unwrap().out(), @r"
        ID    RECEIVED                  TYPE              CUSTOMER      BUSINESS      TEXT
        01E1  2026-01-01T00:00:00.123Z  message.received  +15550100001  +15550100002  hi[2J 1
        01E2  2026-01-01T00:00:00Z      message.received  US.1                        [image]
        01E3  2026-01-01T00:00:00Z      message.failed                                01P1 ERROR_CODE_X
        ");
    }

    #[tokio::test]
    async fn a_long_list_turns_pages_until_it_has_enough() {
        let server = MockServer::start().await;
        let first: Vec<_> = (0..200).map(event).collect();
        let second: Vec<_> = (200..205).map(event).collect();
        answers(&server, "/api/v1/events?limit=200", &json!({"data": first, "next": "c1"})).await;
        answers(&server, "/api/v1/events?limit=5&cursor=c1", &json!({"data": second, "next": "c2"})).await;
        let printed = run(&server, &["events", "list", "--limit", "205", "--json"]).await.unwrap();
        let rows: Vec<Value> = serde_json::from_str(printed.out()).unwrap();
        assert_eq!(rows, [first, second].concat());
    }

    #[tokio::test]
    async fn an_empty_list_is_no_failure() {
        let server = MockServer::start().await;
        answers(&server, "/api/v1/events", &json!({"data": [], "next": null})).await;
        let printed = run(&server, &["events", "list"]).await.unwrap();
        assert_eq!(printed.out(), "");
        assert_eq!(printed.err(), format!("{}\n", super::NONE));
    }

    #[tokio::test]
    async fn one_event_is_shown_for_people_or_as_it_came() {
        let server = MockServer::start().await;
        let raw = r#"{"id":"01E1","callback_data":{"big":12345678901234567890123},"content":{"text":"a"}}"#;
        let response = || ResponseTemplate::new(200).set_body_string(raw);
        answer(&server, "GET", &format!("/api/v1/events/{ID}"), response()).await;
        insta::assert_snapshot!(run(&server, &["events", "show", ID]).await.unwrap().out(), @r#"
        id             01E1
        callback_data  {"big":12345678901234567890123}
        content.text   a
        "#);
        server.reset().await;
        answer(&server, "GET", &format!("/api/v1/events/{ID}"), response()).await;
        let printed = run(&server, &["events", "show", ID, "--json"]).await.unwrap();
        assert_eq!(printed.out(), format!("{raw}\n"));
    }

    #[tokio::test]
    async fn a_body_is_written_to_the_byte() {
        let server = MockServer::start().await;
        let response = ResponseTemplate::new(200).set_body_string("{\"a\": \u{1b}\n}");
        answer(&server, "GET", &format!("/api/v1/events/{ID}/body"), response).await;
        assert_eq!(run(&server, &["events", "body", ID]).await.unwrap().out(), "{\"a\": \u{1b}\n}");
    }
}
