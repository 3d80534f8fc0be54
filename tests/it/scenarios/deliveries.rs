//! What arrives, in every condition.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard::App;
use switchboard::connectly::signature::Key;
use switchboard::emulator::Inbound;

use crate::support::desk::ECHO;
use crate::support::webhooks::{CUSTOMER, inbound, sign};
use crate::support::{Backend, Desk};

/// Requests under way at a time, where there are many.
const AT_A_TIME: usize = 64;

#[rstest]
#[tokio::test]
async fn a_single_valid_delivery_is_kept_handled_and_answered(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    let answer = desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    assert_eq!(answer["duplicate"], false);
    let event = desk.get(&format!("/api/v1/events/{}", answer["id"].as_str().unwrap())).await;
    assert_eq!((&event["type"], &event["duplicates"]), (&json!("message.received"), &json!(0)));
    assert_eq!(desk.sent_texts(), ["You said: hi"]);
    assert_eq!(desk.column("messages", "state").await, ["read"]);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_body_altered_after_signing_is_refused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    let body = inbound(CUSTOMER, "id-1", desk.clock.now(), "hi").into_bytes();
    let signature = sign(&body);
    for place in 0..body.len() {
        let mut altered = body.clone();
        altered[place] ^= 1;
        assert_eq!(desk.post_as(Some(&signature), altered).await.status(), 401, "byte {place}");
    }
    let longer = [&body[..], b" "].concat();
    assert_eq!(desk.post_as(Some(&signature), longer).await.status(), 401);
    assert!(desk.list("events").await.is_empty());
    assert_eq!(desk.post_as(Some(&signature), body).await.status(), 200);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn any_content_type_is_taken(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let desk = Desk::start(backend, "").await;
    let types = ["text/plain", "application/json", "application/x-www-form-urlencoded", "nonsense", ""];
    for (number, content_type) in types.iter().enumerate() {
        let body = inbound(CUSTOMER, &format!("id-{number}"), desk.clock.now(), "hi");
        let request =
            desk.http.post(desk.webhook_url()).header("x-connectly-hmac-sha256", sign(body.as_bytes()));
        let answer = request.header("content-type", *content_type).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{content_type}");
    }
    assert_eq!(desk.column("events", "type").await, ["message.received"; 5]);
    desk.stop().await;
}

/// All of it comes at once; what does not fit is told to come again, and does.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_3000_is_kept(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    const BURST: usize = 3_000;
    let desk = Desk::start(backend, "").await;
    let now = desk.clock.now();
    let posts = (0..BURST).map(async |number| {
        let body = inbound(&format!("+1555{:07}", number % 500), &format!("id-{number}"), now, "hi");
        loop {
            let answer = desk.post(body.clone()).await;
            if answer.status() == 200 {
                let answer: Value = answer.json().await.unwrap();
                assert_eq!(answer["duplicate"], false);
                return answer["id"].as_str().unwrap().to_owned();
            }
            assert_eq!(answer.status(), 503);
        }
    });
    let kept: BTreeSet<String> = iter(posts).buffer_unordered(AT_A_TIME).collect().await;
    assert_eq!(kept.len(), BURST);
    desk.stop().await;
}

/// While one secret replaces another, both are good, also for a repeat of the same delivery.
#[rstest]
#[tokio::test]
async fn a_secret_is_rotated_in_mid_traffic(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    const ACCOUNT: &str = r#"
        [accounts.shop]
        business_id = "shop"
        api_key = "key"
        webhook_secrets = ["the new secret", "the old secret"]
    "#;
    let desk = Desk::with(backend, App::new(), ACCOUNT).await;
    let url = format!("{}/shop", desk.webhook_url());
    let post = async |secret: &str, body: String| {
        let signature = Key::new(&SecretString::from(secret)).sign(body.as_bytes());
        desk.http.post(&url).header("x-connectly-hmac-sha256", signature).body(body).send().await.unwrap()
    };
    let body = |number: u32| {
        inbound(CUSTOMER, &format!("id-{number}"), "2026-01-01T00:00:00Z".parse().unwrap(), "hi")
    };
    for number in 0..10 {
        assert_eq!(post("the old secret", body(number)).await.status(), 200);
        let repeat: Value = post("the new secret", body(number)).await.json().await.unwrap();
        assert_eq!(repeat["duplicate"], true);
        assert_eq!(post("another secret", body(number)).await.status(), 401);
    }
    assert_eq!(desk.list("events?limit=200").await.len(), 10);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_megabyte_of_callback_data_comes_back_whole(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let data = json!({ "order_id": 7, "note": "x".repeat(1_000_000) });
    let mut body: Value = serde_json::from_str(&inbound(CUSTOMER, "id-1", desk.clock.now(), "hi")).unwrap();
    body["callbackData"] = data.clone();
    assert_eq!(desk.post(body.to_string()).await.status(), 200);
    let event = desk.list("events").await.remove(0);
    assert_eq!(event["type"], "message.received");
    assert!(event["callback_data"] == data, "the callback data is another");
    desk.stop().await;
}

/// A body that was cut off anywhere is kept like any other that cannot be read.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_prefix_of_a_valid_body_is_kept(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO).await;
    let body = inbound(CUSTOMER, "id-1", desk.clock.now(), "hi").into_bytes();
    let posts = (0..=body.len()).map(async |length| {
        let answer = desk.post(&body[..length]).await;
        assert_eq!(answer.status(), 200, "the first {length} bytes");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["duplicate"], false, "the first {length} bytes");
        answer["id"].as_str().unwrap().to_owned()
    });
    let kept: BTreeSet<String> = iter(posts).buffer_unordered(AT_A_TIME).collect().await;
    assert_eq!(kept.len(), body.len() + 1);
    assert_eq!(desk.list("events?type=message.received").await.len(), 1);
    desk.stop().await;
}
