//! `dev`: everything on one desk, without any configuration.

mod history;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::SecretString;

use super::connection::{Connection, FOLDER};
use super::emulate::configure;
use super::until::Signals;
use super::{Surroundings, Terminal, Usage};
use crate::app::{App, PUBLIC_LISTEN, Running, StartError};
use crate::clock::Clock;
use crate::config::{AccountConfig, Config, DEFAULT_ACCOUNT, Environment, LogFormat};
use crate::emulator::{Emulator, Settings};
use crate::telemetry::{logging, panics};

/// Runs everything on one desk, without any configuration
///
/// A server on SQLite in `.switchboard/`, the emulator in place of Connectly, and an example route that answers every
/// message; a Rust handler registered with the library takes its place, and --config replaces both. The other commands find
/// the server by themselves when they run in the same folder. Nothing leaves this machine: whatever accounts the
/// configuration names, `dev` talks to its own emulator.
///
/// Example: `switchboard dev`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Begin with a day of a small shop's history, to ask after: events, messages, failures
    #[arg(long)]
    demo: bool,
}

/// The route that answers when nobody brought another.
const EXAMPLE_ROUTE: &str = r#"
[[routes]]
name = "example"
on = ["message.received"]
handler = "rules"

  [[routes.rules]]
  match = { any = true }
  reply = { text = "Hello{% if event.customer.name %} {{ event.customer.name }}{% endif %}! You said: {{ event.content.text }}" }
"#;

/// The business that the emulator plays.
const BUSINESS_ID: &str = "dev";

pub(super) async fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let folder = surroundings.folder.join(FOLDER);
    let desk = Desk::prepare(args, file, surroundings, &folder).await?;
    let written = desk.connection().write(&folder);
    let greeted = written.and_then(|()| desk.greet(surroundings, terminal));
    if greeted.is_ok() {
        Signals::listen(desk.running.drain())?.first().await;
    }
    Connection::remove(&folder)?;
    desk.stop().await;
    greeted
}

/// What runs on the desk.
struct Desk {
    running: Running,
    emulator: Emulator,
    secrets: Secrets,
    /// What a day of history was asked for, and came to.
    demo: Option<Demo>,
}

/// A day of history: the events that were put in, or nothing where there were some already.
type Demo = Option<usize>;

/// Made anew at each start.
struct Secrets {
    token: String,
    webhook: String,
    key: String,
}

impl Desk {
    async fn prepare(
        args: &Args,
        file: Option<&Path>,
        surroundings: &Surroundings,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let secret = |prefix: &str| format!("{prefix}_{:032x}", rand::random::<u128>());
        let secrets = Secrets { token: secret("token"), webhook: secret("secret"), key: secret("key") };
        let mut config = configuration(file, surroundings)?;
        logging::init_logging(&config.log)?;
        panics::install_hook();
        let mut settings =
            Settings::new(BUSINESS_ID, secrets.key.clone().into(), secrets.webhook.clone().into());
        configure(&mut settings, &config.emulator);
        let emulator = start_emulator(settings, &surroundings.clock).await?;
        settle(&mut config, folder, &secrets, &emulator);
        let demo = if args.demo { Some(tell_history(folder, &surroundings.clock).await?) } else { None };
        let started = start(&mut config, &surroundings.app, &surroundings.clock).await;
        let running = started.map_err(|error| match error {
            StartError::Config(problems) => anyhow::Error::new(Usage::of(&problems)),
            other => anyhow::Error::new(other),
        })?;
        let desk = Self { running, emulator, secrets, demo };
        desk.emulator.set_webhook_url(desk.webhook_url());
        Ok(desk)
    }

    fn webhook_url(&self) -> String {
        format!("{}/webhooks/connectly", url(self.running.public_address()))
    }

    fn connection(&self) -> Connection {
        Connection {
            admin_url: url(self.running.admin_address()),
            admin_token: SecretString::from(self.secrets.token.as_str()),
            public_url: url(self.running.public_address()),
            webhook_url: self.webhook_url(),
            webhook_secret: SecretString::from(self.secrets.webhook.as_str()),
            emulator_url: Some(self.emulator.url()),
            business_id: Some(BUSINESS_ID.to_owned()),
            api_key: Some(SecretString::from(self.secrets.key.as_str())),
        }
    }

