//! The control endpoints, as a person with curl meets them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ANA, Bench, hello, settings};
use crate::emulator::Settings;

#[tokio::test]
async fn a_conversation_can_be_held_and_looked_at() {
    let bench = Bench::start().await;
    let said = json!({"text": "hi", "name": "Ana"});
    let (status, answer) = bench.control(Method::POST, "inbound", Some(said)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["webhook"]["status"], 200);
    assert_eq!(answer["webhook"]["body"]["id"], "event-1");
    let (_, sent) = bench.send(&hello()).await;
    bench.emulator.idle().await;
    let (_, messages) = bench.control(Method::GET, "messages", None).await;
    assert_eq!(messages["messages"][0]["id"], sent["id"]);
    assert_eq!(messages["messages"][0]["to"], ANA);
    assert_eq!(messages["messages"][0]["statuses"][2]["status"], "read");
    let (_, webhooks) = bench.control(Method::GET, "webhooks", None).await;
    assert_eq!(webhooks["webhooks"].as_array().unwrap().len(), 4);
    assert_eq!(webhooks["webhooks"][0]["body"]["message"]["text"], "hi");
    assert_eq!(webhooks["webhooks"][0]["attempts"][0]["status"], 200);
    let (_, chat) = bench.control(Method::GET, "chat", None).await;
    assert!(chat.as_str().unwrap().contains("Shop: Hello  (sent, delivered, read)"));
    let (_, page) = bench.control(Method::GET, "", None).await;
    assert!(page.as_str().unwrap().contains("/_emulator/faults"));
}

#[tokio::test]
async fn faults_are_queued_counted_and_cleared() {
    let bench = Bench::start().await;
    bench.open_window().await;
    let fault = json!({"kind": "server_error", "count": 3});
    let (_, waiting) = bench.control(Method::POST, "faults", Some(fault)).await;
    assert_eq!(waiting, json!({"waiting": 3}));
    assert_eq!(bench.send(&hello()).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    bench.control(Method::DELETE, "faults", None).await;
    assert_eq!(bench.send(&hello()).await.0, StatusCode::OK);
    let withheld = json!({"kind": "withheld"});
    bench.control(Method::POST, "faults", Some(withheld)).await;
    assert_eq!(bench.send(&hello()).await.0, StatusCode::OK);
    let (_, released) = bench.control(Method::POST, "release", None).await;
    assert_eq!(released, json!({"released": 3}));
}

#[tokio::test]
async fn mistakes_are_explained() {
    let bench = Bench::start().await;
    for (method, path, body) in [
        (Method::POST, "faults", json!({"kind": "flood"})),
        (Method::POST, "inbound", json!({})),
        (Method::POST, "inbound", json!({"words": "hi"})),
        (Method::PUT, "clock", json!({})),
    ] {
        let (status, answer) = bench.control(method, path, Some(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer["error"].is_string());
    }
}

#[tokio::test]
async fn the_clock_is_set_and_moved() {
    let bench = Bench::start().await;
    let put = async |body: Value| bench.control(Method::PUT, "clock", Some(body)).await.1;
    assert_eq!(put(json!({"offset_seconds": 3_600})).await["offset_seconds"], 3_600);
    assert_eq!(put(json!({"advance_seconds": -600})).await["offset_seconds"], 3_000);
    let (_, shown) = bench.control(Method::GET, "clock", None).await;
    assert_eq!(shown["offset_seconds"], 3_000);
    assert!(shown["now"].is_string());
}

#[tokio::test]
async fn only_known_hosts_and_paths_are_served() {
    let hosts = vec!["emulator.test".to_owned()];
    let bench = Bench::with(Settings { hosts, ..settings() }).await;
    let get = async |host: &str, path: &str| {
        let request = bench.client.get(format!("{}{path}", bench.emulator.url()));
        request.header("host", host).send().await.unwrap().status()
    };
    assert_eq!(get("localhost:1", "/_emulator/").await, StatusCode::OK);
    assert_eq!(get("emulator.test", "/_emulator").await, StatusCode::OK);
    assert_eq!(get("evil.example", "/_emulator/").await, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(get("evil.example", "/nowhere").await, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(get("localhost", "/v1/nowhere").await, StatusCode::NOT_FOUND);
}
