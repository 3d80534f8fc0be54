//! The command as a whole, against a webhook and an emulator that answer what they are told.

mod shapes;

use bytes::Bytes;
use clap::Parser as _;
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cli::connection::{Connection, FOLDER};
use crate::cli::testing::Captured;
use crate::cli::{Cli, Surroundings, Usage, dispatch};
use crate::clock::Clock;
use crate::connectly::event::status::Status;
use crate::connectly::signature::{HEADER, Key, verify};
use crate::model::event::EventType;

/// A webhook and an emulator on one port, and a folder with a connection to them.
struct Desk {
    server: MockServer,
    folder: tempfile::TempDir,
}

impl Desk {
    /// The emulator, if any, answers what it is told as well.
    async fn new(emulator: bool) -> Self {
        let server = MockServer::start().await;
        let emulator = emulator.then(|| server.uri());
        Self::beside(server, emulator)
    }

    fn beside(server: MockServer, emulator_url: Option<String>) -> Self {
        let (uri, folder) = (server.uri(), tempfile::tempdir().unwrap());
        let connection = Connection {
            admin_url: uri.clone(),
            admin_token: "token-1".into(),
            public_url: uri.clone(),
            webhook_url: format!("{uri}/webhooks/connectly"),
            webhook_secret: "secret-1".into(),
            emulator_url,
            business_id: None,
            api_key: None,
        };
        connection.write(&folder.path().join(FOLDER)).unwrap();
        Self { server, folder }
    }

    async fn answers(self, at: &str, status: u16, body: &Value) -> Self {
        let response = ResponseTemplate::new(status).set_body_json(body);
        Mock::given(path(at)).respond_with(response).mount(&self.server).await;
        self
    }

    async fn simulate(&self, line: &[&str]) -> anyhow::Result<Captured> {
        let cli = parse(line).unwrap();
        let folder = self.folder.path().to_owned();
        let surroundings = Surroundings {
            clock: Clock::system(),
            folder,
            configured: None,
            app: crate::App::default(),
            environment: crate::config::Environment::default(),
        };
        let mut captured = Captured::default();
        dispatch(cli, &surroundings, &mut captured.terminal()).await?;
        Ok(captured)
    }

    /// The body of the only request, whose signature must be right.
    async fn delivered(&self) -> Value {
        let requests = self.server.received_requests().await.unwrap();
        let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
        assert_eq!(request.headers["content-type"], "text/plain; charset=utf-8");
        let signature = request.headers.get(HEADER).map(reqwest::header::HeaderValue::as_bytes);
        verify(&[Key::new(&"secret-1".into())], signature, Bytes::from(request.body.clone())).unwrap();
        request.body_json().unwrap()
    }
}

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["switchboard", "simulate"], line].concat())
}

const WEBHOOK: &str = "/webhooks/connectly";
const INBOUND: &str = "/_emulator/inbound";

async fn webhook() -> Desk {
    Desk::new(false).await.answers(WEBHOOK, 200, &json!({"id": "01K9", "duplicate": false})).await
}

