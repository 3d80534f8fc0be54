//! A connection to NATS, made when it is first needed and from then on again and again.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ClientError, ConnectOptions, Event, ServerAddr, ServerError};
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;

use crate::config::{BrokerConfig, Login};
use crate::connectly::client::install_crypto_provider;

/// How often it is looked whether the connection is there: far below what anybody waits, far above what a look costs.
const LOOK: Duration = Duration::from_millis(20);
/// How often the server is asked whether it is still there: after two without an answer the connection is made anew.
const PING: Duration = Duration::from_secs(10);
/// The client's own limit, which is not the one that counts: an attempt ends with its route's.
const NEVER_FIRST: Duration = Duration::from_hours(2);
/// The schemes of addresses.
const SCHEMES: &[&str] = &["nats", "tls"];

/// A key of a route, and what is wrong with it.
pub(in crate::handler::brokers) type Wrong = (&'static str, String);

/// Every connection, each once.
#[derive(Default)]
pub(in crate::handler::brokers) struct Links(Vec<Arc<Link>>);

impl Links {
    /// The connection for these settings, which routes with the same settings share; or the setting that is wrong.
    pub(in crate::handler::brokers) fn link(&mut self, broker: &BrokerConfig) -> Result<Arc<Link>, Wrong> {
        let settings = Settings::of(broker)?;
        if let Some(known) = self.0.iter().find(|link| link.settings == settings) {
            return Ok(Arc::clone(known));
        }
        if let Some(path) = &settings.credentials {
            let told = |error: std::io::Error| ("credentials_file", format!("{}: {error}", path.display()));
            // Read now for what is wrong with it, and once more when it is needed.
            settings.sign_in(std::fs::read_to_string(path).map(Some).map_err(told)?).map_err(told)?;
        }
        let link = Arc::new(Link { settings, context: OnceCell::new(), trouble: Arc::default() });
        self.0.push(Arc::clone(&link));
        Ok(link)
    }
}

/// Where to connect to, and as whom.
#[derive(PartialEq)]
pub(super) struct Settings {
    url: String,
    servers: Vec<ServerAddr>,
    login: Option<Login>,
    credentials: Option<PathBuf>,
}

impl Settings {
    pub(super) fn of(broker: &BrokerConfig) -> Result<Self, Wrong> {
        let address = |text: &String| {
            let address = text.parse::<ServerAddr>().ok();
            address.filter(|address| SCHEMES.contains(&address.scheme()))
        };
        let servers: Option<Vec<ServerAddr>> = broker.servers.iter().map(address).collect();
        let wrong = || ("url", format!("found {}, expected nats:// or tls:// and a host", broker.url));
        Ok(Self {
            url: broker.url.clone(),
            servers: servers.filter(|servers| !servers.is_empty()).ok_or_else(wrong)?,
            login: broker.login.clone(),
            credentials: broker.credentials_file.clone(),
        })
    }

    /// Options that know who signs in, from what stands in the file of credentials if there is one.
    fn sign_in(&self, credentials: Option<String>) -> std::io::Result<ConnectOptions> {
        let options = ConnectOptions::new().name("switchboard").ping_interval(PING);
        let options = match &self.login {
            Some(Login::Token(token)) => options.token(token.expose_secret().to_owned()),
            Some(Login::User { name, password }) => options
                .user_and_password(name.expose_secret().to_owned(), password.expose_secret().to_owned()),
            None => options,
        };
        match credentials {
            Some(text) => options.credentials(&text),
            None => Ok(options),
        }
    }

    /// The same, with the file read.
    pub(super) async fn options(&self) -> Result<ConnectOptions, String> {
        install_crypto_provider();
        let text = match &self.credentials {
            Some(path) => Some(tokio::fs::read_to_string(path).await),
            None => None,
        };
        text.transpose()
            .and_then(|text| self.sign_in(text))
            .map_err(|error| format!("the file of credentials cannot be used: {error}"))
    }

    pub(super) fn servers(&self) -> &[ServerAddr] {
        &self.servers
    }
}

/// A connection that is there, is being made, or was not needed yet.
pub(in crate::handler::brokers) struct Link {
    settings: Settings,
    context: OnceCell<jetstream::Context>,
    trouble: Arc<Trouble>,
}

/// What went wrong since the connection was there last.
type Trouble = Mutex<Option<String>>;

impl Link {
    /// Waits until there is a connection. The error says that none can even be tried.
    pub(super) async fn ready(&self) -> Result<jetstream::Context, String> {
        let context = self.context.get_or_try_init(|| self.connect()).await?;
        let client = context.client();
        while client.connection_state() != State::Connected {
            tokio::time::sleep(LOOK).await;
        }
        Ok(context.clone())
    }

    /// Where it leads to, for people.
    pub(super) fn url(&self) -> &str {
        &self.settings.url
    }

    /// What went wrong since the connection was there last.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins to connect, and does not wait for it.
    async fn connect(&self) -> Result<jetstream::Context, String> {
        let (trouble, url) = (Arc::clone(&self.trouble), self.settings.url.clone());
        let options = self.settings.options().await?.retry_on_initial_connect().max_reconnects(None);
        let options = options.event_callback(move |event| {
            note(&event, &trouble, &url);
            std::future::ready(())
        });
        let client = options
            .connect(self.settings.servers())
            .await
            .map_err(|error| format!("no connection can be made: {}", error.kind()))?;
        Ok(ContextBuilder::new().timeout(NEVER_FIRST).build(client))
    }
}

/// One of the connections that follow each other.
pub(super) struct Connection {
    client: Client,
    number: u64,
}

impl Connection {
    /// The one that is there now.
    pub(super) fn of(context: &jetstream::Context) -> Self {
        let client = context.client();
        let number = connects(&client);
        Self { client, number }
    }

    /// Comes back when it is over: what was not acknowledged by then never is.
    pub(super) async fn lost(&self) {
        while self.client.connection_state() == State::Connected && connects(&self.client) == self.number {
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn connects(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// Keeps in mind what went wrong, and logs what is new. What a server says is not repeated: it may quote a subject, and in
/// that a phone number.
fn note(event: &Event, trouble: &Trouble, url: &str) {
    let told = match event {
        Event::Connected => {
            tracing::info!(broker.url = url, "connected to NATS");
            trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
            return;
        }
        Event::Disconnected => "the connection is lost".to_owned(),
        Event::ServerError(ServerError::Other(text)) if is_about_permissions(text) => {
            "the server refuses what this user may not do".to_owned()
        }
        Event::ServerError(ServerError::AuthorizationViolation) => {
            "the server refuses the credentials".to_owned()
        }
        Event::ServerError(ServerError::Other(_) | ServerError::SlowConsumer(_)) => {
            "the server reports an error".to_owned()
        }
        Event::ClientError(ClientError::Other(kind)) => kind.clone(),
        Event::ClientError(error) => error.to_string(),
        Event::LameDuckMode | Event::Draining | Event::Closed | Event::SlowConsumer(_) => return,
    };
    let mut known = trouble.lock().unwrap_or_else(PoisonError::into_inner);
    if known.as_ref() != Some(&told) {
        tracing::warn!(broker.url = url, "NATS: {told}");
        *known = Some(told);
    }
}

fn is_about_permissions(text: &str) -> bool {
    text.to_lowercase().starts_with("permissions violation")
}
