//! `switchboard why`: what happened to a message, and what to do about it.

use serde_json::Value;

use super::Usage;
use super::admin::{Admin, Document, Query};
use super::filter::{Period, Subject};
use super::gist::{gist, instead, template_gist};
use super::list::{self, text};
use super::messages::parse_id;
use super::pauses::sends_are_paused;
use super::table::aligned;
use super::terminal::Terminal;
use crate::clock::Clock;

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  switchboard why 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z
  switchboard why --callback order_id=12345
  switchboard why --customer +15550100001 --since 1d";

/// Which messages.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Our id of the message, or Connectly's; absent: those that the filters find
    #[arg(value_parser = parse_id)]
    id: Option<String>,
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    period: Period,
    /// How many messages at most, the newest
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// Print the API's JSON, as one array
    #[arg(long)]
    json: bool,
}

/// What a state means where no error says it, and what to do about it.
const STATES: [(&str, &str); 8] = [
    ("queued", "it has not left yet: `switchboard jobs list --kind send` shows what it waits for"),
    ("accepted", "Connectly took it; no status has come yet"),
    ("sent", "it is on its way to the customer's phone, which may be switched off"),
    (
        "delivered",
        "it is on the customer's phone; that it was read may never be told, since receipts can be off",
    ),
    ("read", "the customer has read it"),
    (
        "unconfirmed",
        "the answer to its request was lost, so nobody knows whether it was sent: find out, and tell with `switchboard messages resolve`",
    ),
    (
        "expired",
        "the customer's 24-hour window was closed when it was to leave: send a template, or wait until they write",
    ),
    (
        "suppressed",
        "the customer has opted out: `switchboard customers opt-in` when they want messages again",
    ),
];

/// What to say of a message that waits for somebody to resume sends.
const PAUSED: &str = "it has not left yet: sends are paused until `switchboard resume --sends`";

/// Tells it of each message, the oldest first.
pub async fn run(
    args: Args,
    admin: &Admin,
    clock: &Clock,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let messages = find(&args, admin, clock).await?;
    if args.json {
        return Ok(list::json(&messages, terminal)?);
    }
    if messages.is_empty() {
        anyhow::bail!(
            "no message was found: `switchboard events list` takes the same filters, and shows what came in"
        );
    }
    for (number, message) in messages.iter().enumerate() {
        if number > 0 {
            terminal.line("")?;
        }
        tell(&admin.read(message)?, admin, terminal).await?;
    }
    Ok(())
}

async fn find(args: &Args, admin: &Admin, clock: &Clock) -> anyhow::Result<Vec<Document>> {
    let mut query = Query::new();
    args.subject.add_to(&mut query);
    args.period.add_to(&mut query, clock.now());
    let ids = match &args.id {
        Some(_) if !query.is_empty() => {
            return Err(Usage("a message's id stands alone: no filters beside it".to_owned()).into());
        }
        Some(id) => vec![id.clone()],
        None if query.is_empty() => {
            return Err(Usage(
                "say which message: its id, --callback order_id=12345, or --customer".to_owned(),
            )
            .into());
        }
        None => {
            let listed = admin.list(&["messages"], &query, args.limit as usize).await?;
            let rows = listed.iter().rev().map(|row| admin.read::<Value>(row));
            rows.map(|row| Ok(text(&row?, "/id"))).collect::<anyhow::Result<_>>()?
        }
    };
    let mut messages = Vec::with_capacity(ids.len());
    for id in ids {
        messages.push(admin.get(&["messages", &id], &Query::new()).await?);
    }
    Ok(messages)
}

/// Tells what happened to one message.
pub async fn tell(message: &Value, admin: &Admin, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
    let state = text(message, "/state");
    let so = if state == "queued" && sends_are_paused(admin).await? {
        PAUSED
    } else {
        STATES.iter().find(|(name, _)| *name == state).map_or("", |(_, meaning)| meaning)
    };
    let from = Some(text(message, "/from")).filter(|from| !from.is_empty());
    terminal.line(&format!(
        "{} to {}{}: {state}",
        text(message, "/id"),
        text(message, "/to"),
        from.map(|from| format!(" from {from}")).unwrap_or_default()
    ))?;
    let facts = [
        ("said", gist(&message["content"])),
        ("fallback", message.get("fallback").map(template_gist).unwrap_or_default()),
        ("made by", origin(&text(message, "/origin")).to_owned()),
        ("at connectly", text(message, "/provider_message_id")),
        ("callback data", text(message, "/callback_data")),
        ("campaign", text(message, "/campaign")),
    ];
    sheet(&facts, terminal)?;
    terminal.line("")?;
    timeline(message, terminal)?;
    terminal.line("")?;
    Ok(sheet(&cause(message, so), terminal)?)
}

