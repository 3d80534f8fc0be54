//! How long questions take when much is stored: millions of events of thirty days, asked after through HTTP while 500 more
//! come in every second. `scripts/bench-history` runs it and prints the tables of `docs/performance.md`.
//!
//! With `SWITCHBOARD_BENCH_POSTGRES_STORED_SINCE`, the number that an earlier run printed, what that one stored is asked after again.

#![allow(unreachable_pub, missing_docs, reason = "nothing here is public")]
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the time and its environment")]

mod fill;
mod plans;
#[path = "../../tests/it/support/process.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod process;
mod questions;
mod traffic;
#[path = "../../tests/it/support/webhooks.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod webhooks;

use std::time::Instant;

use fill::History;
use process::Server;
use traffic::Traffic;

/// Events a second that come in meanwhile.
const RATE: u32 = 500;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let wanted = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    if let Ok(url) = std::env::var("SWITCHBOARD_BENCH_POSTGRES_URL") {
        measure("PostgreSQL", &url, wanted("SWITCHBOARD_BENCH_POSTGRES_EVENTS", 5_000_000)).await;
        plans::print(&url).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("history.db").display());
    measure("SQLite", &url, wanted("SWITCHBOARD_BENCH_SQLITE_EVENTS", 1_000_000)).await;
}

async fn measure(name: &str, url: &str, events: u64) {
    let stored = std::env::var("SWITCHBOARD_BENCH_POSTGRES_STORED_SINCE").ok();
    let history = match stored.filter(|_| url.starts_with("postgres")).map(|begin| begin.parse().unwrap()) {
        Some(begin) => History { events, begin },
        None => store(name, url, events).await,
    };
    let server = start(url);
    for (under, rate) in [("nothing else going on", 0), ("500 events/s coming in", RATE)] {
        let traffic = Traffic::begin(server.public, rate);
        println!("| Question, with {under} | p50 ms | p99 ms | most ms |");
        println!("|---|---|---|---|");
        for question in questions::all(&history) {
            let times = questions::ask(server.admin, &question).await;
            println!("| {} | {:.2} | {:.2} | {:.2} |", question.name, times.p50, times.p99, times.most);
        }
        println!("\n{} deliveries came in meanwhile\n", traffic.end().await);
    }
}

async fn store(name: &str, url: &str, events: u64) -> History {
    let history = History::until_now(events);
    let begun = Instant::now();
    fill::fill(url, &history).await;
    let took = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few million are exact in an f64")]
    let rate = events as f64 / took;
    let begin = history.begin;
    println!("{name}, {events} events since {begin}, stored in {took:.0} s ({rate:.0}/s)\n");
    history
}

fn start(url: &str) -> Server {
    Server::start(url, "http://127.0.0.1:1", "", "warn,switchboard::app=info")
}
