//! The service while it runs.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::check::{Built, build};
use crate::clock::Clock;
use crate::config::{AccountConfig, Config, Problems, RouteConfig, RouteOrdering, WhatsAppLimits};
use crate::connectly::client::{Client, ClientError, ClientSettings};
use crate::connectly::message::Strictness;
use crate::connectly::signature::Key;
use crate::connectly::throttle::Rate;
use crate::handler::AnyHandler;
use crate::http::admin::{AdminState, RouteInfo, Token};
use crate::http::public::{Limits, PublicState};
use crate::http::server::{ADMIN_CONNECTIONS, Listener, Terms, room_for};
use crate::http::tls::Tls;
use crate::http::{admin, public};
use crate::ingest::replay::Replayer;
use crate::ingest::{Ingest, Signals};
use crate::model::job::RetryPolicy;
use crate::model::retention::Retention;
use crate::routing::{Route, Routes};
use crate::store::{self, OpenOptions, Store, StoreError};
use crate::telemetry::Metrics;
use crate::worker::{Settings, Wakes, WorkAccount, WorkRoute, Worker};

/// How long a stop may last over the drain limit: giving back what was cut off, the last answers, closing the store.
const AFTER_DRAIN: Duration = Duration::from_millis(900);
/// How long the admin listener waits for its last answers, when everything else has ended.
const LAST_ANSWERS: Duration = Duration::from_millis(200);
/// The key of the public listener's address.
pub const PUBLIC_LISTEN: &str = "public.listen";
/// The key of the admin listener's address.
pub const ADMIN_LISTEN: &str = "admin.listen";

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be served.
    #[error("{0}")]
    Config(Problems),
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// A listener's address cannot be taken.
    #[error("{listener}: {address} cannot be taken")]
    Listen {
        /// Its key in the configuration.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// An account's client cannot be made.
    #[error("accounts.{account}")]
    Client {
        /// The account.
        account: String,
        /// Why.
        source: ClientError,
    },
}

/// A running service.
pub struct Running {
    public: SocketAddr,
    admin: SocketAddr,
    store: Arc<dyn Store>,
    worker: Worker,
    ready: watch::Sender<bool>,
    /// Ends the public listener and the streams.
    stopping: CancellationToken,
    /// Ends the admin listener.
    stopped: CancellationToken,
    public_server: JoinHandle<std::io::Result<()>>,
    admin_server: JoinHandle<std::io::Result<()>>,
    writer: JoinHandle<()>,
    drain: Duration,
}

