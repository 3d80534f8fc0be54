//! P2: whatever carries a valid signature is kept, with its bytes.

use rstest::rstest;

use crate::support::{Backend, Desk};

/// Bodies that are signed and make no sense, each with what it is.
fn strange_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    vec![
        ("empty", Vec::new()),
        ("not JSON", b"hello".to_vec()),
        ("not an object", b"[1,2,3]".to_vec()),
        ("a scalar", b"null".to_vec()),
        ("invalid UTF-8", b"{\"message\":{\"text\":\"\xff\xfe\"}}".to_vec()),
        ("nested 10,000 deep", deep.into_bytes()),
        ("cut off", b"{\"timestamp\":\"1767225600\",\"sender\":{".to_vec()),
        ("an unknown topic", br#"{"topic":"weather","rain":true}"#.to_vec()),
        (
            "an unknown status",
            br#"{"statusUpdate":{"id":"01K00000000000000000000001","status":"teleported"}}"#.to_vec(),
        ),
        ("NUL bytes", b"{\"a\":\"\0\"}".to_vec()),
    ]
}

#[rstest]
#[tokio::test]
async fn p2_whatever_is_signed_is_kept(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let desk = Desk::start(backend, "").await;
    for (what, body) in strange_bodies() {
        let answer = desk.post(body.clone()).await;
        assert_eq!(answer.status(), 200, "{what}");
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["duplicate"], false, "{what}");
        let id = answer["id"].as_str().unwrap().to_owned();
        let event = desk.get(&format!("/api/v1/events/{id}")).await;
        assert_eq!(event["type"], "unknown", "{what}");
        let path = format!("/api/v1/events/{id}/body");
        let kept = desk.admin(reqwest::Method::GET, &path, &serde_json::Value::Null).await;
        assert_eq!(kept.bytes().await.unwrap(), body, "{what}");
    }
    desk.stop().await;
}

/// Values that are strange inside a shape that is not: the shape is read, the value as far as it goes.
#[rstest]
#[tokio::test]
async fn p2_strange_values_do_not_hide_their_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, crate::support::desk::ECHO).await;
    let long_id = "x".repeat(4096);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let strange = [
        r#"{"a":"NUL \u0000 inside"}"#.to_owned(),
        r#"{"a":"lone \ud800 surrogate"}"#.to_owned(),
        r#"{"a":1e999999}"#.to_owned(),
        r#"{"a":1,"a":2}"#.to_owned(),
        format!("\"{}\"", "y".repeat(900_000)),
        deep,
    ];
    for (index, callback_data) in strange.iter().enumerate() {
        let body = format!(
            r#"{{"timestamp":"1767225600","callbackData":{callback_data},
                "sender":{{"id":"+1555010{index:04}","name":"A\u0000n\ud800a"}},"recipient":{{"id":"+15550100002"}},
                "message":{{"id":"{long_id}{index}","text":"t\u0000e\udfffxt"}}}}"#
        );
        let answer = desk.post(body).await;
        assert_eq!(answer.status(), 200, "{index}");
        let answer: serde_json::Value = answer.json().await.unwrap();
        // As text: what is kept as it came need not be JSON that every parser takes.
        let path = format!("/api/v1/events/{}", answer["id"].as_str().unwrap());
        let event =
            desk.admin(reqwest::Method::GET, &path, &serde_json::Value::Null).await.text().await.unwrap();
        assert!(event.contains(r#""type":"message.received""#), "{index}");
        assert!(event.contains(r#""provider_message_id":"sha256:"#), "{index}");
        let echoed =
            desk.admin(reqwest::Method::GET, &format!("{path}/body"), &serde_json::Value::Null).await;
        assert!(echoed.text().await.unwrap().contains(callback_data), "{index}");
    }
    desk.settled().await;
    assert_eq!(desk.list("jobs?state=done&kind=deliver").await.len(), strange.len());
    desk.stop().await;
}
