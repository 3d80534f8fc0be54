//! Switchboard under fire: real `switchboard serve` processes beside an emulator and clients that retry like Connectly,
//! while processes, connections and PostgreSQL are killed at instants drawn from a seed. Afterwards every promise is
//! checked against what the clients, the emulator and the store have on record.
//!
//! `cargo test` runs each scenario for a few seconds; `FIRE_SEED` repeats a schedule. `scripts/fire` runs one for as long
//! as asked.
//!
//! To add a scenario: a file with one `async fn run(plan: &Plan) -> Report`, and a line in `plan.rs`.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]
#![allow(unreachable_pub, missing_docs, reason = "nothing here is public")]
#![allow(clippy::disallowed_methods, reason = "a harness measures real time and reads its own environment")]

mod audit;
#[cfg(feature = "nats")]
mod broker;
mod bulk;
mod cluster;
mod crash;
mod cut;
mod database_killed;
mod disk;
mod gate;
mod instance;
mod journal;
mod ledger;
mod load;
mod pause;
mod plan;
mod rate;
mod records;
mod replies;
mod report;
mod server;
mod silence;
mod slow;
mod stage;
mod sync;
mod turns;
mod watch;
mod weather;
mod wire;

#[path = "../it/support/database.rs"]
#[allow(dead_code, reason = "shared with the other tests, which use more of it")]
mod database;
#[cfg(feature = "nats")]
#[path = "../it/support/nats.rs"]
#[allow(dead_code, reason = "shared with the other tests, which use more of it")]
mod nats;
#[path = "../it/support/webhooks.rs"]
#[allow(dead_code, reason = "shared with the other tests, which use more of it")]
mod webhooks;

use std::process::ExitCode;

use plan::Plan;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match arguments.first().map(String::as_str) {
        Some("serve") => runtime.block_on(server::main()),
        Some("run") => runtime.block_on(run(Plan::asked(&arguments))),
        _ => runtime.block_on(run(Plan::short(&arguments))),
    }
}

/// Runs one after the other; ends with 1 when a promise was broken.
async fn run(plans: Vec<Plan>) -> ExitCode {
    let mut kept = true;
    for plan in plans {
        println!("{plan}");
        let report = tokio::select! {
            report = plan.run() => report,
            // What is under way is dropped, and its processes with it.
            () = told_to_end() => return ExitCode::FAILURE,
        };
        println!("{report}");
        kept &= report.is_clean();
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn told_to_end() {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
