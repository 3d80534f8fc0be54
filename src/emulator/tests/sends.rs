//! What a send is answered.

use reqwest::StatusCode;
use serde_json::json;

use super::{API_KEY, Bench, hello, settings};
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
