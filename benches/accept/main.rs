//! How many deliveries a second are accepted durably, and how that compares: the release binary as a process of its own, its
//! store and this load generator on the same machine. `scripts/bench` runs it and prints the tables of `docs/performance.md`.
//!
//! Closed loop: each connection posts a signed body that nobody posted before, waits for its 200, and posts the next. What is
//! compared is measured in turn, each run on a fresh database, and told as a ratio.
//!
//! # Layout
//!
//! | File | What it is for |
//! |---|---|
//! | `load` | the connections that post |
//! | `pace`, `stores`, `spread` | how long, where, and the median of it |
//! | `beforehand` | what is stored before anything is measured |
//! | `side` | what can be measured: the product, and everything beside it |
//! | `service` | a process beside the product that serves the same webhook |
//! | `naive`, `bare`, `peers` | those beside it |
//! | `own` | the product with a handler in Rust |
//! | `emulated` | Connectly's side, where replies are sent |
//! | `lag`, `admin` | delays as the store tells them, and what is left to do |
//! | `comparison` | sides in turn, told as ratios |
//! | `tables`, `ratios`, `rest`, `latency`, `overload`, `drain`, `steady`, `history` | the sections |

#![allow(unreachable_pub, missing_docs, reason = "nothing here is public")]
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]

mod admin;
mod bare;
mod beforehand;
mod comparison;
mod drain;
mod emulated;
#[path = "../history/fill.rs"]
#[allow(dead_code, reason = "shared with the benchmark of questions, which uses more of it")]
#[allow(clippy::disallowed_methods, reason = "a measurement reads the time")]
mod fill;
mod history;
mod lag;
mod latency;
mod load;
mod naive;
mod overload;
mod own;
mod pace;
mod peers;
#[path = "../../tests/it/support/process.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod process;
mod ratios;
mod rest;
mod service;
mod side;
mod spread;
mod steady;
mod stores;
mod tables;
#[path = "../../tests/it/support/webhooks.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod webhooks;

use std::process::ExitCode;

use pace::Pace;
use stores::Stores;

/// Everything that a section needs to know.
struct Bench {
    pace: Pace,
    stores: Stores,
}

#[derive(Clone, Copy)]
enum Section {
    Tables,
    Naive,
    Bare,
    Quiet,
    Handle,
    Newcomers,
    Processes,
    Peers,
    Rest,
    Latency,
    Overload,
    Drain,
    Steady,
    History,
}

/// The sections by the words that choose them, in the order they run in.
const SECTIONS: [(&str, Section); 14] = [
    ("tables", Section::Tables),
    ("naive", Section::Naive),
    ("bare", Section::Bare),
    ("quiet", Section::Quiet),
    ("handle", Section::Handle),
    ("newcomers", Section::Newcomers),
    ("processes", Section::Processes),
    ("peers", Section::Peers),
    ("rest", Section::Rest),
    ("latency", Section::Latency),
    ("overload", Section::Overload),
    ("drain", Section::Drain),
    ("steady", Section::Steady),
    ("history", Section::History),
];

fn main() -> ExitCode {
    if own::is_asked_for() {
        return own::run();
    }
    // Cargo says `--bench` as well.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [first, database] = words.as_slice()
        && first == naive::WORD
    {
        naive::run(database);
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = words.iter().find(|word| SECTIONS.iter().all(|(name, _)| name != word)) {
        eprintln!(
            "no section is called `{unknown}`: there are {}",
            SECTIONS.map(|(name, _)| name).join(", ")
        );
        return ExitCode::from(2);
    }
    let chosen =
        SECTIONS.iter().filter(|(name, _)| words.is_empty() || words.iter().any(|word| word == name));
    let bench = Bench { pace: Pace::from_environment(), stores: Stores::from_environment() };
    // The load is one thread, so that it takes its share of the machine and no more.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (_, section) in chosen {
        runtime.block_on(Box::pin(measure(&bench, *section)));
    }
    ExitCode::SUCCESS
}

async fn measure(bench: &Bench, section: Section) {
    match section {
        Section::Tables => tables::print(bench).await,
        Section::Naive => ratios::naive(bench).await,
        Section::Bare => ratios::bare(bench).await,
        Section::Quiet => ratios::quiet(bench).await,
        Section::Handle => ratios::handle(bench).await,
        Section::Newcomers => ratios::newcomers(bench).await,
        Section::Processes => ratios::processes(bench).await,
        Section::Peers => ratios::peers(bench).await,
        Section::Rest => rest::print(bench).await,
        Section::Latency => latency::print(bench).await,
        Section::Overload => overload::print(bench).await,
        Section::Drain => drain::print(bench).await,
        Section::Steady => steady::print(bench).await,
        Section::History => history::print(bench).await,
    }
}