    fn greet(&self, surroundings: &Surroundings, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        let program = program(&surroundings.folder);
        let lines = [
            "Switchboard is running. Stop it with Ctrl-C.".to_owned(),
            String::new(),
            format!("  webhook    {}", self.webhook_url()),
            format!("  secret     {}", self.secrets.webhook),
            format!("  admin API  {}", url(self.running.admin_address())),
            format!("  token      {}", self.secrets.token),
            format!("  emulator   {}/_emulator/chat", self.emulator.url()),
            format!("  data       {FOLDER}/ (remove it to start anew)"),
            String::new(),
            "In another terminal, in this folder:".to_owned(),
            String::new(),
            format!("  {program} simulate inbound --text hi"),
            format!("  {program} messages list"),
        ];
        for line in lines {
            terminal.line(&line)?;
        }
        match self.demo {
            None => {}
            Some(None) => terminal.hint(&format!(
                "There is data already, so no history was added: remove {FOLDER}/ to begin with one."
            ))?,
            Some(Some(events)) => {
                terminal.line("")?;
                terminal.line(&format!("A day of history is there, {events} deliveries. Ask after it:"))?;
                terminal.line("")?;
                for asked in ["why --callback order_id=12345", "conversations list --closing"] {
                    terminal.line(&format!("  {program} {asked}"))?;
                }
            }
        }
        Ok(())
    }

    async fn stop(self) {
        self.running.stop().await;
        self.emulator.stop().await;
    }
}

/// The given file, or the example; a handler that this program registered takes the example's place.
fn configuration(file: Option<&Path>, surroundings: &Surroundings) -> anyhow::Result<Config> {
    let wrong = |problems: crate::config::Problems| Usage::of(&problems);
    if file.is_some() {
        let mut config = Config::load(file, &surroundings.environment).map_err(wrong)?.config;
        desk_manners(&mut config);
        return Ok(config);
    }
    let registered = surroundings.app.handler_names().next().map(|name| {
        format!("[[routes]]\nname = \"registered\"\non = [\"message.received\"]\nhandler = \"{name}\"\n")
    });
    // No environment: what is meant for a service elsewhere does not belong on the desk.
    let text = registered.as_deref().unwrap_or(EXAMPLE_ROUTE);
    let mut config = Config::from_toml(text, &Environment::default()).map_err(wrong)?.config;
    desk_manners(&mut config);
    Ok(config)
}

/// What a desk does otherwise than a service: nobody else reaches it, so that it needs no TLS, and it speaks up only when
/// something is wrong.
fn desk_manners(config: &mut Config) {
    config.public.tls = None;
    config.public.listen = (Ipv4Addr::LOCALHOST, config.public.listen.port()).into();
    config.log.format = LogFormat::Text;
    "warn,switchboard::emulator=error".clone_into(&mut config.log.filter);
}

/// Fills in what a desk decides by itself: the store, the secrets, and that all messages go to the emulator.
fn settle(config: &mut Config, folder: &Path, secrets: &Secrets, emulator: &Emulator) {
    config.admin.token = Some(SecretString::from(secrets.token.as_str()));
    // Never another store than the desk's own: its worker would swallow the messages that wait there.
    config.store.url = Some(SecretString::from(database(folder)));
    let account = AccountConfig {
        business_id: BUSINESS_ID.to_owned(),
        api_key: SecretString::from(secrets.key.as_str()),
        webhook_secrets: vec![SecretString::from(secrets.webhook.as_str())],
        base_url: emulator.url(),
        rate: crate::config::RateConfig::default(),
    };
    config.accounts = [(DEFAULT_ACCOUNT.to_owned(), account)].into();
}

/// Where the desk's data is.
fn database(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("switchboard.db").display())
}

/// Before anything is routed, so that nobody is answered.
async fn tell_history(folder: &Path, clock: &Clock) -> anyhow::Result<Demo> {
    history::fill(&database(folder), clock).await.context("the day of history")
}

/// Starts the emulator, on any free port when its own is taken: two desks fit on one machine.
async fn start_emulator(mut settings: Settings, clock: &Clock) -> anyhow::Result<Emulator> {
    let started = Emulator::start(settings.clone(), clock.clone()).await;
    let started = match started {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            settings.listen.set_port(0);
            Emulator::start(settings, clock.clone()).await
        }
        other => other,
    };
    started.context("the emulator")
}

/// Starts the service, on any free port where its own is taken.
async fn start(config: &mut Config, app: &App, clock: &Clock) -> Result<Running, StartError> {
    loop {
        let listener = match app.start(config, clock.clone(), true).await {
            Err(StartError::Listen { listener, ref source, .. }) if source.kind() == ErrorKind::AddrInUse => {
                listener
            }
            other => return other,
        };
        let listen =
            if listener == PUBLIC_LISTEN { &mut config.public.listen } else { &mut config.admin.listen };
        listen.set_port(0);
    }
}

/// A server that listens everywhere is reached here.
fn url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// How to call this program from the folder it was started in.
fn program(folder: &Path) -> String {
    let name = PathBuf::from("switchboard");
    let path = std::env::current_exe().unwrap_or(name);
    let here = folder.canonicalize().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}
