//! Registrations, templates and quality signals, as a program with the key meets them; and where webhooks go then.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{ANA, API_KEY, Bench, SHOP, hello, settings};
use crate::emulator::{ExistingTopic, Inbound, Settings};

/// Asks Connectly, below the business.
async fn ask(bench: &Bench, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let url = format!("{}/v1/businesses/business-1/{path}", bench.emulator.url());
    let mut request = bench.client.request(method, url).header("x-api-key", API_KEY);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Registers an address and answers its id.
async fn register(bench: &Bench, topic: &str, receiver: &Receiver, configuration: Value) -> String {
    let body = json!({"topic": topic, "address": receiver.url(), "configuration": configuration});
    let (status, answer) = ask(bench, Method::POST, "create/webhooks", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_registration_is_made_listed_changed_and_deleted() {
    let bench = Bench::start().await;
    let id = register(&bench, "messages", &bench.receiver, json!({})).await;
    assert!(id.starts_with("wh_"), "{id}");
    let change = json!({"configuration": {"echo": true}});
    let update = format!("update/webhooks/{id}");
    assert_eq!(ask(&bench, Method::PUT, &update, Some(change)).await, (StatusCode::OK, json!({})));
    let (_, listed) = ask(&bench, Method::GET, "webhooks", None).await;
    let configuration = json!({"echo": true, "channelTypes": [], "filters": []});
    let entry = json!({"id": id, "topic": "messages", "address": bench.receiver.url(), "configuration": configuration});
    assert_eq!(listed, json!({"entity": {"businessId": "business-1", "webhooks": [entry]}}));
    let delete = format!("delete/webhooks/{id}");
    assert_eq!(ask(&bench, Method::DELETE, &delete, None).await, (StatusCode::OK, json!({})));
    for (method, path, body) in [(Method::DELETE, delete, None), (Method::PUT, update, Some(json!({})))] {
        let (status, error) = ask(&bench, method, &path, body).await;
        assert_eq!((status, &error["message"]), (StatusCode::NOT_FOUND, &json!("the webhook was not found")));
        assert!(error["cntTraceId"].is_string());
    }
}

#[tokio::test]
async fn nothing_is_told_without_the_key() {
    let bench = Bench::start().await;
    for (method, path) in [
        (Method::GET, "business-1/webhooks"),
        (Method::POST, "business-1/create/webhooks"),
        (Method::PUT, "business-1/update/webhooks/wh_1"),
        (Method::DELETE, "business-1/delete/webhooks/wh_1"),
        (Method::POST, "business-1/get/templates"),
        (Method::GET, "business-1/get/quality_signals"),
    ] {
        for (business, key) in [(path.to_owned(), "key-2"), (path.replace('1', "2"), API_KEY)] {
            let url = format!("{}/v1/businesses/{business}", bench.emulator.url());
            let request = bench.client.request(method.clone(), url).header("x-api-key", key);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{business}");
            assert_eq!(response.json::<Value>().await.unwrap()["type"], "ERROR_TYPE_AUTHENTICATION");
        }
    }
}

#[tokio::test]
async fn a_topic_that_is_registered_is_refused_or_replaced_as_asked() {
    let bench = Bench::start().await;
    let body = json!({"topic": "messages", "address": "https://a.example/"});
    let create = async || ask(&bench, Method::POST, "create/webhooks", Some(body.clone())).await;
    assert_eq!(create().await.0, StatusCode::OK);
    assert_eq!(create().await.0, StatusCode::CONFLICT);
    let opinion = json!({"existing_topic": "replace"});
    let (status, _) = bench.control(Method::PUT, "registrations", Some(opinion)).await;
    assert_eq!((status, create().await.0), (StatusCode::OK, StatusCode::OK));
    assert_eq!(bench.control(Method::PUT, "registrations", Some(json!({}))).await.0, StatusCode::BAD_REQUEST);
    let (_, listed) = ask(&bench, Method::GET, "webhooks", None).await;
    assert_eq!(listed["entity"]["webhooks"].as_array().unwrap().len(), 1);
    let existing_topic = ExistingTopic::Replace;
    let bench = Bench::with(Settings { existing_topic, ..settings() }).await;
    for _ in 0..2 {
        assert_eq!(ask(&bench, Method::POST, "create/webhooks", Some(body.clone())).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    let bench = Bench::start().await;
    for (path, body) in [
        ("create/webhooks", json!([])),
        ("create/webhooks", json!({"topic": "messages"})),
        ("create/webhooks", json!({"topic": "messages", "address": 7})),
        ("update/webhooks/wh_1", json!({"address": 7})),
    ] {
        let method = if path.starts_with('c') { Method::POST } else { Method::PUT };
        let (status, error) = ask(&bench, method, path, Some(body)).await;
        assert_eq!((status, &error["type"]), (StatusCode::BAD_REQUEST, &json!("ERROR_TYPE_INVALID_REQUEST")));
    }
}

#[tokio::test]
async fn webhooks_go_where_they_are_registered_and_nowhere_else() {
    let (bench, messages, statuses) =
        (Bench::start().await, Receiver::start().await, Receiver::start().await);
    register(&bench, "messages", &messages, json!({})).await;
    let answer = bench.emulator.inbound(Inbound::text("hi")).await.unwrap();
    assert!(answer.webhook.is_some_and(|answer| answer.is_accepted()));
    bench.send(&hello()).await;
    bench.emulator.idle().await;
    assert_eq!((messages.take().len(), bench.receiver.take().len()), (1, 0));
    // What nobody registered for is listed all the same.
    let webhooks = bench.emulator.webhooks();
    assert_eq!((webhooks.len(), &webhooks[1].address, webhooks[1].attempts.len()), (4, &None, 0));
    let filters = json!([{"field": "campaign_name", "expression": "spring-*"}]);
    register(&bench, "delivery_status", &statuses, json!({"filters": filters})).await;
    for campaign in ["spring-2026", "autumn"] {
        let mut body = hello();
        body["campaignName"] = campaign.into();
        bench.send(&body).await;
    }
    bench.emulator.idle().await;
    let told = statuses.take();
    assert_eq!(told.len(), 3);
    assert_eq!(told[0]["statusUpdate"]["metadata"]["campaignName"], "spring-2026");
    assert!(messages.take().is_empty());
}

#[tokio::test]
async fn what_the_business_sends_is_echoed_to_whoever_asked_for_it() {
    let bench = Bench::start().await;
    register(&bench, "messages", &bench.receiver, json!({"echo": true})).await;
    bench.open_window().await;
    let mut body = hello();
    body["callbackData"] = json!({"order_id": "12345"});
    let (_, sent) = bench.send(&body).await;
    bench.emulator.idle().await;
    let mut echo = bench.receiver.take().remove(0);
    assert!(echo["timestamp"].take().is_string());
    assert_eq!(
        echo,
        json!({
            "timestamp": null,
            "sender": {"id": SHOP, "channelType": "whatsapp", "name": "Shop"},
            "recipient": {"id": ANA, "channelType": "whatsapp", "name": null},
            "callbackData": {"order_id": "12345"},
            "message": {"id": sent["id"], "text": "Hello", "attachments": [], "location": null, "isEcho": true},
        })
    );
}

#[tokio::test]
async fn templates_and_quality_signals_are_told() {
    let bench = Bench::start().await;
    let (_, told) = ask(&bench, Method::POST, "get/templates", None).await;
    let groups = told["entity"]["templateGroups"].as_array().unwrap();
    let templates = || groups.iter().flat_map(|group| group["templates"].as_array().unwrap());
    for status in ["APPROVED", "PENDING", "REJECTED"] {
        let status = format!("MESSAGE_TEMPLATE_STATUS_{status}");
        assert!(templates().any(|template| template["status"] == status), "{status}");
    }
    let rejected = templates().filter(|template| template["status"] == "MESSAGE_TEMPLATE_STATUS_REJECTED");
    assert!(rejected.map(|template| &template["rejectionReason"]).all(Value::is_string));
    let offer = templates().find(|template| template["id"] == "seasonal_offer:en").unwrap();
    assert_eq!(offer["templateComponents"][0]["header"]["media"]["type"], "TYPE_IMAGE");
    let body = "Hi {{1}}, take {{2}} off everything this week.";
    assert_eq!(offer["templateComponents"][1]["body"]["text"]["text"], body);
    let (_, told) = ask(&bench, Method::GET, "get/quality_signals", None).await;
    assert_eq!(told["entity"]["signals"][0]["whatsappQualitySignals"]["phoneNumber"], SHOP);
}
