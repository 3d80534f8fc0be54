//! What a send is answered.

use reqwest::StatusCode;
use serde_json::json;

use super::{API_KEY, Bench, SESSION, SHOP, TEMPLATE, hello, order_update, settings};
use crate::emulator::{Rate, SendFault, Settings};

#[tokio::test]
async fn a_send_is_answered_with_an_id_and_followed_by_its_statuses() {
    let bench = Bench::start().await;
    bench.open_window().await;
    let mut body = hello();
    body["callbackData"] = json!([1, "two", null]);
    let (status, answer) = bench.send(&body).await;
    assert_eq!(status, StatusCode::OK);
    let id = answer["id"].as_str().unwrap();
    assert_eq!(id.len(), 26);
    bench.emulator.idle().await;
    let webhooks = bench.receiver.take();
    for (webhook, status) in webhooks.iter().zip(["sent", "delivered", "read"]) {
        assert_eq!(webhook["topic"], "delivery_status");
        assert_eq!(webhook["callbackData"], body["callbackData"]);
        assert_eq!(webhook["statusUpdate"], json!({"id": id, "status": status, "error": null}));
    }
    assert_eq!(webhooks.len(), 3);
    let message = &bench.emulator.messages()[0];
    assert_eq!((message.id.as_str(), &message.body), (id, &body));
    assert_eq!(message.headers["content-type"], "application/json");
    assert!(!message.headers.values().any(|value| value == API_KEY));
}