/// A step a line. Those of a template that left in the message's place stand behind the reason.
fn timeline(message: &Value, terminal: &mut Terminal<'_>) -> std::io::Result<()> {
    let entries = message["timeline"].as_array().map_or(&[][..], Vec::as_slice);
    let (own, of_template): (Vec<&Value>, Vec<_>) =
        entries.iter().partition(|entry| entry.get("send").is_none());
    let step =
        |entry: &Value, of: &str| [text(entry, "/at"), text(entry, "/state"), lag(entry), of.to_owned()];
    let mut steps: Vec<_> = own.into_iter().map(|entry| step(entry, "")).collect();
    if let Some(template) = instead(message) {
        let why = format!("the 24-hour window was closed, so the template goes out instead: {template}");
        steps.push([String::new(), "expired".to_owned(), why, String::new()]);
    }
    steps.extend(of_template.into_iter().map(|entry| step(entry, "template")));
    steps.iter().try_for_each(|cells| terminal.line(&format!("  {}", aligned(cells, &[24, 12, 12, 0]))))
}

/// Names and values below each other, those that there are.
fn sheet(facts: &[(&str, String)], terminal: &mut Terminal<'_>) -> std::io::Result<()> {
    let told: Vec<_> = facts.iter().filter(|(_, value)| !value.is_empty()).collect();
    told.iter()
        .try_for_each(|(name, value)| terminal.line(&format!("  {}", aligned(&[*name, value], &[13, 0]))))
}

fn origin(origin: &str) -> &str {
    match origin {
        "reply" => "a handler's reply",
        "api" => "a request to the API",
        "observed" => "somebody else: a campaign, or a person at Connectly",
        other => other,
    }
}

