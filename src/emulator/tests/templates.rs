//! What a template is answered.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ANA, Bench, hello, order_update, settings};
use crate::emulator::{Rate, SendFault, Settings};

#[tokio::test]
async fn a_template_needs_no_window_and_is_followed_by_its_statuses() {
    let bench = Bench::start().await;
    let mut body = order_update();
    body["callbackData"] = json!({"order_id": "12345"});
    body["campaignName"] = json!("spring");
    assert_eq!(bench.send(&hello()).await.0, StatusCode::BAD_REQUEST);
    let (status, answer) = bench.send_template(&body).await;
    assert_eq!(status, StatusCode::OK);
    let id = answer["id"].as_str().unwrap();
    assert_eq!((id.len(), answer.as_object().unwrap().len()), (26, 1));
    bench.emulator.idle().await;
    let webhooks = bench.receiver.take();
    for (webhook, status) in webhooks.iter().zip(["sent", "delivered", "read"]) {
        assert_eq!(webhook["recipient"]["id"], ANA);
        assert_eq!(webhook["callbackData"], body["callbackData"]);
        let metadata = json!({"campaignName": "spring"});
        let update = json!({"id": id, "status": status, "error": null, "metadata": metadata});
        assert_eq!(webhook["statusUpdate"], update);
    }
    assert_eq!(webhooks.len(), 3);
    assert_eq!(bench.send(&hello()).await.0, StatusCode::BAD_REQUEST, "a template opens no window");
}

#[tokio::test]
async fn a_template_shows_in_the_conversation() {
    let bench = Bench::start().await;
    bench.send_template(&order_update()).await;
    let chat = bench.emulator.chat();
    assert!(chat.contains("Shop: [template order_update: Ana, 12345]  (sent, delivered, read)"), "{chat}");
}

#[tokio::test]
async fn a_template_is_refused_in_connectlys_words() {
    let bench = Bench::with(Settings { any_template: false, ..settings() }).await;
    let code = |name: &str| format!("ERROR_CODE_{name}");
    for (field, value, expected) in [
        ("number", json!(""), code("UNSPECIFIED")),
        ("number", json!("5550100001"), code("PHONE_NUMBER_BAD_FORMAT")),
        ("number", json!("bsuid:US.1349"), code("UNSPECIFIED")),
        ("number", json!(super::SHOP), code("MESSAGE_SELF_INVALID")),
        ("templateName", json!("spring_sale"), code("MESSAGE_TEMPLATE_NOT_FOUND")),
        ("language", json!("de"), code("MESSAGE_TEMPLATE_NOT_FOUND")),
        ("parameters", json!([]), code("MESSAGE_TEMPLATE_INPUT_INVALID")),
        ("parameters", json!([{"name": "var1", "value": "x"}]), code("MESSAGE_TEMPLATE_INPUT_INVALID")),
        ("sender", json!("+15550100008"), code("INVALID_SENDER_ID")),
        ("sender", json!({"id": super::SHOP}), code("UNSPECIFIED")),
        ("callbackData", json!("x".repeat(1_023)), code("UNSPECIFIED")),
    ] {
        let mut body = order_update();
        body[field] = value;
        let (status, error) = bench.send_template(&body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(error["code"], expected, "{body}");
        assert_eq!(error["type"], "ERROR_TYPE_INVALID_REQUEST", "{body}");
    }
    assert!(bench.emulator.messages().is_empty());
}

#[tokio::test]
async fn unless_told_otherwise_any_name_is_a_template() {
    let bench = Bench::start().await;
    let mut body = order_update();
    body["templateName"] = json!("spring_sale");
    assert_eq!(bench.send_template(&body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn both_endpoints_share_the_rate_limit() {
    let rate = Rate { per_second: 0, burst: 3 };
    let bench = Bench::with(Settings { rate, ..settings() }).await;
    bench.open_window().await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(bench.send(&hello()).await.0.as_u16());
        statuses.push(bench.send_template(&order_update()).await.0.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
}

#[tokio::test]
async fn a_template_can_fail_later_with_a_code() {
    let bench = Bench::start().await;
    let code = "ERROR_CODE_MESSAGE_TEMPLATE_INPUT_INVALID".to_owned();
    bench.emulator.inject(SendFault::Failed { code: code.clone(), error_type: None }, 1);
    assert_eq!(bench.send_template(&order_update()).await.0, StatusCode::OK);
    bench.emulator.idle().await;
    let webhooks = bench.receiver.take();
    assert_eq!(webhooks.len(), 1);
    assert_eq!(webhooks[0]["statusUpdate"]["status"], "delivery_failed");
    assert_eq!(webhooks[0]["statusUpdate"]["error"]["code"], code);
}

#[tokio::test]
async fn the_templates_can_be_looked_at() {
    let bench = Bench::start().await;
    let (status, listed) = bench.control(Method::GET, "templates", None).await;
    assert_eq!(status, StatusCode::OK);
    let named = |name: &str| -> Option<Value> {
        let templates = listed["templates"].as_array().unwrap();
        templates.iter().find(|template| template["name"] == name).cloned()
    };
    let offer = named("seasonal_offer").unwrap();
    assert_eq!((&offer["category"], &offer["review"]), (&json!("MARKETING"), &json!("APPROVED")));
    assert_eq!(offer["translations"][1]["language"], "pt_BR");
    assert_eq!(offer["translations"][1]["header"], "image");
    assert!(named("spring_sale").is_none());
}
