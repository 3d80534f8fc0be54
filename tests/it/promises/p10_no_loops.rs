//! P10: nothing that we caused queues a reply, and no conversation gets more than 20 replies a minute.

use std::time::Duration;

use rstest::rstest;
use switchboard::emulator::Inbound;

use crate::support::desk::ECHO;
use crate::support::webhooks::{BUSINESS, CUSTOMER};
use crate::support::{Backend, Desk};

/// Answers everything, its own traces included.
const EVERYTHING: &str = r#"
[[routes]]
name = "everything"
on = ["*"]
handler = "rules"
  [[routes.rules]]
  match = { any = true }
  reply = { text = "again" }
"#;

#[rstest]
#[tokio::test]
async fn p10_statuses_of_our_replies_and_echoes_are_not_answered(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, EVERYTHING).await;
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    let echo = serde_json::json!({
        "timestamp": desk.clock.now().as_second().to_string(),
        "sender": { "id": BUSINESS }, "recipient": { "id": CUSTOMER },
        "message": { "id": "01K00000000000000000000001", "text": "again", "isEcho": true },
    });
    assert_eq!(desk.post(echo.to_string()).await.status(), 200);
    desk.settled().await;
    assert_eq!(desk.sent().len(), 1, "only the customer was answered");
    assert_eq!(desk.list("jobs?state=done&kind=deliver").await.len(), 5, "every event was handled");
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p10_the_21st_reply_of_a_minute_is_parked(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    for number in 0..21 {
        desk.says(Inbound::text(number.to_string())).await;
    }
    desk.says(Inbound::text("mine").by("+15550100009")).await;
    desk.settled().await;
    let (others, sent): (Vec<_>, Vec<_>) =
        desk.sent().into_iter().partition(|message| message.to == "+15550100009");
    assert_eq!((sent.len(), others.len()), (20, 1), "another conversation has a limit of its own");
    let parked = desk.list("jobs?state=parked").await;
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0]["kind"], "send");
    desk.advance(Duration::from_secs(61));
    let path = format!("/api/v1/jobs/{}/retry", parked[0]["id"].as_str().unwrap());
    assert_eq!(desk.admin(reqwest::Method::POST, &path, &serde_json::Value::Null).await.status(), 200);
    desk.settled().await;
    assert_eq!(desk.sent().len(), 22);
    desk.stop().await;
}
