//! P9: a reply leaves from the number the customer wrote to, unless it names another.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use switchboard::emulator::{Inbound, SendFault};
use switchboard::{App, Context, Event, Handler, HandlerResult, Outcome, Reply};

use crate::support::desk::ECHO;
use crate::support::webhooks::CUSTOMER;
use crate::support::{Backend, Desk};

const NUMBERS: [&str; 3] = ["+15550100002", "+15550100003", "+15550100004"];

fn to(number: &str) -> Inbound {
    Inbound { to: Some(number.to_owned()), ..Inbound::text(number) }
}

#[rstest]
#[tokio::test]
async fn p9_a_reply_leaves_from_the_number_the_customer_wrote_to(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    for number in NUMBERS {
        desk.says(to(number)).await;
    }
    desk.settled().await;
    let mut sent: Vec<_> = desk
        .sent()
        .iter()
        .map(|message| (message.from.clone(), message.body["message"]["text"].clone()))
        .collect();
    sent.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = NUMBERS.map(|number| (number.to_owned(), format!("You said: {number}").into()));
    assert_eq!(sent, expected);
    desk.stop().await;
}

/// Answers from another number.
struct Elsewhere;

impl Handler for Elsewhere {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        let text = event.content().and_then(|content| content.text.as_deref());
        let asks = text == Some("switch");
        Ok(if asks { Reply::text("from here").from_number(NUMBERS[1]).into() } else { Outcome::ignored() })
    }
}

#[rstest]
#[tokio::test]
async fn p9_a_reply_that_names_another_number_leaves_from_there_in_its_window(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let route = "[[routes]]\nname = \"else\"\non = [\"message.received\"]\nhandler = \"elsewhere\"\n";
    let desk = Desk::with(backend, App::new().handler("elsewhere", Elsewhere), route).await;
    let ask = || Inbound { to: Some(NUMBERS[0].to_owned()), ..Inbound::text("switch") };
    // The customer has never written to the other number: its window is closed.
    desk.says(ask()).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["expired"]);
    desk.says(to(NUMBERS[1])).await;
    desk.says(ask()).await;
    desk.settled().await;
    assert_eq!(desk.sent().iter().map(|message| message.from.as_str()).collect::<Vec<_>>(), [NUMBERS[1]]);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p9_without_a_number_the_newest_open_window_decides(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let hi = json!({ "to": CUSTOMER, "message": { "text": "hi" } });
    let refused = async || {
        let answer = desk.admin(reqwest::Method::POST, "/api/v1/messages", &hi).await;
        assert_eq!(answer.status(), 422);
        assert_eq!(answer.json::<Value>().await.unwrap()["parameter"], "from");
    };
    refused().await;
    for number in NUMBERS {
        desk.says(to(number)).await;
        assert_eq!(desk.submit(&hi).await["from"], number);
        desk.advance(Duration::from_secs(2));
    }
    // Who was written to last is not who wrote last.
    desk.submit(&json!({ "to": CUSTOMER, "from": NUMBERS[0], "message": { "text": "hi" } })).await;
    assert_eq!(desk.submit(&hi).await["from"], NUMBERS[2]);
    desk.settled().await;
    let from: Vec<_> = desk.sent().iter().map(|message| message.from.clone()).collect();
    assert_eq!(from.len(), 5, "{from:?}");
    // Another customer has no window; and after a day nobody has.
    let other = json!({ "to": "+15550100009", "message": { "text": "hi" } });
    assert_eq!(desk.admin(reqwest::Method::POST, "/api/v1/messages", &other).await.status(), 422);
    desk.advance(Duration::from_hours(24));
    refused().await;
    assert_eq!(desk.sent().len(), 5);
    desk.stop().await;
}

/// Answers everything, with a template for what is late.
const ECHO_WITH_FALLBACK: &str = r#"
[[routes]]
name = "echo"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = { any = true }
  reply = { text = "{{ event.content.text }}" }
  fallback = { template = "reopen", language = "en" }
"#;

/// Connectly chooses the wrong number for whoever names none: no request of ours does.
#[rstest]
#[tokio::test]
async fn p9_every_request_names_its_sender(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let desk = Desk::start(backend, ECHO_WITH_FALLBACK).await;
    for number in NUMBERS {
        desk.says(to(number)).await;
    }
    desk.settled().await;
    desk.emulator.inject(SendFault::WrongSender, 100);
    for number in NUMBERS {
        // Connectly's times are whole seconds.
        desk.advance(Duration::from_secs(2));
        desk.says(to(number)).await;
        desk.submit(&json!({ "to": CUSTOMER, "message": { "text": number } })).await;
        let order = json!({ "name": "reopen", "language": "en" });
        desk.submit(&json!({ "to": CUSTOMER, "from": number, "template": order })).await;
    }
    desk.settled().await;
    desk.emulator.inject(SendFault::WrongSender, 100);
    assert_eq!(desk.sent().len(), 12);
    // And the templates that go out instead.
    let late = desk.clock.now() - jiff::SignedDuration::from_hours(30);
    for (index, number) in NUMBERS.iter().enumerate() {
        let customer = format!("+1555010002{index}");
        let body = json!({
            "timestamp": late.as_second().to_string(), "sender": { "id": customer }, "recipient": { "id": number },
            "message": { "id": format!("id-{index}"), "text": number },
        });
        assert_eq!(desk.post(body.to_string()).await.status(), 200);
    }
    desk.settled().await;
    let sent = desk.sent();
    assert_eq!(sent.len(), 15);
    for message in &sent {
        let named =
            [&message.body["sender"]["id"], &message.body["sender"]].into_iter().find_map(Value::as_str);
        assert_eq!(named, Some(message.from.as_str()));
        let text = message.body["message"]["text"].as_str();
        assert!(text.is_none_or(|text| text == message.from), "{text:?} left from {}", message.from);
    }
    for number in NUMBERS {
        assert_eq!(sent.iter().filter(|message| message.from == number).count(), 5);
    }
    assert!(desk.column("messages", "state").await.iter().all(|state| state == "read"));
    desk.stop().await;
}
