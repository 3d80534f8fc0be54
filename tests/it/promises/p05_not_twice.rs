//! P5: no message is sent twice on our own initiative.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use switchboard::emulator::{Inbound, SendFault, WebhookFault};

use crate::support::desk::ECHO;
use crate::support::webhooks::{BUSINESS, CUSTOMER};
use crate::support::{Backend, Desk};

#[rstest]
#[tokio::test]
async fn p5_a_lost_answer_is_unconfirmed_and_a_status_settles_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    desk.emulator.inject(SendFault::LostAnswer, 1);
    desk.emulator.inject(WebhookFault::Withheld, 1);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["unconfirmed"]);
    // Hours later nothing has been sent again.
    desk.advance(Duration::from_hours(3));
    desk.settled().await;
    assert_eq!(desk.sent().len(), 1);
    desk.emulator.release();
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["read"]);
    assert_eq!(desk.sent().len(), 1);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p5_a_server_error_is_not_retried(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let desk = Desk::start(backend, ECHO).await;
    desk.emulator.inject(SendFault::ServerErrorAfterAccepting { status: 503 }, 1);
    desk.emulator.inject(WebhookFault::Withheld, 1);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    desk.advance(Duration::from_hours(1));
    desk.settled().await;
    assert_eq!(desk.sent().len(), 1);
    assert_eq!(desk.column("messages", "state").await, ["unconfirmed"]);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p5_what_surely_was_not_processed_is_retried(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    desk.emulator.inject(SendFault::RateLimited { retry_after_seconds: Some(30) }, 1);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    assert_eq!(desk.sent().len(), 0);
    assert_eq!(desk.column("messages", "state").await, ["queued"]);
    desk.advance(Duration::from_secs(31));
    desk.settled().await;
    assert_eq!(desk.sent().len(), 1);
    assert_eq!(desk.column("messages", "state").await, ["read"]);
    desk.stop().await;
}

#[rstest]
#[case::sent(true, "accepted", 1)]
#[case::not_sent(false, "read", 2)]
#[tokio::test]
async fn p5_a_person_settles_what_no_status_did(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] sent: bool,
    #[case] state: &str,
    #[case] sends: usize,
) {
    let desk = Desk::start(backend, ECHO).await;
    desk.emulator.inject(SendFault::LostAnswer, 1);
    desk.emulator.inject(WebhookFault::Withheld, 1);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    let id = desk.column("messages", "id").await.remove(0);
    let path = format!("/api/v1/messages/{id}/resolve");
    let resolved = desk.admin(reqwest::Method::POST, &path, &json!({ "sent": sent })).await;
    assert_eq!(resolved.status(), 200);
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, [state]);
    assert_eq!(desk.sent().len(), sends);
    let again = desk.admin(reqwest::Method::POST, &path, &json!({ "sent": sent })).await;
    assert_eq!(again.status(), 409);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p5_a_failed_status_is_shown_with_its_reason(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    desk.emulator.inject(
        SendFault::Failed { code: "ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID".into(), error_type: None },
        1,
    );
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    let messages = desk.list("messages").await;
    assert_eq!(messages[0]["state"], "failed");
    let error = &messages[0]["error"];
    assert_eq!(error["code"], "ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID");
    assert_eq!(error["retryable"], false);
    assert!(error["advice"].is_string());
    desk.stop().await;
}

/// A request to send that needs no window.
fn order(number: &str) -> Value {
    let parameters = json!([{ "name": "body_1", "value": "Ana" }, { "name": "body_2", "value": number }]);
    let template = json!({ "name": "order_update", "language": "en", "parameters": parameters });
    json!({ "to": CUSTOMER, "from": BUSINESS, "template": template })
}

/// Asks under a key, and answers the message and whether it was asked for before.
async fn asked(desk: &Desk, key: &str, body: &Value) -> (String, bool) {
    let answer = desk.submit_under(key, body).await;
    assert_eq!(answer.status(), 202);
    let before = answer.headers().contains_key("idempotent-replayed");
    let message: Value = answer.json().await.unwrap();
    assert_eq!(message["state"], "queued", "a repeat is answered as the first was");
    (message["id"].as_str().unwrap().to_owned(), before)
}

