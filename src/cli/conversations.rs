//! `switchboard conversations`: who may still be answered freely, what was said, and what handlers keep.

use serde_json::Value;

use super::admin::{Admin, Document, Query};
use super::confirm::confirm;
use super::document;
use super::filter::add;
use super::gist::gist;
use super::list::{Listing, TEXT_WIDTH, text};
use super::table::Table;
use super::terminal::{Terminal, clip};
use crate::model::id::ConversationId;

/// What to do with conversations.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists conversations and their 24-hour windows, newest first
    #[command(
        after_help = "Examples:\n  switchboard conversations list --customer +15550100001\n  switchboard conversations list --closing"
    )]
    List(ListArgs),
    /// Shows one conversation and what was said last
    #[command(after_help = "Example:\n  switchboard conversations show 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z")]
    Show {
        /// The conversation's id
        #[arg(value_parser = parse_id)]
        id: ConversationId,
        /// How many lines at most, the newest
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// Print the API's JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows what a route's handler keeps for a conversation, or clears it
    #[command(
        after_help = "A job that is under way has the state still, and may write it anew when it is done: `pause --route` first where that must not be.\n\nExamples:\n  switchboard conversations state 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z front-desk\n  switchboard conversations state 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z front-desk --clear"
    )]
    State(StateArgs),
}

#[derive(Debug, clap::Args)]
struct StateArgs {
    /// The conversation's id
    #[arg(value_parser = parse_id)]
    id: ConversationId,
    /// The route's name
    route: String,
    /// Remove it: the handler finds none with the next event
    #[arg(long)]
    clear: bool,
    /// Do not ask
    #[arg(long, requires = "clear")]
    yes: bool,
    /// Print the API's JSON; of what is cleared there is none
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Of this customer: a phone number, a user id or our id
    #[arg(long, value_name = "CUSTOMER")]
    customer: Option<String>,
    /// With this business number
    #[arg(long, value_name = "NUMBER")]
    business: Option<String>,
    /// Of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only those with an open window, the one that closes first on top
    #[arg(long)]
    closing: bool,
    #[command(flatten)]
    listing: Listing,
}

fn parse_id(text: &str) -> Result<ConversationId, &'static str> {
    ConversationId::parse(text).ok_or("expected a conversation's id, 26 letters and digits")
}

/// The columns of a table of conversations.
pub(super) const HEADINGS: [&str; 6] = ["id", "customer", "business", "window", "until", "name"];
/// What to say when no conversation was found.
const NONE: &str = "no conversations match; one begins when a customer writes, or is written to";

/// Runs one of the commands.
pub async fn run(args: Args, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    match args.action {
        Action::List(args) => {
            let rows = admin.list(&["conversations"], &query(&args), args.listing.limit).await?;
            args.listing.print(&rows, HEADINGS, cells, NONE, terminal)?;
        }
        Action::Show { id, limit, json } => {
            let query = Query::from([("limit".to_owned(), limit.to_string())]);
            let conversation = admin.get(&["conversations", &id.to_string()], &query).await?;
            if json {
                document::show(&conversation, true, terminal)?;
            } else {
                show(&conversation, admin, terminal)?;
            }
        }
        Action::State(args) if args.clear => clear_state(&args, admin, terminal).await?,
        Action::State(args) => {
            let path = ["conversations", &args.id.to_string(), "state", &args.route];
            let state = admin.get(&path, &Query::new()).await?;
            document::show(&state, args.json, terminal)?;
        }
    }
    Ok(())
}

async fn clear_state(args: &StateArgs, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let StateArgs { id, route, .. } = args;
    let question = format!("what {route} keeps for {id} will be gone, and cannot be brought back");
    if !confirm(args.yes, &question, terminal)? {
        return Ok(());
    }
    admin.remove(&["conversations", &id.to_string(), "state", route]).await?;
    if !args.json {
        terminal.line("cleared")?;
    }
    Ok(())
}

fn query(args: &ListArgs) -> Query {
    let mut query = Query::new();
    add(&mut query, "customer", args.customer.as_deref());
    add(&mut query, "business", args.business.as_deref());
    add(&mut query, "account", args.account.as_deref());
    add(&mut query, "order", args.closing.then_some("closing"));
    query
}

/// The window in a word.
fn window(conversation: &Value) -> &'static str {
    match conversation.pointer("/window/open") {
        Some(Value::Bool(true)) => "open",
        _ => "closed",
    }
}