/// How long after the step before it, for people.
fn lag(entry: &Value) -> String {
    let Some(lag) = entry["lag_ms"].as_u64() else { return String::new() };
    let (seconds, millis) = (lag / 1000, lag % 1000);
    match seconds {
        0 => format!("+{millis} ms"),
        1..60 => format!("+{seconds}.{} s", millis / 100),
        60..3600 => format!("+{} min {} s", seconds / 60, seconds % 60),
        _ => format!("+{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Why it is where it is, and what helps.
fn cause(message: &Value, so: &str) -> Vec<(&'static str, String)> {
    let error = &message["error"];
    if error.is_null() {
        return vec![("so", so.to_owned())];
    }
    let codes = [text(error, "/code"), text(error, "/type"), text(error, "/message"), text(error, "/title")];
    let told: Vec<String> = codes.into_iter().filter(|code| !code.is_empty()).collect();
    let resend = match error["retryable"].as_bool() {
        Some(true) => "may help",
        Some(false) => "cannot help",
        None => "",
    };
    vec![
        ("cause", told.join(", ")),
        ("meaning", text(error, "/meaning")),
        ("what to do", text(error, "/advice")),
        ("sending again", resend.to_owned()),
        ("trace id", text(error, "/trace_id")),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::MockServer;

    use crate::cli::Usage;
    use crate::cli::testing::{answers, run};

    const ID: &str = "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z";

    fn failed() -> serde_json::Value {
        json!({
            "id": ID, "state": "failed", "origin": "api", "from": "+15550100002", "to": "+15550100001",
            "provider_message_id": "01PROVIDER", "content": {"text": "Your order has shipped"},
            "callback_data": {"order_id": "12345"}, "campaign": "spring",
            "error": {"code": "131049", "message": "Not delivered", "meaning": "too many marketing messages",
                "retryable": false, "advice": "wait a day", "trace_id": "trace-7"},
            "timeline": [
                {"state": "queued", "at": "2026-01-01T00:00:00Z"},
                {"state": "accepted", "at": "2026-01-01T00:00:00.120Z", "lag_ms": 120},
                {"state": "sent", "at": "2026-01-01T00:00:02Z", "lag_ms": 1880},
                {"state": "failed", "at": "2026-01-01T01:02:02Z", "lag_ms": 3_720_000}
            ]
        })
    }

    #[tokio::test]
    async fn a_failure_is_told_with_its_cause_and_what_to_do() {
        let server = MockServer::start().await;
        let list = "/api/v1/messages?callback_data.order_id=12345&limit=5";
        answers(&server, list, &json!({"data": [failed()], "next": null})).await;
        answers(&server, &format!("/api/v1/messages/{ID}"), &failed()).await;
        let printed = run(&server, &["why", "--callback", "order_id=12345"]).await.unwrap();
        insta::assert_snapshot!(printed.out(), @r#"
        01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z to +15550100001 from +15550100002: failed
          said           Your order has shipped
          made by        a request to the API
          at connectly   01PROVIDER
          callback data  {"order_id":"12345"}
          campaign       spring

          2026-01-01T00:00:00Z      queued
          2026-01-01T00:00:00.120Z  accepted      +120 ms
          2026-01-01T00:00:02Z      sent          +1.8 s
          2026-01-01T01:02:02Z      failed        +1 h 2 min

          cause          131049, Not delivered
          meaning        too many marketing messages
          what to do     wait a day
          sending again  cannot help
          trace id       trace-7
        "#);
    }

    #[tokio::test]
    async fn what_did_not_fail_says_what_its_state_means() {
        let server = MockServer::start().await;
        let message = json!({"id": ID, "state": "unconfirmed", "origin": "reply", "to": "US.1", "content": {"text": "hi"},
            "timeline": [{"state": "queued", "at": "2026-01-01T00:00:00Z"}]});
        answers(&server, &format!("/api/v1/messages/{ID}"), &message).await;
        let printed = run(&server, &["why", ID]).await.unwrap();
        insta::assert_snapshot!(printed.out(), @r"
        01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z to US.1: unconfirmed
          said           hi
          made by        a handler's reply

          2026-01-01T00:00:00Z      queued

          so             the answer to its request was lost, so nobody knows whether it was sent: find out, and tell with `switchboard messages resolve`
        ");
    }

    #[tokio::test]
    async fn what_is_queued_says_whether_it_waits_for_a_person() {
        let message =
            json!({"id": ID, "state": "queued", "origin": "api", "to": "US.1", "content": {"text": "hi"}});
        for (paused, so) in
            [(true, "switchboard resume --sends"), (false, "switchboard jobs list --kind send")]
        {
            let server = MockServer::start().await;
            answers(&server, &format!("/api/v1/messages/{ID}"), &message).await;
            answers(&server, "/api/v1/pauses", &json!({"sends": paused, "routes": []})).await;
            let printed = run(&server, &["why", ID]).await.unwrap();
            assert!(printed.out().contains(so), "{}", printed.out());
        }
    }

    #[tokio::test]
    async fn a_template_that_went_out_instead_is_told_apart() {
        let server = MockServer::start().await;
        let message = json!({"id": ID, "state": "read", "origin": "api", "kind": "template", "to": "+15550100001",
        "content": {"text": "Your order has shipped"}, "fallback": {"template": "reopen", "language": "en"},
        "timeline": [
            {"state": "queued", "at": "2026-01-01T00:00:00Z"},
            {"state": "accepted", "at": "2026-01-01T00:00:00.120Z", "lag_ms": 120},
            {"state": "accepted", "at": "2026-01-01T00:00:02.500Z", "lag_ms": 500, "send": 2},
            {"state": "failed", "at": "2026-01-01T00:00:02Z", "lag_ms": 1880},
            {"state": "read", "at": "2026-01-01T01:02:02Z", "lag_ms": 3_720_000, "send": 2}
        ]});
        answers(&server, &format!("/api/v1/messages/{ID}"), &message).await;
        let printed = run(&server, &["why", ID]).await.unwrap();
        insta::assert_snapshot!(printed.out(), @r"
        01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z to +15550100001: read
          said           Your order has shipped
          fallback       [reopen]
          made by        a request to the API

          2026-01-01T00:00:00Z      queued
          2026-01-01T00:00:00.120Z  accepted      +120 ms
          2026-01-01T00:00:02Z      failed        +1.8 s
                                    expired       the 24-hour window was closed, so the template goes out instead: [reopen]
          2026-01-01T00:00:02.500Z  accepted      +500 ms       template
          2026-01-01T01:02:02Z      read          +1 h 2 min    template

          so             the customer has read it
        ");
    }

    #[tokio::test]
    async fn no_message_is_a_failure_and_no_question_wrong_usage() {
        let server = MockServer::start().await;
        answers(&server, "/api/v1/messages?customer=%2B1555&limit=5", &json!({"data": [], "next": null}))
            .await;
        let error = run(&server, &["why", "--customer", "+1555"]).await.err().unwrap();
        assert!(!error.is::<Usage>() && error.to_string().contains("events list"), "{error}");
        for line in [&["why"][..], &["why", ID, "--campaign", "spring"]] {
            assert!(run(&server, line).await.err().unwrap().is::<Usage>(), "{line:?}");
        }
    }
}
