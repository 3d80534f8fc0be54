//! P5: no message is sent twice on our own initiative.

use std::time::Duration;

use rstest::rstest;
use switchboard::emulator::{Inbound, SendFault, WebhookFault};

use crate::support::desk::ECHO;
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
    let resolved = desk.admin(reqwest::Method::POST, &path, &serde_json::json!({ "sent": sent })).await;
    assert_eq!(resolved.status(), 200);
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, [state]);
    assert_eq!(desk.sent().len(), sends);
    let again = desk.admin(reqwest::Method::POST, &path, &serde_json::json!({ "sent": sent })).await;
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