impl Running {
    pub(super) async fn start(
        config: &Config,
        handlers: Arc<BTreeMap<String, AnyHandler>>,
        clock: Clock,
        migrate: bool,
    ) -> Result<Self, StartError> {
        let problems = super::check(config, &handlers);
        if !problems.is_empty() {
            return Err(StartError::Config(problems));
        }
        let (routes, work_routes) =
            routes(config, build(config, &handlers, &clock).map_err(StartError::Config)?);
        let tls = config.public.tls.as_ref().map(Tls::load).transpose().map_err(StartError::Config)?;
        let public_listener = bind(PUBLIC_LISTEN, config.public.listen).await?;
        let admin_listener = bind(ADMIN_LISTEN, config.admin.listen).await?;
        let store = open_store(config, clock.clone(), migrate).await?;
        let metrics = Arc::new(Metrics::new());
        let signals =
            Signals { committed: watch::Sender::new(0), work: Arc::default(), sends: Arc::default() };
        let committed = signals.committed.subscribe();
        let (work, sends) = (Arc::clone(&signals.work), Arc::clone(&signals.sends));
        let routes = Arc::new(routes);
        let replayer = Replayer::new(Arc::clone(&store), Arc::clone(&routes), clock.clone(), signals.clone());
        let worker = Worker::start(
            Arc::clone(&store),
            clock.clone(),
            Arc::clone(&metrics),
            settings(config),
            work_routes,
            accounts(config)?,
            Wakes { deliveries: work, sends: Arc::clone(&sends) },
        );
        let (ingest, writer) = Ingest::start(
            Arc::clone(&store),
            routes,
            clock.clone(),
            Arc::clone(&metrics),
            signals,
            worker.handover(),
            config.public.bodies_in_flight,
        );
        let (ready, is_ready) = watch::channel(true);
        let (stopping, stopped) = (CancellationToken::new(), CancellationToken::new());
        let (public, admin) = (public_listener.address(), admin_listener.address());
        let public_router = public::router(public_state(config, ingest, clock.clone(), Arc::clone(&metrics)));
        let admin_router = admin::router(AdminState {
            store: Arc::clone(&store),
            replayer,
            token: Token::new(config.admin.token.as_ref().unwrap_or(&String::new().into())),
            hosts: config.admin.hosts.clone().into(),
            routes: config.routes.iter().map(route_info).collect(),
            ready: is_ready,
            committed,
            shutdown: stopping.clone(),
            clock,
            window_margin: config.sending.window_margin,
            accounts: config.accounts.keys().cloned().collect(),
            strictness: strictness(config),
            sends,
            retention: retention(config),
            metrics: Arc::clone(&metrics),
        });
        let drain = config.worker.drain;
        let encrypted = tls.is_some();
        let public_terms = Terms {
            name: "public",
            connections: connections(config.public.connections),
            head_timeout: Some(config.public.read_timeout),
            tls,
            metrics: Arc::clone(&metrics),
            drain,
        };
        let admin_terms = Terms {
            name: "admin",
            connections: ADMIN_CONNECTIONS,
            head_timeout: None,
            tls: None,
            metrics,
            drain: LAST_ANSWERS,
        };
        let public_server =
            tokio::spawn(public_listener.serve(public_router, public_terms, stopping.clone()));
        let admin_server = tokio::spawn(admin_listener.serve(admin_router, admin_terms, stopped.clone()));
        tracing::info!(address = %public, tls = encrypted, "the public listener is ready");
        tracing::info!(address = %admin, "the admin listener is ready");
        Ok(Self {
            public,
            admin,
            store,
            worker,
            ready,
            stopping,
            stopped,
            public_server,
            admin_server,
            writer,
            drain,
        })
    }

    /// The public listener's bound address.
    pub const fn public_address(&self) -> SocketAddr {
        self.public
    }

    /// The admin listener's bound address.
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// How long a stop waits for running work.
    pub const fn drain(&self) -> Duration {
        self.drain
    }

    /// What is remembered.
    pub const fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What does the work.
    pub const fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Stops: not ready, no new deliveries and no new work at once; what was taken is committed and running work is
    /// finished, both within the drain limit. Until then the admin listener answers, so that everybody sees that this
    /// instance is not ready. All of it takes at most a second longer than the limit.
    pub async fn stop(self) {
        let limit = self.drain + AFTER_DRAIN;
        if tokio::time::timeout(limit, self.wind_down()).await.is_err() {
            tracing::warn!("the store's connections did not close in time");
        }
    }

    async fn wind_down(self) {
        let _ = self.ready.send(false);
        self.stopping.cancel();
        let taken = async {
            let _ = self.public_server.await;
            // The router is gone, and the queue's sender with it: the writer commits the rest and ends.
            let _ = self.writer.await;
        };
        let (committed, ()) = tokio::join!(tokio::time::timeout(self.drain, taken), self.worker.stop());
        if committed.is_err() {
            tracing::warn!(
                "the last group was not committed within the drain limit; its senders were answered 503"
            );
        }
        self.stopped.cancel();
        let _ = self.admin_server.await;
        self.store.close().await;
    }
}

async fn bind(listener: &'static str, address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).await.map_err(|source| StartError::Listen { listener, address, source })
}

/// How many connections the public listener holds, with a warning if that is fewer than configured.
fn connections(wanted: usize) -> usize {
    let room = room_for(wanted);
    if room < wanted {
        tracing::warn!(
            "public.connections: {wanted} are wanted, and {room} fit into the files that this process may have open; raise \
             that limit (`ulimit -n`, LimitNOFILE=)"
        );
    }
    room
}

