//! A whole Switchboard beside an emulator, on ports and a database of their own.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use switchboard::App;
use switchboard::app::Running;
use switchboard::clock::Clock;
use switchboard::config::{Config, Environment};
use switchboard::emulator::{Emulator, Inbound, SentMessage, Settings};

use super::database::{Backend, Database};
use super::webhooks::{SECRET, sign};

pub const TOKEN: &str = "a-token-of-sixteen-or-more";

/// The route that echoes every text.
pub const ECHO: &str = r#"
[[routes]]
name = "echo"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = { any = true }
  reply = { text = "You said: {{ event.content.text }}" }
"#;

pub struct Desk {
    pub running: Running,
    pub emulator: Emulator,
    pub clock: Clock,
    database: Database,
    pub http: reqwest::Client,
    config: Config,
    app: App,
}

impl Desk {
    /// Starts a service with these routes.
    pub async fn start(backend: Backend, routes: &str) -> Self {
        Self::with(backend, App::new(), routes).await
    }

    /// Starts a service with these handlers and this configuration beside what a desk needs.
    pub async fn with(backend: Backend, app: App, config: &str) -> Self {
        let clock = Clock::system();
        let database = Database::fresh(backend).await;
        let mut settings = Settings::new("biz", SecretString::from("key"), SecretString::from(SECRET));
        settings.listen.set_port(0);
        settings.status_lag = Duration::ZERO;
        let emulator = Emulator::start(settings, clock.clone()).await.unwrap();
        let config = configured(config, &database.url, &emulator.url());
        let running = app.start(&config, clock.clone(), true).await.unwrap();
        let http = client();
        let desk = Self { running, emulator, clock, database, http, config, app };
        desk.emulator.set_webhook_url(desk.webhook_url());
        desk
    }

    /// Another instance of the same service on the same database: for PostgreSQL, where there may be many.
    pub async fn second_instance(&self) -> Running {
        self.app.start(&self.config, self.clock.clone(), true).await.unwrap()
    }

    /// Another instance on the same database, with other routes.
    pub async fn instance_with(&self, routes: &str) -> Running {
        let config = configured(routes, &self.database.url, &self.emulator.url());
        self.app.start(&config, self.clock.clone(), true).await.unwrap()
    }

    /// Where its database is, for those who reach past it.
    pub fn database_url(&self) -> &str {
        &self.database.url
    }

    pub fn webhook_url(&self) -> String {
        format!("http://{}/webhooks/connectly", self.running.public_address())
    }

    /// A customer writes; answers what the webhook answered.
    pub async fn says(&self, inbound: Inbound) -> Value {
        let answer = serde_json::to_value(self.emulator.inbound(inbound).await.unwrap()).unwrap();
        answer["webhook"]["body"].clone()
    }

    /// Posts a signed body to the webhook.
    pub async fn post(&self, body: impl Into<Vec<u8>>) -> reqwest::Response {
        let body = body.into();
        let signature = sign(&body);
        self.post_as(Some(&signature), body).await
    }

    /// Posts a body with any signature header.
    pub async fn post_as(&self, signature: Option<&str>, body: Vec<u8>) -> reqwest::Response {
        let mut request =
            self.http.post(self.webhook_url()).header("content-type", "text/plain; charset=utf-8");
        if let Some(signature) = signature {
            request = request.header("x-connectly-hmac-sha256", signature);
        }
        request.body(body).send().await.unwrap()
    }

    /// Asks the admin API.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.admin(reqwest::Method::GET, path, &Value::Null).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// Makes a request to the admin API; a body of null is none.
    pub async fn admin(&self, method: reqwest::Method, path: &str, body: &Value) -> reqwest::Response {
        let url = format!("http://{}{path}", self.running.admin_address());
        let mut request = self.http.request(method, url).bearer_auth(TOKEN);
        if !body.is_null() {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    /// The rows of a list, newest first.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        self.get(&format!("/api/v1/{path}")).await["data"].as_array().unwrap().clone()
    }

    /// One field of every row of a list, oldest first.
    pub async fn column(&self, path: &str, field: &str) -> Vec<String> {
        let rows = self.list(path).await;
        rows.iter().rev().map(|row| row[field].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What the emulator was sent, oldest first.
    pub fn sent(&self) -> Vec<SentMessage> {
        self.emulator.messages()
    }

    /// The texts the emulator was sent, oldest first; of a template its name, as in `[reopen]`.
    pub fn sent_texts(&self) -> Vec<String> {
        let text = |message: &SentMessage| match message.body["templateName"].as_str() {
            Some(template) => format!("[{template}]"),
            None => message.body["message"]["text"].as_str().unwrap_or_default().to_owned(),
        };
        self.sent().iter().map(text).collect()
    }

    /// Asks the API to send a message, and answers it as it was queued.
    pub async fn submit(&self, body: &Value) -> Value {
        let answer = self.admin(reqwest::Method::POST, "/api/v1/messages", body).await;
        assert_eq!(answer.status(), 202, "{body}");
        answer.json().await.unwrap()
    }

    /// The same under an `Idempotency-Key`, whatever is answered.
    pub async fn submit_under(&self, key: &str, body: &Value) -> reqwest::Response {
        let url = format!("http://{}/api/v1/messages", self.running.admin_address());
        let request = self.http.post(url).bearer_auth(TOKEN).header("idempotency-key", key);
        request.json(body).send().await.unwrap()
    }

    /// One message with its timeline.
    pub async fn message(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/messages/{id}")).await
    }

    /// Waits until nobody has anything left to do: no claimable job, nothing running, no webhook on its way.
    pub async fn settled(&self) {
        loop {
            let before = self.emulator.webhooks().len();
            self.running.worker().idle().await;
            self.emulator.idle().await;
            self.running.worker().idle().await;
            if self.emulator.webhooks().len() == before {
                return;
            }
        }
    }

    /// Moves the time of the service, its database and the emulator.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Stops the service and starts it again on the same database.
    pub async fn restart(self) -> Self {
        self.running.stop().await;
        let running = self.app.start(&self.config, self.clock.clone(), true).await.unwrap();
        let desk = Self { running, ..self };
        desk.emulator.set_webhook_url(desk.webhook_url());
        desk
    }

    pub async fn stop(self) {
        self.running.stop().await;
        self.emulator.stop().await;
    }
}

/// A client that goes where it is told and waits for as long as a busy machine takes.
pub fn client() -> reqwest::Client {
    client_builder().build().unwrap()
}

/// The same, to be told more.
pub fn client_builder() -> reqwest::ClientBuilder {
    switchboard::connectly::client::install_crypto_provider();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30))
}

fn configured(config: &str, database: &str, emulator: &str) -> Config {
    let mut config = Config::from_toml(config, &environment(database, emulator)).unwrap().config;
    config.public.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    config.store.connections = 4;
    config
}

fn environment(database: &str, emulator: &str) -> Environment {
    let variables = [
        ("DATABASE_URL", database),
        ("SWITCHBOARD_ADMIN_TOKEN", TOKEN),
        ("CONNECTLY_BUSINESS_ID", "biz"),
        ("CONNECTLY_API_KEY", "key"),
        ("CONNECTLY_WEBHOOK_SECRET", SECRET),
        ("CONNECTLY_BASE_URL", emulator),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
