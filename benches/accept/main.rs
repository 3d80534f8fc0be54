//! How many deliveries a second are accepted durably, and how long each waits: the release binary as a process of its own,
//! its store and this load generator on the same machine. `scripts/bench` runs it and prints the tables of
//! `docs/performance.md`.
//!
//! Closed loop: each connection posts a signed body that nobody posted before, waits for its 200, and posts the next.

#![allow(unreachable_pub, missing_docs, reason = "nothing here is public")]
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]

mod load;
#[path = "../../tests/it/support/process.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod process;
#[path = "../../tests/it/support/webhooks.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod webhooks;

use std::time::{Duration, Instant};

use load::Run;
use process::Server;

/// Connections, each with one request under way.
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// Counted runs of each point; the median is quoted.
const RUNS: usize = 3;
/// Before each counted run.
const WARM_UP: Duration = Duration::from_millis(700);
/// Each counted run.
const LENGTH: Duration = Duration::from_secs(3);

/// A route whose handler has nothing to do: each event makes a job that is claimed, run and settled.
const ROUTE: &str = r#"
[[routes]]
name = "quiet"
on = ["*"]
handler = "rules"
  [[routes.rules]]
  match = { text = ["nobody says this"] }
  reply = { text = "never" }
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", folder.path().join("bench.db").display());
    let stores = [("SQLite", Some(sqlite)), ("PostgreSQL", postgres())];
    for (name, url) in stores {
        let Some(url) = url else {
            println!("{name}: not measured, since SWITCHBOARD_BENCH_POSTGRES_URL is not set\n");
            continue;
        };
        start_and_rest(name, &url);
        for (what, config) in [("accept only", ""), ("accept, handle and settle", ROUTE)] {
            table(name, what, &url, config).await;
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "how `scripts/bench` says where its server is")]
fn postgres() -> Option<String> {
    std::env::var("SWITCHBOARD_BENCH_POSTGRES_URL").ok()
}

fn start(url: &str, config: &str) -> Server {
    Server::start(url, "http://127.0.0.1:1", config, "warn,switchboard::app=info")
}

/// Time to ready on a fresh and on an existing database, and resident memory at rest.
#[allow(clippy::disallowed_methods, reason = "a measurement reads the time")]
fn start_and_rest(name: &str, url: &str) {
    let fresh = Instant::now();
    drop(start(url, ""));
    let fresh = fresh.elapsed();
    let existing = Instant::now();
    let server = start(url, "");
    let existing = existing.elapsed();
    std::thread::sleep(Duration::from_secs(1));
    let memory = server.resident_kib() / 1024;
    println!(
        "{name}: ready after {fresh:.0?} on a new database, {existing:.0?} on an existing one; {memory} MiB at rest\n"
    );
}

async fn table(name: &str, what: &str, url: &str, config: &str) {
    println!("{name}, {what}\n");
    println!("| connections | events/s, median (min-max) | p50 ms | p99 ms | resident MiB |");
    println!("|---|---|---|---|---|");
    let server = start(url, config);
    for connections in CONNECTIONS {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            load::run(server.public, connections, WARM_UP).await;
            runs.push(load::run(server.public, connections, LENGTH).await);
        }
        runs.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let Run { rate, p50, p99 } = runs[RUNS / 2];
        let (least, most) = (runs[0].rate, runs[RUNS - 1].rate);
        let memory = server.resident_kib() / 1024;
        println!("| {connections} | {rate:.0} ({least:.0}-{most:.0}) | {p50:.2} | {p99:.2} | {memory} |");
    }
    println!();
}