/// Who it is with, by what they are known.
fn customer(row: &Value) -> String {
    let known = [text(row, "/customer/phone"), text(row, "/customer/user_id"), text(row, "/customer/id")];
    known.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

/// A conversation as a row.
pub(super) fn cells(conversation: &Value) -> [String; 6] {
    [
        text(conversation, "/id"),
        customer(conversation),
        text(conversation, "/business/id"),
        window(conversation).to_owned(),
        text(conversation, "/window/closes_at"),
        clip(&text(conversation, "/customer/name"), TEXT_WIDTH),
    ]
}

/// Its head, and then what was said, a line each.
fn show(conversation: &Document, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let mut head: Value = admin.read(conversation)?;
    let timeline = head["timeline"].take();
    let next = head["next"].take();
    let mut table = Table::new(["at", "who", "state", "text"]);
    for entry in timeline.as_array().into_iter().flatten() {
        let who = if text(entry, "/direction") == "in" { "customer" } else { "we" };
        let said = gist(&entry["content"]);
        table.row([text(entry, "/at"), who.to_owned(), text(entry, "/state"), clip(&said, TEXT_WIDTH)]);
    }
    let (closes, window) = (text(&head, "/window/closes_at"), window(&head));
    let until = match (closes.as_str(), window) {
        ("", _) => String::new(),
        (at, "open") => format!(" until {at}"),
        (at, _) => format!(" since {at}"),
    };
    terminal.line(&format!(
        "{} with {}: window {window}{until}",
        customer(&head),
        text(&head, "/business/id")
    ))?;
    let opted_out = text(&head, "/opted_out_at");
    if !opted_out.is_empty() {
        terminal.line(&format!("opted out at {opted_out}"))?;
    }
    terminal.line("")?;
    table.write(terminal)?;
    if !next.is_null() {
        terminal.hint("more was said before: --limit shows up to 200 lines")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::{MockServer, ResponseTemplate};

    use crate::cli::Usage;
    use crate::cli::testing::{answer, answers, run};

    const ID: &str = "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z";

    #[tokio::test]
    async fn who_is_about_to_fall_out_of_the_window_stands_on_top() {
        let server = MockServer::start().await;
        let conversation = json!({
            "id": ID, "business": {"id": "+15550100002"}, "customer": {"phone": "+15550100001", "name": "Ana"},
            "window": {"open": true, "closes_at": "2026-01-01T12:00:00Z"}
        });
        let target = "/api/v1/conversations?business=%2B15550100002&order=closing&limit=20";
        answers(&server, target, &json!({"data": [conversation], "next": null})).await;
        let line = ["conversations", "list", "--closing", "--business", "+15550100002"];
        insta::assert_snapshot!(run(&server, &line).await.unwrap().out(), @r"
        ID                          CUSTOMER      BUSINESS      WINDOW  UNTIL                 NAME
        01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z  +15550100001  +15550100002  open    2026-01-01T12:00:00Z  Ana
        ");
    }

    #[tokio::test]
    async fn one_is_shown_with_what_was_said() {
        let server = MockServer::start().await;
        let conversation = json!({
            "id": ID, "business": {"id": "+15550100002"}, "customer": {"phone": null, "user_id": "US.1", "name": "Ana"},
            "window": {"open": false, "closes_at": "2026-01-01T12:00:00Z"}, "opted_out_at": "2026-01-01T00:00:00Z",
            "timeline": [
                {"at": "2025-12-31T12:00:00Z", "direction": "in", "event_id": "01E1", "content": {"kind": "text", "text": "hi"}},
                {"at": "2025-12-31T12:00:01Z", "direction": "out", "message_id": "01M1", "state": "read",
                 "content": {"template": {"name": "welcome"}}},
                {"at": "2025-12-31T12:00:02Z", "direction": "in", "event_id": "01E2", "content": {"kind": "image"}}
            ],
            "next": "more"
        });
        answers(&server, &format!("/api/v1/conversations/{ID}?limit=50"), &conversation).await;
        let printed = run(&server, &["conversations", "show", ID]).await.unwrap();
        insta::assert_snapshot!(printed.out(), @r"
        US.1 with +15550100002: window closed since 2026-01-01T12:00:00Z
        opted out at 2026-01-01T00:00:00Z

        AT                    WHO       STATE  TEXT
        2025-12-31T12:00:00Z  customer         hi
        2025-12-31T12:00:01Z  we        read   [welcome]
        2025-12-31T12:00:02Z  customer         [image]
        ");
        assert_eq!(printed.err(), "more was said before: --limit shows up to 200 lines\n");
    }

    #[tokio::test]
    async fn what_a_handler_keeps_is_shown_as_it_wrote_it() {
        let server = MockServer::start().await;
        let state = json!({"route": "front desk", "conversation_id": ID, "state": {"step": 2, "cart": [{"sku": "a"}]},
            "updated_at": "2026-01-01T00:00:00Z"});
        answers(&server, &format!("/api/v1/conversations/{ID}/state/front%20desk"), &state).await;
        let printed = run(&server, &["conversations", "state", ID, "front desk"]).await.unwrap();
        insta::assert_snapshot!(printed.out(), @r#"
        conversation_id  01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z
        route            front desk
        state            {"cart":[{"sku":"a"}],"step":2}
        updated_at       2026-01-01T00:00:00Z
        "#);
    }

    #[tokio::test]
    async fn what_a_handler_keeps_is_not_cleared_unasked() {
        let server = MockServer::start().await;
        let line = ["conversations", "state", ID, "front-desk", "--clear"];
        let error = run(&server, &line).await.err().unwrap();
        assert!(error.is::<Usage>() && error.to_string().contains("--yes"), "{error}");
        let target = format!("/api/v1/conversations/{ID}/state/front-desk");
        for (json, printed) in [(&[][..], "cleared\n"), (&["--json"][..], "")] {
            let server = MockServer::start().await;
            answer(&server, "DELETE", &target, ResponseTemplate::new(204)).await;
            let cleared = run(&server, &[&line[..], &["--yes"], json].concat()).await.unwrap();
            assert_eq!((cleared.out(), cleared.err()), (printed, ""));
        }
        answer(&server, "DELETE", &target, ResponseTemplate::new(404)).await;
        let error = run(&server, &[&line[..], &["--yes"]].concat()).await.err().unwrap();
        let told = format!("404 not found: front-desk keeps nothing for a conversation with the id {ID}");
        assert_eq!(error.to_string(), told);
    }
}