#[tokio::test]
async fn callback_data_is_echoed_byte_for_byte() {
    let bench = Bench::start().await;
    bench.open_window().await;
    let data = r#"{"b": 1.10,  "a": 12345678901234567890123}"#;
    let body = hello().to_string().replacen('{', &format!(r#"{{"callbackData": {data}, "#), 1);
    let url = format!("{}/v1/businesses/business-1/send/messages", bench.emulator.url());
    let request = bench.client.post(url).header("X-API-Key", API_KEY).body(body);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    bench.emulator.idle().await;
    for webhook in bench.receiver.take_raw() {
        assert!(webhook.contains(data), "{webhook}");
    }
}

#[tokio::test]
async fn another_key_or_business_is_not_let_in() {
    let bench = Bench::start().await;
    for (business, key) in [("business-1", "key-2"), ("business-2", API_KEY), ("business-1", "")] {
        let url = format!("{}/v1/businesses/{business}/send/messages", bench.emulator.url());
        let request = bench.client.post(url).header("x-api-key", key).json(&hello());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["type"], "ERROR_TYPE_AUTHENTICATION");
    }
}

#[tokio::test]
async fn the_window_closes_on_the_emulators_own_clock() {
    let bench = Bench::start().await;
    bench.open_window().await;
    assert_eq!(bench.send(&hello()).await.0, StatusCode::OK);
    bench.emulator.advance(std::time::Duration::from_hours(24));
    let (status, error) = bench.send(&hello()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(error["type"], "ERROR_TYPE_FAILED_PRECONDITION");
    assert_eq!(error["code"], "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW");
}

#[tokio::test]
async fn the_rate_limit_is_kept() {
    let rate = Rate { per_second: 0, burst: 2 };
    let bench = Bench::with(Settings { rate, ..settings() }).await;
    bench.open_window().await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(bench.send(&hello()).await.0.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429]);
}

#[tokio::test]
async fn faults_before_accepting_leave_no_message() {
    let bench = Bench::start().await;
    bench.open_window().await;
    let retry_after_seconds = Some(7);
    bench.emulator.inject(SendFault::RateLimited { retry_after_seconds }, 1);
    bench.emulator.inject(SendFault::ServerError { status: 503 }, 1);
    bench.emulator.inject(SendFault::WindowRefused, 1);
    let limited = bench.try_send(&hello()).await.unwrap();
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers()["retry-after"], "7");
    assert_eq!(bench.send(&hello()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bench.send(&hello()).await.0, StatusCode::BAD_REQUEST);
    assert!(bench.emulator.messages().is_empty());
    assert_eq!(bench.send(&hello()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_lost_answer_closes_the_connection_after_accepting() {
    let bench = Bench::start().await;
    bench.open_window().await;
    bench.emulator.inject(SendFault::LostAnswer, 1);
    let error = bench.try_send(&hello()).await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect());
    assert_eq!(bench.emulator.messages().len(), 1);
    assert_eq!(bench.statuses().await, ["sent", "delivered", "read"]);
    assert_eq!(bench.send(&hello()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn other_faults_after_accepting_leave_the_message() {
    let bench = Bench::start().await;
    bench.open_window().await;
    let status = 502;
    bench.emulator.inject(SendFault::ServerErrorAfterAccepting { status }, 1);
    assert_eq!(bench.send(&hello()).await.0, StatusCode::BAD_GATEWAY);
    assert_eq!(bench.statuses().await, ["sent", "delivered", "read"]);
    bench.emulator.inject(SendFault::Slow { milliseconds: 1 }, 1);
    assert_eq!(bench.send(&hello()).await.0, StatusCode::OK);
    assert_eq!(bench.statuses().await, ["sent", "delivered", "read"]);
    let code = "ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT".to_owned();
    bench.emulator.inject(SendFault::Failed { code, error_type: None }, 1);
    assert_eq!(bench.send(&hello()).await.0, StatusCode::OK);
    assert_eq!(bench.statuses().await, ["delivery_failed"]);
    assert_eq!(bench.emulator.messages().len(), 3);
}

#[tokio::test]
async fn both_endpoints_refuse_with_the_error_that_was_asked_for() {
    let bench = Bench::start().await;
    bench.open_window().await;
    let limits = "ERROR_CODE_BUSINESS_REACHED_LIMITS".to_owned();
    let refused = SendFault::Refused { code: limits.clone(), error_type: Some("ERROR_TYPE_X".to_owned()) };
    let opted_out = "ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT".to_owned();
    for (fault, code) in [(refused, limits), (SendFault::OptedOut, opted_out)] {
        bench.emulator.inject(fault, 2);
        for (status, error) in [bench.send(&hello()).await, bench.send_template(&order_update()).await] {
            assert_eq!((status, &error["code"]), (StatusCode::BAD_REQUEST, &json!(code)));
        }
    }
    assert!(bench.emulator.messages().is_empty());
}

#[tokio::test]
async fn every_fault_meets_both_endpoints_alike() {
    let bench = Bench::start().await;
    bench.open_window().await;
    let (code, error_type) = ("ERROR_CODE_X".to_owned(), None);
    for (fault, answer, statuses) in [
        (SendFault::RateLimited { retry_after_seconds: None }, Some(429), &[][..]),
        (SendFault::ServerError { status: 503 }, Some(503), &[]),
        (SendFault::ServerErrorAfterAccepting { status: 502 }, Some(502), &["sent", "delivered", "read"]),
        (SendFault::LostAnswer, None, &["sent", "delivered", "read"]),
        (SendFault::Slow { milliseconds: 1 }, Some(200), &["sent", "delivered", "read"]),
        (SendFault::WindowRefused, Some(400), &[]),
        (SendFault::WindowRefusedLater, Some(200), &["delivery_failed"]),
        (SendFault::OptedOut, Some(400), &[]),
        (SendFault::OptedOutLater, Some(200), &["delivery_failed"]),
        (SendFault::Refused { code: code.clone(), error_type: error_type.clone() }, Some(400), &[]),
        (SendFault::Failed { code, error_type }, Some(200), &["delivery_failed"]),
    ] {
        for (endpoint, body) in [(SESSION, hello()), (TEMPLATE, order_update())] {
            bench.emulator.inject(fault.clone(), 1);
            let response = bench.post(endpoint, &body).await.ok();
            let answered = response.map(|response| response.status().as_u16());
            assert_eq!(answered, answer, "{fault:?} at {endpoint}");
            assert_eq!(bench.statuses().await, statuses, "{fault:?} at {endpoint}");
        }
    }
}

#[tokio::test]
async fn a_session_message_is_refused_in_connectlys_words() {
    let bench = Bench::start().await;
    bench.open_window().await;
    let file = |kind: &str, url: &str| json!([{"type": kind, "url": url}]);
    let (image, picture) = ("image", "https://example.com/a.jpg");
    for (place, value, code) in [
        ("/recipient/id", json!(""), "UNSPECIFIED"),
        ("/recipient/id", json!("5550100001"), "PHONE_NUMBER_BAD_FORMAT"),
        ("/recipient/id", json!("US.1349"), "UNSPECIFIED"),
        ("/recipient/id", json!(SHOP), "MESSAGE_SELF_INVALID"),
        ("/recipient/channelType", json!("sms"), "BUSINESS_MISSES_MATCHING_CHANNEL"),
        ("/sender", json!({"id": "+15550100008"}), "INVALID_SENDER_ID"),
        ("/sender", json!(SHOP), "UNSPECIFIED"),
        ("/message", json!({"text": ""}), "MESSAGE_TEXT_EMPTY"),
        ("/message", json!({"text": "hi", "attachments": file(image, picture)}), "UNSPECIFIED"),
        ("/message", json!({"attachments": [{}, {}]}), "MESSAGE_ATTACHMENTS_NUMBER_INVALID"),
        ("/message", json!({"attachments": file(image, "")}), "MESSAGE_ATTACHMENT_EMPTY"),
        ("/message", json!({"attachments": file("sticker", picture)}), "MESSAGE_ATTACHMENT_INVALID"),
        ("/message", json!({"listMessage": {}}), "UNSPECIFIED"),
        ("/order", json!({"strategy": "sometimes"}), "UNSPECIFIED"),
        ("/callbackData", json!("x".repeat(1_023)), "UNSPECIFIED"),
    ] {
        let mut body = hello();
        body["sender"] = json!({"id": SHOP});
        body["order"] = json!(null);
        body["callbackData"] = json!(null);
        *body.pointer_mut(place).unwrap() = value;
        let (status, error) = bench.send(&body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(error["code"], format!("ERROR_CODE_{code}"), "{body}");
        assert_eq!(error["type"], "ERROR_TYPE_INVALID_REQUEST", "{body}");
    }
    assert!(bench.emulator.messages().is_empty());
}
