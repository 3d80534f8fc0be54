//! A customer said STOP: the confirmation leaves, and nothing more from any path.

use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use switchboard::emulator::{Inbound, SendFault, WebhookFault};

use crate::support::webhooks::CUSTOMER;
use crate::support::{Backend, Desk};

const ROUTE: &str = r#"
[[routes]]
name = "desk"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = { text = ["stop"] }
  effects = ["opt_out"]
  reply = { text = "You will not hear from us again." }
  [[routes.rules]]
  match = { text = ["start"] }
  effects = ["opt_in"]
  reply = { text = "Welcome back." }
  [[routes.rules]]
  match = { any = true }
  reply = { text = "You said: {{ event.content.text }}" }
  fallback = { template = "reopen", language = "en" }
"#;

const GOODBYE: &str = "You will not hear from us again.";

fn to_customer(content: &Value) -> Value {
    let mut body = json!({ "to": CUSTOMER });
    body.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    body
}

async fn says(desk: &Desk, text: &str) {
    desk.says(Inbound::text(text)).await;
    desk.settled().await;
}

/// Posts, and answers the message as it is once everything has settled.
async fn submitted(desk: &Desk, content: Value) -> Value {
    let message = desk.submit(&to_customer(&content)).await;
    desk.settled().await;
    desk.message(message["id"].as_str().unwrap()).await
}

#[rstest]
#[tokio::test]
async fn nothing_leaves_after_the_confirmation(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ROUTE).await;
    says(&desk, "Stop").await;
    says(&desk, "are you there?").await;
    says(&desk, "STOP").await;
    let reopen = json!({ "template": { "name": "reopen", "language": "en" } });
    let fallback = json!({ "template": "reopen", "language": "en" });
    for content in [
        json!({ "message": { "text": "hi" } }),
        json!({ "message": { "text": "hi" }, "fallback": fallback }),
        reopen.clone(),
    ] {
        assert_eq!(submitted(&desk, content.clone()).await["state"], "suppressed", "{content}");
    }
    // Nor does it once the window is closed, when a template would.
    desk.advance(Duration::from_hours(25));
    for content in [json!({ "message": { "text": "hi" }, "fallback": fallback }), reopen.clone()] {
        assert_eq!(submitted(&desk, content.clone()).await["state"], "suppressed", "{content}");
    }
    assert_eq!(desk.sent_texts(), [GOODBYE]);
    assert!(desk.list("jobs").await.is_empty(), "nothing is left to do");
    // Another customer is none of it, and she may come back.
    desk.says(Inbound::text("hi").by("+15550100009")).await;
    says(&desk, "start").await;
    assert_eq!(submitted(&desk, reopen).await["state"], "read");
    let mut sent = desk.sent_texts();
    sent.sort();
    assert_eq!(sent, ["Welcome back.", "You said: hi", GOODBYE, "[reopen]"]);
    desk.stop().await;
}

/// The message was queued before, and its window closed before it left: the template is held back too.
#[rstest]
#[tokio::test]
async fn what_was_queued_before_does_not_leave(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(Duration::from_mins(1), Duration::from_hours(25))] wait: Duration,
) {
    let desk = Desk::start(backend, ROUTE).await;
    desk.admin(Method::PUT, "/api/v1/pauses", &json!({ "sends": true, "routes": [] })).await;
    says(&desk, "hi").await;
    desk.submit(&to_customer(&json!({ "template": { "name": "reopen", "language": "en" } }))).await;
    says(&desk, "stop").await;
    desk.advance(wait);
    let resumed = desk.admin(Method::PUT, "/api/v1/pauses", &json!({ "sends": false, "routes": [] })).await;
    assert_eq!(resumed.status(), 200);
    desk.settled().await;
    let is_late = wait > Duration::from_hours(24);
    assert_eq!(desk.sent_texts(), if is_late { &[][..] } else { &[GOODBYE][..] });
    let confirmation = if is_late { "expired" } else { "read" };
    assert_eq!(desk.column("messages", "state").await, ["suppressed", "suppressed", confirmation]);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_refusal_that_brings_the_template_comes_too_late(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ROUTE).await;
    desk.emulator.inject(SendFault::WindowRefusedLater, 1);
    desk.emulator.inject(WebhookFault::Withheld, 1);
    says(&desk, "hi").await;
    says(&desk, "stop").await;
    desk.emulator.release();
    desk.settled().await;
    assert_eq!(desk.sent_texts(), ["You said: hi", GOODBYE]);
    assert_eq!(desk.column("messages", "state").await, ["suppressed", "read"]);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_retry_of_what_was_refused_is_suppressed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(true, false)] one_by_one: bool,
) {
    let desk = Desk::start(backend, ROUTE).await;
    let code = "ERROR_CODE_BUSINESS_REACHED_LIMITS".to_owned();
    desk.emulator.inject(SendFault::Refused { code, error_type: None }, 1);
    says(&desk, "hi").await;
    let parked = desk.list("jobs?state=parked").await;
    assert_eq!(parked.len(), 1);
    says(&desk, "stop").await;
    let (path, body) = if one_by_one {
        (format!("/api/v1/jobs/{}/retry", parked[0]["id"].as_str().unwrap()), Value::Null)
    } else {
        ("/api/v1/jobs/retry".to_owned(), json!({ "kind": "send" }))
    };
    assert_eq!(desk.admin(Method::POST, &path, &body).await.status(), 200);
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["suppressed", "read"]);
    assert_eq!(desk.sent_texts(), [GOODBYE]);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn what_a_person_says_was_not_sent_is_suppressed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ROUTE).await;
    desk.emulator.inject(SendFault::ServerError { status: 500 }, 1);
    says(&desk, "hi").await;
    assert_eq!(desk.column("messages", "state").await, ["unconfirmed"]);
    says(&desk, "stop").await;
    let path = format!("/api/v1/messages/{}/resolve", desk.column("messages", "id").await[0]);
    assert_eq!(desk.admin(Method::POST, &path, &json!({ "sent": false })).await.status(), 200);
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["suppressed", "read"]);
    assert_eq!(desk.sent_texts(), [GOODBYE]);
    desk.stop().await;
}

/// She told Connectly, not us.
#[rstest]
#[case::at_once(SendFault::OptedOut)]
#[case::later_as_a_failed_status(SendFault::OptedOutLater)]
#[tokio::test]
async fn an_opt_out_that_connectly_tells_of_counts(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] fault: SendFault,
) {
    let desk = Desk::start(backend, ROUTE).await;
    let is_sent = fault == SendFault::OptedOutLater;
    desk.emulator.inject(fault, 1);
    says(&desk, "hi").await;
    says(&desk, "hello?").await;
    let reopen = json!({ "template": { "name": "reopen", "language": "en" } });
    assert_eq!(submitted(&desk, reopen).await["state"], "suppressed");
    assert_eq!(desk.sent().len(), usize::from(is_sent));
    desk.stop().await;
}