#[rstest]
#[tokio::test]
async fn p5_a_request_under_a_key_is_sent_once_also_over_a_restart(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let (id, before) = asked(&desk, "order-5", &order("5")).await;
    assert!(!before);
    assert_eq!(asked(&desk, "order-5", &order("5")).await, (id.clone(), true));
    desk.settled().await;
    assert_eq!(asked(&desk, "order-5", &order("5")).await, (id.clone(), true));
    let other = desk.submit_under("order-5", &order("6")).await;
    assert_eq!(other.status(), 422);
    assert_eq!(other.json::<Value>().await.unwrap()["type"], "/problems/idempotency-key-reused");
    let desk = desk.restart().await;
    desk.advance(Duration::from_hours(23));
    assert_eq!(asked(&desk, "order-5", &order("5")).await, (id.clone(), true));
    assert_eq!(desk.submit_under("order-5", &order("6")).await.status(), 422);
    desk.settled().await;
    assert_eq!((desk.sent().len(), desk.list("messages").await.len()), (1, 1));
    // A key is remembered for a day.
    desk.advance(Duration::from_hours(1));
    let (next, before) = asked(&desk, "order-5", &order("6")).await;
    assert!(!before && next != id);
    desk.settled().await;
    assert_eq!(desk.sent().len(), 2);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p5_a_request_under_a_key_is_sent_once_however_many_ask_at_a_time(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let body = order("5");
    for round in 0..4_usize {
        let key = format!("order-{round}");
        let answers = futures_util::future::join_all((0..16).map(|_| asked(&desk, &key, &body))).await;
        assert_eq!(answers.iter().filter(|(_, before)| !before).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|(id, _)| *id == answers[0].0), "{answers:?}");
        desk.settled().await;
        assert_eq!((desk.sent().len(), desk.list("messages").await.len()), (round + 1, round + 1));
    }
    desk.stop().await;
}

/// One key and two bodies at a time: one of them is sent, and the other is refused.
#[rstest]
#[tokio::test]
async fn p5_two_requests_under_one_key_are_not_both_sent(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let (one, other) = (order("5"), order("6"));
    for round in 0..4_usize {
        let key = format!("order-{round}");
        let (one, other) = tokio::join!(desk.submit_under(&key, &one), desk.submit_under(&key, &other));
        let mut answers = [one.status().as_u16(), other.status().as_u16()];
        answers.sort_unstable();
        assert_eq!(answers, [202, 422]);
        desk.settled().await;
        assert_eq!(desk.sent().len(), round + 1);
    }
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p5_a_key_whose_message_is_unconfirmed_sends_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(SendFault::LostAnswer, SendFault::ServerErrorAfterAccepting { status: 502 })] fault: SendFault,
) {
    let desk = Desk::start(backend, "").await;
    desk.emulator.inject(fault, 1);
    desk.emulator.inject(WebhookFault::Withheld, 1);
    let (id, _) = asked(&desk, "order-5", &order("5")).await;
    desk.settled().await;
    for _ in 0..3 {
        assert_eq!(asked(&desk, "order-5", &order("5")).await, (id.clone(), true));
        desk.advance(Duration::from_hours(5));
        desk.settled().await;
        assert_eq!(desk.message(&id).await["state"], "unconfirmed");
    }
    assert_eq!(desk.sent().len(), 1);
    // A status tells what became of it: the mark is in it.
    desk.emulator.release();
    desk.settled().await;
    assert_eq!(desk.message(&id).await["state"], "read");
    assert_eq!(asked(&desk, "order-5", &order("5")).await, (id, true));
    desk.settled().await;
    assert_eq!(desk.sent().len(), 1);
    desk.stop().await;
}

/// What was refused for good is not sent by its key either: a person may retry its job.
#[rstest]
#[tokio::test]
async fn p5_a_key_whose_message_was_refused_sends_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let code = "ERROR_CODE_BUSINESS_REACHED_LIMITS".to_owned();
    desk.emulator.inject(SendFault::Refused { code, error_type: None }, 1);
    let (id, _) = asked(&desk, "order-5", &order("5")).await;
    desk.settled().await;
    assert_eq!(desk.message(&id).await["state"], "failed");
    assert_eq!(asked(&desk, "order-5", &order("5")).await, (id.clone(), true));
    desk.settled().await;
    assert_eq!(desk.sent().len(), 0);
    let retried = desk.admin(reqwest::Method::POST, "/api/v1/jobs/retry", &json!({ "kind": "send" })).await;
    assert_eq!(retried.status(), 200);
    desk.settled().await;
    assert_eq!((desk.sent().len(), desk.message(&id).await["state"].as_str()), (1, Some("read")));
    desk.stop().await;
}