#[tokio::test]
async fn a_text_arrives_in_the_live_shape() {
    let desk = webhook().await;
    assert_eq!(desk.simulate(&["inbound", "--text", "hi"]).await.unwrap().out(), "event 01K9\n");
    let mut body = desk.delivered().await;
    let taken = |value: &mut Value| value.take().as_str().unwrap().to_owned();
    assert_eq!(taken(&mut body["timestamp"]).len(), 10);
    assert_eq!(taken(&mut body["message"]["id"]).len(), 26);
    insta::assert_json_snapshot!(body, @r#"
    {
      "message": {
        "attachments": [],
        "id": null,
        "location": null,
        "text": "hi"
      },
      "recipient": {
        "channelType": "whatsapp",
        "id": "+15550100002",
        "name": "Shop"
      },
      "sender": {
        "channelType": "whatsapp",
        "id": "+15550100001",
        "name": "Ana"
      },
      "timestamp": null
    }
    "#);
}

#[tokio::test]
async fn a_button_arrives_without_a_message() {
    let desk = webhook().await;
    let line =
        ["inbound", "--button", "Yes", "--payload", "confirm", "--from", "+15550100009", "--name", "Bo"];
    desk.simulate(&line).await.unwrap();
    let body = desk.delivered().await;
    assert_eq!(body["sender"], json!({"id": "+15550100009", "channelType": "whatsapp", "name": "Bo"}));
    assert_eq!(body["buttonResponse"]["text"], "Yes");
    assert_eq!(body["buttonResponse"]["payload"], "confirm");
    assert_eq!(body.get("message"), None);
}

#[tokio::test]
async fn every_status_is_one_that_we_decode() {
    for status in Status::ALL {
        let desk = webhook().await;
        let id = "01K00000000000000000000001";
        let line = ["status", "--id", id, "--status", status.as_str(), "--callback", r#"{"order": 1}"#];
        desk.simulate(&line).await.unwrap();
        let body = desk.delivered().await;
        assert_eq!(body["callbackData"], json!({"order": 1}));
        let decoded = crate::connectly::event::decode(body.to_string().as_bytes());
        assert_eq!(EventType::of(&decoded.kind).status(), Some(status));
        assert_eq!(decoded.provider_message_id.unwrap().to_string(), id);
        assert_eq!(decoded.customer.unwrap().phone.unwrap(), super::side::CUSTOMER);
    }
}

#[tokio::test]
async fn only_a_failure_has_a_code() {
    let desk = webhook().await;
    let line = ["status", "--id", "x", "--status", "failed", "--code", "ERROR_CODE_X"];
    desk.simulate(&line).await.unwrap();
    assert_eq!(desk.delivered().await["statusUpdate"]["error"]["code"], "ERROR_CODE_X");
    for flag in ["--code", "--type", "--message", "--trace-id"] {
        let error =
            desk.simulate(&["status", "--id", "x", "--status", "read", flag, "X"]).await.err().unwrap();
        assert!(error.is::<Usage>());
        assert_eq!(error.to_string(), format!("{flag} goes with --status failed only"));
    }
}

#[tokio::test]
async fn a_duplicate_is_told_and_a_refusal_is_an_error() {
    let desk = Desk::new(false).await.answers(WEBHOOK, 200, &json!({"id": "01K9", "duplicate": true})).await;
    let line = ["inbound", "--text", "hi"];
    assert_eq!(desk.simulate(&line).await.unwrap().out(), "event 01K9 (duplicate)\n");
    let desk = Desk::new(false).await.answers(WEBHOOK, 401, &json!({"title": "unauthorized"})).await;
    let error = desk.simulate(&line).await.err().unwrap();
    assert_eq!(error.to_string(), "the webhook answered 401 unauthorized");
}

#[tokio::test]
async fn beside_an_emulator_the_customer_writes_there() {
    let answer =
        json!({"id": "01P1", "webhook": {"status": 200, "body": {"id": "01K9", "duplicate": false}}});
    let desk = Desk::new(true).await.answers(INBOUND, 200, &answer).await;
    assert_eq!(desk.simulate(&["inbound", "--text", "hi"]).await.unwrap().out(), "event 01K9\n");
    let requests = desk.server.received_requests().await.unwrap();
    let body: Value = requests[0].body_json().unwrap();
    assert_eq!(body, json!({"from": "+15550100001", "to": "+15550100002", "name": "Ana", "text": "hi"}));

    let answer = json!({"webhook": {"status": 200, "body": "{\"id\": \"01K8\"}"}});
    let desk = Desk::new(true).await.answers(INBOUND, 202, &answer).await;
    let line = ["inbound", "--button", "Yes", "--payload", "1"];
    assert_eq!(desk.simulate(&line).await.unwrap().out(), "event 01K8\n");
    let requests = desk.server.received_requests().await.unwrap();
    let body: Value = requests[0].body_json().unwrap();
    assert_eq!(body["button"], json!({"text": "Yes", "payload": "1"}));
}

#[tokio::test]
async fn what_the_webhook_told_the_emulator_decides() {
    let refused = json!({"webhook": {"status": 503, "body": {"title": "queue full"}}});
    let desk = Desk::new(true).await.answers(INBOUND, 200, &refused).await;
    let line = ["inbound", "--text", "hi"];
    assert_eq!(desk.simulate(&line).await.err().unwrap().to_string(), "the webhook answered 503 queue full");
    let desk = Desk::new(true).await.answers(INBOUND, 200, &json!({"webhook": null})).await;
    let error = desk.simulate(&line).await.err().unwrap();
    assert!(error.to_string().starts_with("nobody is registered for it"), "{error}");
    let desk = Desk::new(true).await.answers(INBOUND, 200, &json!({"webhook": {"error": "x"}})).await;
    let error = desk.simulate(&line).await.err().unwrap();
    assert_eq!(error.to_string(), "the emulator could not reach the webhook");
    let wrong = json!({"error": "from is a number of the business"});
    let desk = Desk::new(true).await.answers(INBOUND, 400, &wrong).await;
    let error = desk.simulate(&line).await.err().unwrap();
    let expected = "the emulator answered 400 bad request: from is a number of the business";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn who_names_a_webhook_goes_around_the_emulator() {
    let desk = Desk::new(true).await.answers(WEBHOOK, 200, &json!({"id": "01K9", "duplicate": false})).await;
    let url = format!("{}{WEBHOOK}", desk.server.uri());
    let line = ["inbound", "--text", "hi", "--webhook-url", &url];
    assert_eq!(desk.simulate(&line).await.unwrap().out(), "event 01K9\n");
    assert_eq!(desk.delivered().await["message"]["text"], "hi");
}

#[tokio::test]
async fn a_file_is_sent_anew_or_exactly() {
    let desk = webhook().await;
    let file = desk.folder.path().join("event.json");
    std::fs::write(&file, r#"{"timestamp": "1"}"#).unwrap();
    desk.simulate(&["file", file.to_str().unwrap(), "--exact"]).await.unwrap();
    assert_eq!(desk.delivered().await, json!({"timestamp": "1"}));
}

#[tokio::test]
async fn a_load_sends_every_event_once_and_counts_the_answers() {
    let desk = webhook().await;
    let printed = desk
        .simulate(&["load", "--rate", "50", "--seconds", "1", "--customers", "3", "--json"])
        .await
        .unwrap();
    let result: Value = serde_json::from_str(printed.out()).unwrap();
    assert_eq!((&result["sent"], &result["accepted"]), (&json!(50), &json!(50)));
    assert!(result["latency_us"]["max"].as_u64().unwrap() > 0);
    let requests = desk.server.received_requests().await.unwrap();
    let bodies: Vec<Value> = requests.iter().map(|request| request.body_json().unwrap()).collect();
    let distinct = |pointer: &str| {
        let values = bodies.iter().map(|body| body.pointer(pointer).unwrap().as_str().unwrap());
        values.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!((distinct("/message/id"), distinct("/sender/id")), (50, 3));
    for request in &requests {
        let signature = request.headers.get(HEADER).map(reqwest::header::HeaderValue::as_bytes);
        verify(&[Key::new(&"secret-1".into())], signature, Bytes::from(request.body.clone())).unwrap();
    }
}

#[tokio::test]
async fn a_load_that_is_refused_fails() {
    let desk = Desk::new(false).await.answers(WEBHOOK, 503, &json!({"title": "Busy"})).await;
    let error = desk.simulate(&["load", "--rate", "10", "--seconds", "1"]).await.err().unwrap();
    assert_eq!(error.to_string(), "10 of 10 events were not accepted");
}

#[tokio::test]
async fn a_load_that_nobody_could_hold_is_refused() {
    let desk = webhook().await;
    let error = desk.simulate(&["load", "--rate", "100000", "--seconds", "1000"]).await.err().unwrap();
    assert!(error.is::<Usage>(), "{error}");
}
