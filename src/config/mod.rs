//! The configuration: one struct per section, and every problem reported at once.
//!
//! The environment overrides the file, and the file overrides the defaults, which `config/default.toml` explains.
//! This is the only module that reads the environment; it imports nothing else of ours, and it does not know what the
//! settings are used for: that a handler is registered, or that an expression compiles, is for others to check (with
//! [`Config::load_checked`], so that their problems appear beside ours).
//!
//! To add a setting: a field in its section's struct and in its `Default`, a line in its `read`, a line in
//! `config/default.toml`. The tests hold the three together.

mod account;
mod admin;
mod broker;
mod check;
mod emulator;
mod environment;
mod hours;
mod log;
mod problem;
mod public;
mod reader;
mod retention;
mod route;
mod rule;
mod secret;
mod section;
mod sending;
mod shown;
mod spool;
mod store;
mod suggest;
#[cfg(test)]
mod tests;
mod units;
mod value;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;
use toml::Table;

pub use self::account::{AccountConfig, DEFAULT_ACCOUNT, RateConfig};
pub use self::admin::AdminConfig;
pub use self::broker::{BROKERS, BrokerConfig, Login};
pub use self::emulator::EmulatorConfig;
pub use self::environment::Environment;
pub use self::hours::HoursConfig;
pub use self::log::{LogConfig, LogFormat};
pub use self::problem::{Problem, Problems};
pub use self::public::{PublicConfig, TlsConfig};
pub use self::retention::RetentionConfig;
pub use self::route::{RetryConfig, RouteConfig, RouteOrdering};
pub use self::rule::{MatchConfig, RuleConfig};
pub use self::sending::{RepliesConfig, SendingConfig, WhatsAppLimits};
pub use self::spool::SpoolConfig;
pub use self::store::StoreConfig;
pub use self::units::parse_duration;
pub use self::worker::WorkerConfig;

use self::reader::Reader;
use self::section::Section;

/// The reference: every setting with its default, in words.
pub const TEMPLATE: &str = include_str!("../../config/default.toml");

/// The variable that names the configuration file.
const FILE_VARIABLE: &str = "SWITCHBOARD_CONFIG";

/// All settings. Neither its `Debug` output nor its serialized form shows a secret.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Config {
    /// The listener that Connectly posts to.
    pub public: PublicConfig,
    /// The listener for operators.
    pub admin: AdminConfig,
    /// The database.
    pub store: StoreConfig,
    /// The Connectly businesses by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, AccountConfig>,
    /// The brake on replies.
    pub replies: RepliesConfig,
    /// How messages are handed to Connectly.
    pub sending: SendingConfig,
    /// How jobs are worked on.
    pub worker: WorkerConfig,
    /// Where deliveries wait while PostgreSQL is down.
    pub spool: SpoolConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// The Connectly on your desk.
    pub emulator: EmulatorConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// When the business is open, if it says.
    pub hours: Option<HoursConfig>,
    /// Which events go to which handler, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteConfig>,
}

/// A configuration without problems, and what its owner should know nevertheless.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings in effect.
    pub config: Config,
    /// Settings that have no effect in this release, and variables that look mistyped; one line each.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the file at `path`, or else the one that `SWITCHBOARD_CONFIG` names, if any, and the environment over it.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Loaded, Problems> {
        Self::load_checked(path, environment, |_| Problems::new())
    }

    /// [`Config::load`], with a further check whose problems are reported together with the rest.
    ///
    /// The check is run even if there are problems already. Defaults stand in for what is wrong, and what the check
    /// says about such settings is left out.
    pub fn load_checked(
        path: Option<&Path>,
        environment: &Environment,
        check: impl FnOnce(&Self) -> Problems,
    ) -> Result<Loaded, Problems> {
        let path = path.or_else(|| environment.get(FILE_VARIABLE).map(Path::new));
        let Some(path) = path else {
            return Self::read(Table::new(), environment, check);
        };
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| single(&name, format!("cannot read the configuration file: {error}")))?;
        let read = parse(&name, &text).and_then(|table| Self::read(table, environment, check));
        read.map_err(|problems| problems.of_file(&name))
    }

    /// [`Config::load`] with the file's text in hand.
    pub fn from_toml(text: &str, environment: &Environment) -> Result<Loaded, Problems> {
        Self::read(parse("configuration", text)?, environment, |_| Problems::new())
    }

    /// The settings in effect, as TOML; `***` stands for each secret.
    ///
    /// # Panics
    ///
    /// Never: every setting has a form in TOML.
    pub fn redacted(&self) -> String {
        toml::to_string(self).expect("settings come from TOML, so they have a form in it")
    }

    fn read(
        table: Table,
        environment: &Environment,
        check: impl FnOnce(&Self) -> Problems,
    ) -> Result<Loaded, Problems> {
        let reader = Reader::new(environment);
        let config = reader.document(table, Self::read_sections);
        let (mut problems, warnings) = reader.finish();
        problems.follow_up(check(&config));
        if problems.is_empty() { Ok(Loaded { config, warnings }) } else { Err(problems) }
    }

    fn read_sections(root: &mut Section<'_>) -> Self {
        let config = Self {
            public: root.section("public", PublicConfig::read),
            admin: root.section("admin", AdminConfig::read),
            store: root.section("store", StoreConfig::read),
            accounts: root.section("accounts", account::read_all),
            replies: root.section("replies", RepliesConfig::read),
            sending: root.section("sending", SendingConfig::read),
            worker: root.section("worker", WorkerConfig::read),
            spool: root.section("spool", SpoolConfig::read),
            retention: root.section("retention", RetentionConfig::read),
            emulator: root.section("emulator", EmulatorConfig::read),
            log: root.section("log", LogConfig::read),
            hours: HoursConfig::read_optional(root),
            routes: route::read_all(root),
        };
        if config.listeners_collide() {
            let message = format!("{} is taken by public.listen, expected another", config.admin.listen);
            root.problem("admin.listen", message);
        }
        config
    }

    /// Whether one of the listeners of `serve` would find its port taken by the other.
    fn listeners_collide(&self) -> bool {
        let (public, admin) = (self.public.listen, self.admin.listen);
        let same_host =
            public.ip() == admin.ip() || public.ip().is_unspecified() || admin.ip().is_unspecified();
        public.port() != 0 && public.port() == admin.port() && same_host
    }
}

/// Parses TOML. The problem names the place, and does not quote the line, which may hold a secret.
fn parse(name: &str, text: &str) -> Result<Table, Problems> {
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        single(name, format!("not TOML at line {line}: {}", error.message()))
    })
}

fn single(key: &str, message: String) -> Problems {
    let mut problems = Problems::new();
    problems.add(key, message);
    problems
}
