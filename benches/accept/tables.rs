//! The product by itself: each store, with and without handling, over few and over many connections.

use std::time::{Duration, Instant};

use crate::load::{self, Run};
use crate::side::{ROUTE, start};
use crate::spread::Spread;
use crate::{Bench, beforehand};

/// Connections, each with one request under way.
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];

pub(crate) async fn print(bench: &Bench) {
    for kind in bench.stores.kinds() {
        let database = bench.stores.fresh(kind).await;
        start_and_rest(kind.name(), &database.url);
        beforehand::acquaint(&database.url).await;
        for (what, config) in [("accept only", ""), ("accept, handle and settle", ROUTE)] {
            table(bench, &format!("{}, {what}", kind.name()), &database.url, config).await;
        }
        database.remove().await;
    }
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

async fn table(bench: &Bench, title: &str, url: &str, config: &str) {
    println!("{title}\n");
    println!("| connections | events/s, median (min-max) | p50 ms | p99 ms | resident MiB |");
    println!("|---|---|---|---|---|");
    let server = start(url, config);
    for connections in CONNECTIONS {
        let mut runs = Vec::new();
        for _ in 0..bench.pace.runs {
            load::run(server.public, connections, bench.pace.warm_up).await;
            runs.push(load::run(server.public, connections, bench.pace.length).await);
        }
        runs.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let Run { p50, p99, .. } = runs[runs.len() / 2];
        let rate = Spread::of(runs.iter().map(|run| run.rate)).whole();
        let memory = server.resident_kib() / 1024;
        println!("| {connections} | {rate} | {p50:.2} | {p99:.2} | {memory} |");
    }
    println!();
}
