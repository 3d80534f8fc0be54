//! The emulator through its front door, and the world without one.

mod account;
mod control;
mod deliveries;
mod receiver;
mod replies;
mod requests;
mod sends;
mod templates;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Emulator, Inbound, Retry, Settings, client};
use crate::clock::Clock;
use receiver::Receiver;

const SHOP: &str = "+15550100002";
const ANA: &str = "+15550100001";
const API_KEY: &str = "key-1";
const WEBHOOK_SECRET: &str = "secret-1";
/// What the paths of the two endpoints end with.
const SESSION: &str = "messages";
const TEMPLATE: &str = "whatsapp_templated_messages";

fn settings() -> Settings {
    Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        status_lag: Duration::ZERO,
        retry: Retry { attempts: 3, pause: Duration::ZERO },
        ..Settings::new("business-1", SecretString::from(API_KEY), SecretString::from(WEBHOOK_SECRET))
    }
}

/// An emulator, an endpoint for its webhooks, and a client of its API.
struct Bench {
    emulator: Emulator,
    receiver: Receiver,
    client: reqwest::Client,
}

impl Bench {
    async fn start() -> Self {
        Self::with(settings()).await
    }

    async fn with(settings: Settings) -> Self {
        let receiver = Receiver::start().await;
        let emulator = Emulator::start(settings, Clock::system()).await.unwrap();
        emulator.set_webhook_url(receiver.url());
        Self { emulator, receiver, client: client::build().unwrap() }
    }

    /// Ana writes, so that the shop may answer; what was delivered until now is forgotten.
    async fn open_window(&self) {
        self.emulator.inbound(Inbound::text("hi")).await.unwrap();
        self.emulator.idle().await;
        self.receiver.take();
    }

    async fn try_send(&self, body: &Value) -> reqwest::Result<Response> {
        self.post(SESSION, body).await
    }

    async fn send(&self, body: &Value) -> (StatusCode, Value) {
        read(self.post(SESSION, body).await.unwrap()).await
    }

    async fn send_template(&self, body: &Value) -> (StatusCode, Value) {
        read(self.post(TEMPLATE, body).await.unwrap()).await
    }

    async fn post(&self, endpoint: &str, body: &Value) -> reqwest::Result<Response> {
        let url = format!("{}/v1/businesses/business-1/send/{endpoint}", self.emulator.url());
        self.client.post(url).header("x-api-key", API_KEY).json(body).send().await
    }

    async fn control(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("{}/_emulator/{path}", self.emulator.url());
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        read(request.send().await.unwrap()).await
    }

    /// The statuses delivered since the last look, once nothing waits any more.
    async fn statuses(&self) -> Vec<String> {
        self.emulator.idle().await;
        let delivered = self.receiver.take();
        delivered
            .iter()
            .map(|webhook| webhook["statusUpdate"]["status"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn hello() -> Value {
    json!({"recipient": {"id": ANA, "channelType": "whatsapp"}, "message": {"text": "Hello"}})
}

fn order_update() -> Value {
    let parameters = json!([{"name": "body_1", "value": "Ana"}, {"name": "body_2", "value": "12345"}]);
    json!({"number": ANA, "templateName": "order_update", "language": "en", "parameters": parameters})
}
