//! How webhooks arrive.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::{Bench, hello, settings};
use crate::clock::Clock;
use crate::emulator::{Answer, Emulator, Inbound, Settings, WebhookFault};

#[tokio::test]
async fn an_inbound_message_answers_what_the_endpoint_said() {
    let bench = Bench::start().await;
    let answer = bench.emulator.inbound(Inbound::text("hi")).await.unwrap();
    let webhooks = bench.receiver.take();
    assert_eq!(webhooks[0]["message"]["id"].as_str(), answer.id.as_deref());
    let body = json!({"id": "event-1", "duplicate": false});
    assert_eq!(answer.webhook, Some(Answer::Answered { status: 200, body }));
}

#[tokio::test]
async fn a_webhook_that_is_not_answered_200_comes_again_and_holds_the_next() {
    let bench = Bench::start().await;
    bench.open_window().await;
    bench.receiver.answer([StatusCode::INTERNAL_SERVER_ERROR, StatusCode::ACCEPTED]);
    bench.send(&hello()).await;
    assert_eq!(bench.statuses().await, ["sent", "sent", "sent", "delivered", "read"]);
    let attempts: Vec<usize> =
        bench.emulator.webhooks().iter().map(|webhook| webhook.attempts.len()).collect();
    assert_eq!(attempts, [1, 3, 1, 1]);
}

#[tokio::test]
async fn a_webhook_that_is_never_accepted_is_given_up() {
    let bench = Bench::start().await;
    bench.receiver.answer([StatusCode::SERVICE_UNAVAILABLE; 3]);
    let answer = bench.emulator.inbound(Inbound::text("hi")).await.unwrap();
    assert!(matches!(answer.webhook, Some(Answer::Answered { status: 503, .. })));
    assert_eq!(bench.receiver.take().len(), 3);
}

#[tokio::test]
async fn duplicates_and_reordering_happen_as_asked() {
    let bench = Bench::start().await;
    bench.open_window().await;
    bench.emulator.inject(WebhookFault::Duplicate { times: 2 }, 2);
    bench.emulator.inject(WebhookFault::Reordered, 1);
    bench.send(&hello()).await;
    assert_eq!(bench.statuses().await, ["read", "read", "delivered", "delivered", "sent", "sent"]);
    bench.emulator.inbound(Inbound::text("hi")).await.unwrap();
    bench.emulator.idle().await;
    let bodies = bench.receiver.take_raw();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn withheld_statuses_wait_for_their_release() {
    let bench = Bench::start().await;
    bench.open_window().await;
    bench.emulator.inject(WebhookFault::Withheld, 1);
    bench.send(&hello()).await;
    assert!(bench.statuses().await.is_empty());
    assert_eq!(bench.emulator.release(), 3);
    assert_eq!(bench.statuses().await, ["sent", "delivered", "read"]);
    assert_eq!(bench.emulator.release(), 0);
}

#[tokio::test]
async fn statuses_come_in_order_after_their_pauses() {
    let status_lag = Duration::from_millis(1);
    let bench = Bench::with(Settings { status_lag, ..settings() }).await;
    bench.open_window().await;
    bench.send(&hello()).await;
    assert_eq!(bench.statuses().await, ["sent", "delivered", "read"]);
}

#[tokio::test]
async fn a_customer_who_writes_is_not_held_up_by_statuses_to_come() {
    let read_lag = Some(Duration::from_hours(1));
    let bench = Bench::with(Settings { read_lag, ..settings() }).await;
    bench.open_window().await;
    bench.send(&hello()).await;
    let answer = bench.emulator.inbound(Inbound::text("thanks")).await.unwrap();
    assert!(answer.webhook.unwrap().is_accepted());
    let webhooks = bench.receiver.take();
    assert!(webhooks.iter().any(|webhook| webhook["message"]["text"] == "thanks"));
    assert!(!webhooks.iter().any(|webhook| webhook["statusUpdate"]["status"] == "read"));
}

#[tokio::test]
async fn without_read_receipts_delivered_is_the_last_status() {
    let read_receipts = false;
    let bench = Bench::with(Settings { read_receipts, ..settings() }).await;
    bench.open_window().await;
    bench.send(&hello()).await;
    assert_eq!(bench.statuses().await, ["sent", "delivered"]);
}

#[tokio::test]
async fn without_an_address_webhooks_are_listed_only() {
    let emulator = Emulator::start(settings(), Clock::system()).await.unwrap();
    let answer = emulator.inbound(Inbound::text("hi")).await.unwrap();
    assert_eq!(answer.webhook, None);
    emulator.idle().await;
    let webhooks = emulator.webhooks();
    assert_eq!(webhooks.len(), 1);
    assert!(webhooks[0].attempts.is_empty());
    emulator.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_said_to_be_so() {
    let bench = Bench::start().await;
    bench.emulator.set_webhook_url("http://127.0.0.1:1/");
    let answer = bench.emulator.inbound(Inbound::text("hi")).await.unwrap();
    let error = "the endpoint cannot be reached";
    assert_eq!(answer.webhook, Some(Answer::Unanswered { error }));
}
