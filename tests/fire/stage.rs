//! Everything a scenario stands on: a database, an emulator, a gate and the instances behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard::emulator::{Emulator, Inbound, Rate, Retry, Settings};
use tempfile::TempDir;

use crate::database::{Backend, Database};
use crate::gate::Gate;
use crate::instance::{API_KEY, BUSINESS_ID, Instance, Spec, TOKEN};
use crate::journal::Journal;
use crate::ledger::phone;
use crate::load::CUSTOMERS;
use crate::report::Report;
use crate::watch::Watch;
use crate::webhooks::SECRET;

/// The route under fire where the handler does not matter.
pub const ECHO: &str = r#"
[[routes]]
name = "echo"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = { any = true }
  reply = { text = "You said: {{ event.content.text }}" }
"#;
/// The route under fire whose handler keeps a journal.
pub const JOURNAL: &str = r#"
[[routes]]
name = "journal"
on = ["message.received"]
handler = "journal"
"#;

/// How often Connectly tries again, and how soon: longer than any outage here.
const RETRY: Retry = Retry { attempts: 12, pause: Duration::from_millis(50) };
/// How long may pass until nothing is left to do.
const QUIET_WITHIN: Duration = Duration::from_mins(3);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What differs from scenario to scenario.
pub struct Setup {
    pub instances: usize,
    pub config: String,
    pub journal: bool,
    /// How long the handler that keeps it takes: so that what befalls an instance finds some of it under way.
    pub takes: Duration,
    /// What the emulator lets through.
    pub rate: Rate,
}

impl Setup {
    /// One that recovers from a crash within seconds and limits nobody.
    pub fn quick(instances: usize, route: &str) -> Self {
        let config = format!(
            "[worker]\nlease = \"2s\"\npoll = \"100ms\"\n[replies]\nper_minute = 10000\n\
             [accounts.default]\nrate = {{ per_second = 1000, burst = 1000 }}\n{route}"
        );
        let rate = Rate { per_second: 10_000, burst: 10_000 };
        Self { instances, config, journal: route == JOURNAL, takes: Duration::from_millis(150), rate }
    }
}

pub struct Stage {
    pub emulator: Arc<Emulator>,
    pub gate: Gate,
    pub instances: Vec<Instance>,
    pub journal: Journal,
    /// Where the database is, for those who read it past Switchboard.
    pub database_url: String,
    http: reqwest::Client,
    /// How the instances reach it.
    ways: Vec<String>,
    spec: Spec,
    folder: TempDir,
    started: u32,
    watch: Option<Watch>,
    _database: Option<Database>,
}

impl Stage {
    /// Sets it on a database of its own, with every instance ready.
    pub async fn set(backend: Backend, setup: &Setup) -> Self {
        let database = Database::fresh(backend).await;
        let url = database.url.clone();
        Self::on(&url, std::slice::from_ref(&url), Some(database), setup).await
    }

    /// Sets it on a database that instances reach by other ways than the harness, in turn.
    pub async fn on(
        database_url: &str,
        for_instances: &[String],
        database: Option<Database>,
        setup: &Setup,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("switchboard-fire.").tempdir().unwrap();
        let emulator = Arc::new(emulator(setup.rate).await);
        let gate = Gate::open(setup.instances).await;
        emulator.set_webhook_url(gate.webhook_url());
        let config = folder.path().join("switchboard.toml");
        std::fs::write(&config, &setup.config).unwrap();
        let journal = Journal::new(folder.path().join("journal"));
        let spec = Spec {
            config,
            connectly: emulator.url(),
            journal: setup.journal.then(|| journal.clone()),
            takes: setup.takes,
        };
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let mut stage = Self {
            emulator,
            gate,
            instances: Vec::new(),
            journal,
            database_url: database_url.to_owned(),
            http,
            ways: for_instances.to_vec(),
            spec,
            folder,
            started: 0,
            watch: None,
            _database: database,
        };
        for index in 0..setup.instances {
            let instance = stage.start(index);
            stage.instances.push(instance);
            stage.await_ready(index).await;
        }
        stage.watch = Some(Watch::begin(stage.gate.behind()));
        stage
    }

