//! What is to be run: which scenario, on which store, how long, from which seed.

use std::fmt;

use clap::{Parser, ValueEnum};

#[cfg(feature = "nats")]
use crate::broker;
use crate::database::Backend;
use crate::report::Report;
use crate::{bulk, crash, cut, database_killed, disk, pause, rate, replies, silence, slow, sync, turns};

/// The scenarios, by what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Processes are killed.
    Crash,
    /// Two instances are killed and stand still in turn.
    Pause,
    /// PostgreSQL is killed.
    Database,
    /// Connections to PostgreSQL break, also while a commit is in flight.
    Cut,
    /// Nothing goes through to PostgreSQL, and nobody is told.
    Silence,
    /// More is to be sent than the rate allows, and instances are killed.
    Rate,
    /// Connectly loses answers, refuses and fails, and the process is killed: 2,000 replies.
    Replies,
    /// 1,000 conversations of five turns with a handler over HTTP, and the process is killed.
    Turns,
    /// 10,000 messages of the API's are queued, and customers write meanwhile.
    Bulk,
    /// The broker that a route publishes to is killed, and is away for a while.
    #[cfg(feature = "nats")]
    Broker,
    /// The store's disk is full; needs the right to mount.
    Disk,
    /// The store's disk is slow; needs `strace`.
    Slow,
    /// Waits for the disk are counted; needs `strace`.
    Sync,
}

/// How many seconds a broker is away in a test.
const SHORT_DOWN: u64 = 1;

/// One run of one scenario.
#[derive(Debug, Clone)]
pub struct Plan {
    pub scenario: Scenario,
    pub backend: Backend,
    /// Where every instant and every choice comes from.
    pub seed: u64,
    /// How often something is killed.
    pub kills: u32,
    /// How long to go on, where kills are not what is counted.
    pub seconds: u64,
    /// How many of them a broker is away.
    #[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "there is none in this build"))]
    pub down: u64,
    /// Whether it is the short run of `cargo test`.
    pub short: bool,
}

/// Kills and pauses Switchboard and what it stands on, and checks every promise afterwards.
#[derive(Parser)]
#[command(name = "scripts/fire")]
struct Asked {
    /// What goes wrong; absent: everything in turn.
    scenario: Option<Scenario>,
    /// The store; absent: each that the scenario is about.
    #[arg(long)]
    store: Option<Store>,
    /// How often something is killed.
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// How long it goes on, where kills are not counted.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// How many of these seconds a broker is away, where one is.
    #[arg(long, default_value_t = 60)]
    down: u64,
    /// Repeats an earlier schedule.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

impl From<Store> for Backend {
    fn from(store: Store) -> Self {
        match store {
            Store::Sqlite => Self::Sqlite,
            Store::Postgres => Self::Postgres,
        }
    }
}

impl Scenario {
    /// The stores that it is about.
    fn stores(self) -> &'static [Backend] {
        match self {
            Self::Crash | Self::Disk | Self::Slow | Self::Replies | Self::Turns => {
                &[Backend::Sqlite, Backend::Postgres]
            }
            Self::Pause | Self::Database | Self::Cut | Self::Silence | Self::Rate | Self::Bulk => {
                &[Backend::Postgres]
            }
            #[cfg(feature = "nats")]
            Self::Broker => &[Backend::Sqlite, Backend::Postgres],
            Self::Sync => &[Backend::Sqlite],
        }
    }

    /// How much of it `cargo test` runs: kills, and seconds where those are not counted. Nothing of what needs more than a
    /// test may ask for.
    fn in_short(self) -> Option<(u32, u64)> {
        match self {
            Self::Crash => Some((8, 0)),
            Self::Pause => Some((0, 1)),
            Self::Database | Self::Silence | Self::Replies | Self::Turns => Some((2, 0)),
            Self::Bulk => Some((0, 0)),
            Self::Cut => Some((20, 0)),
            Self::Rate => Some((0, 3)),
            #[cfg(feature = "nats")]
            Self::Broker => Some((0, 4)),
            Self::Disk | Self::Slow | Self::Sync => None,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Plan {
    /// What the command line of `scripts/fire` asks for.
    pub fn asked(arguments: &[String]) -> Vec<Self> {
        let asked = Asked::parse_from(arguments);
        let seed = asked.seed.unwrap_or_else(fresh_seed);
        let mut plans = Vec::new();
        for scenario in asked.scenario.map_or_else(|| Scenario::value_variants().to_vec(), |one| vec![one]) {
            for backend in scenario.stores() {
                if asked.store.is_none_or(|store| Backend::from(store) == *backend) {
                    let (kills, seconds, down) = (asked.kills, asked.seconds, asked.down);
                    let backend = *backend;
                    plans.push(Self { scenario, backend, seed, kills, seconds, down, short: false });
                }
            }
        }
        plans
    }

    /// What `cargo test` runs: everything, or what a word of its command line names.
    pub fn short(arguments: &[String]) -> Vec<Self> {
        let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
        let seed =
            std::env::var("FIRE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fresh_seed);
        let mut plans = Vec::new();
        for scenario in Scenario::value_variants() {
            for backend in scenario.stores() {
                let Some((kills, seconds)) = scenario.in_short() else { continue };
                plans.push(Self {
                    scenario: *scenario,
                    backend: *backend,
                    seed,
                    kills,
                    seconds,
                    down: SHORT_DOWN,
                    short: true,
                });
            }
        }
        plans.retain(|plan| words.is_empty() || words.iter().any(|word| plan.name().contains(*word)));
        if arguments.iter().any(|word| word == "--list") {
            plans.drain(..).for_each(|plan| println!("{}: test", plan.name()));
        }
        plans
    }

    pub async fn run(&self) -> Report {
        match self.scenario {
            Scenario::Crash => crash::run(self).await,
            Scenario::Pause => pause::run(self).await,
            Scenario::Database => database_killed::run(self).await,
            Scenario::Cut => cut::run(self).await,
            Scenario::Silence => silence::run(self).await,
            Scenario::Rate => rate::run(self).await,
            Scenario::Replies => replies::run(self).await,
            Scenario::Turns => turns::run(self).await,
            Scenario::Bulk => bulk::run(self).await,
            #[cfg(feature = "nats")]
            Scenario::Broker => broker::run(self).await,
            Scenario::Disk => disk::run(self).await,
            Scenario::Slow => slow::run(self).await,
            Scenario::Sync => sync::run(self).await,
        }
    }

    /// Short, and the same for every run of it.
    pub fn name(&self) -> String {
        let store = match self.backend {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
        };
        format!("fire::{}_{store}", self.scenario.name())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, seed {}", self.name(), self.seed)
    }
}

/// Short enough to be typed.
fn fresh_seed() -> u64 {
    u64::from(rand::random::<u32>())
}