/// Opens the configured store.
async fn open_store(config: &Config, clock: Clock, migrate: bool) -> Result<Arc<dyn Store>, StoreError> {
    let url = config.store.url.as_ref().ok_or(StoreError::Url)?;
    let options = OpenOptions { migrate, connections: config.store.connections };
    store::open(url.expose_secret(), &options, clock).await
}

fn routes(config: &Config, built: Vec<Built>) -> (Routes, Vec<WorkRoute>) {
    let (routes, handlers): (Vec<Route>, Vec<AnyHandler>) =
        built.into_iter().map(|built| (built.route, built.handler)).unzip();
    let work =
        config.routes.iter().zip(handlers).map(|(route, handler)| work_route(route, handler)).collect();
    (Routes::new(routes), work)
}

fn work_route(config: &RouteConfig, handler: AnyHandler) -> WorkRoute {
    WorkRoute {
        name: config.name.clone(),
        handler,
        timeout: config.timeout,
        concurrency: config.concurrency,
        retry: RetryPolicy { attempts: config.retry.attempts, max_age: config.retry.max_age },
    }
}

fn route_info(config: &RouteConfig) -> RouteInfo {
    RouteInfo {
        name: config.name.clone(),
        on: config.on.clone(),
        when: config.when.clone(),
        handler: config.handler.clone(),
        ordering: match config.ordering {
            RouteOrdering::Conversation => "conversation",
            RouteOrdering::None => "none",
        }
        .to_owned(),
    }
}

fn public_state(config: &Config, ingest: Ingest, clock: Clock, metrics: Arc<Metrics>) -> PublicState {
    let limits = Limits {
        body: config.public.body_limit,
        bodies_in_flight: config.public.bodies_in_flight,
        read_timeout: config.public.read_timeout,
    };
    PublicState { accounts: Arc::new(keys(config)), accept: Arc::new(ingest), limits, clock, metrics }
}

fn retention(config: &Config) -> Retention {
    Retention { bodies: config.retention.bodies, events: config.retention.events }
}

/// What is done about WhatsApp's limits that Connectly does not state.
pub(super) const fn strictness(config: &Config) -> Strictness {
    match config.sending.whatsapp_limits {
        WhatsAppLimits::Enforce => Strictness::Enforce,
        WhatsAppLimits::Warn => Strictness::Warn,
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        concurrency: config.worker.concurrency,
        lease: config.worker.lease,
        poll: config.worker.poll,
        drain: config.worker.drain,
        window_margin: config.sending.window_margin,
        replies_per_minute: config.replies.per_minute,
        strictness: strictness(config),
        retention: retention(config),
    }
}

fn keys(config: &Config) -> HashMap<String, Vec<Key>> {
    let keys = config.accounts.iter().map(|(name, account)| {
        let keys = account.webhook_secrets.iter().map(Key::new).collect();
        (name.clone(), keys)
    });
    keys.collect()
}

/// What a client needs to know of an account.
pub fn client_settings(config: &Config, account: &AccountConfig) -> ClientSettings {
    ClientSettings {
        base_url: account.base_url.clone(),
        business_id: account.business_id.clone(),
        api_key: account.api_key.clone(),
        connect_timeout: config.sending.connect_timeout,
        timeout: config.sending.timeout,
    }
}

fn accounts(config: &Config) -> Result<HashMap<String, WorkAccount>, StartError> {
    let mut accounts = HashMap::new();
    for (name, account) in &config.accounts {
        let client = Client::new(&client_settings(config, account))
            .map_err(|source| StartError::Client { account: name.clone(), source })?;
        // The configuration refuses zero.
        let positive = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let rate =
            Rate { per_second: positive(account.rate.per_second), burst: positive(account.rate.burst) };
        accounts.insert(name.clone(), WorkAccount { client, rate });
    }
    Ok(accounts)
}