    /// Kills an instance, and tells nobody.
    pub fn kill(&mut self, index: usize) {
        self.instances[index].kill();
        self.gate.point(index, None);
    }

    /// Starts an instance that was killed, and does not wait until it is ready.
    pub fn spawn(&mut self, index: usize) {
        self.instances[index] = self.start(index);
    }

    fn start(&mut self, index: usize) -> Instance {
        let log = self.next_log();
        Instance::spawn(&self.spec, &self.ways[index % self.ways.len()], log)
    }

    /// Waits until an instance is ready.
    pub async fn await_ready(&mut self, index: usize) {
        let ready = self.instances[index].ready().await;
        assert!(ready, "an instance did not start: see {}", self.keep().display());
        self.gate.point(index, self.instances[index].listeners());
    }

    /// Waits until nobody has anything left to do; no when that takes too long.
    pub async fn quiet(&self) -> bool {
        let waiting = async {
            let mut quiet = 0;
            while quiet < 3 {
                self.emulator.idle().await;
                quiet = if self.has_unfinished().await { 0 } else { quiet + 1 };
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(QUIET_WITHIN, waiting).await.is_ok()
    }

    /// Ends every instance as an operator does, and answers whether each ended well.
    pub async fn end(&mut self, report: &mut Report) -> bool {
        if let Some(watch) = self.watch.take() {
            watch.finish(report).await;
        }
        let mut well = true;
        for instance in self.instances.drain(..) {
            well &= instance.end().await;
        }
        well
    }

    /// Holds back every send, or lets them go on.
    pub async fn pause_sends(&self, pause: bool) {
        let admin = self.instances[0].admin().unwrap();
        let paused = json!({ "sends": pause, "routes": [] });
        let request = self.http.put(format!("http://{admin}/api/v1/pauses")).bearer_auth(TOKEN).json(&paused);
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// Where logs and journal are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many groups of deliveries the first instance has committed.
    pub async fn groups_committed(&self) -> u64 {
        let admin = self.instances[0].admin().unwrap();
        let request = self.http.get(format!("http://{admin}/metrics")).bearer_auth(TOKEN);
        let metrics = request.send().await.unwrap().text().await.unwrap();
        let count = metrics.lines().find_map(|line| line.strip_prefix("switchboard_group_size_count "));
        count.unwrap().parse().unwrap()
    }

    /// Where promises were broken, keeps logs and journal for whoever looks for the cause.
    pub fn strike(mut self, report: &mut Report) {
        if !report.is_clean() {
            report.count("logs and journal", self.keep().display());
        }
    }

    fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Every line of every instance's log.
    pub fn logged(&self) -> Vec<String> {
        let logs = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.flat_map(|path| {
            std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }

    async fn has_unfinished(&self) -> bool {
        for state in ["ready", "running"] {
            match self.ask(&format!("/api/v1/jobs?limit=1&state={state}")).await {
                Some(jobs) if jobs["data"].as_array().is_some_and(Vec::is_empty) => {}
                _ => return true,
            }
        }
        false
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        let admin = self.instances.iter().find_map(Instance::admin)?;
        let request = self.http.get(format!("http://{admin}{path}")).bearer_auth(TOKEN);
        request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }

    fn next_log(&mut self) -> PathBuf {
        self.started += 1;
        self.folder.path().join(format!("serve-{:04}.log", self.started))
    }
}

/// An emulator in which every customer has written, so that every window is open.
async fn emulator(rate: Rate) -> Emulator {
    switchboard::connectly::client::install_crypto_provider();
    let mut settings = Settings::new(BUSINESS_ID, SecretString::from(API_KEY), SecretString::from(SECRET));
    settings.listen.set_port(0);
    settings.status_lag = Duration::from_millis(5);
    settings.retry = RETRY;
    settings.rate = rate;
    let emulator = Emulator::start(settings, Clock::system()).await.unwrap();
    for customer in 0..CUSTOMERS {
        // Nobody is told of it: there is no webhook address yet.
        emulator.inbound(Inbound::text("hello").by(phone(customer))).await.unwrap();
    }
    emulator
}
