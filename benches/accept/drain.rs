//! How fast a process works off what waits when it starts: jobs of 10,000 conversations, for a handler in Rust that has nothing
//! to do.

use std::time::{Duration, Instant};

use switchboard::clock::Clock;
use switchboard::store::arrival::{Arrival, RouteMatch};

use crate::load::per_second_of;
use crate::stores::Kind;
use crate::{Bench, admin, beforehand, own};

/// The route that they wait for.
const ROUTE: &str = "idle";
/// Handlers at a time.
const CONCURRENCY: usize = 256;

pub(crate) async fn print(bench: &Bench) {
    println!(
        "| {} jobs that wait | order | worked off per second | stored per second |",
        bench.pace.waiting_jobs
    );
    println!("|---|---|---|---|");
    for kind in bench.stores.kinds() {
        for (ordering, ordered) in [("conversation", true), ("none", false)] {
            drain(bench, kind, ordering, ordered).await;
        }
    }
    println!();
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the time")]
async fn drain(bench: &Bench, kind: Kind, ordering: &str, ordered: bool) {
    let database = bench.stores.fresh(kind).await;
    let jobs = bench.pace.waiting_jobs;
    let began = Instant::now();
    beforehand::store(&database.url, jobs, |clock| waiting(clock, ordered)).await;
    let stored = per_second_of(jobs, began.elapsed());
    let config = format!(
        "[worker]\nconcurrency = {CONCURRENCY}\n[[routes]]\nname = \"{ROUTE}\"\non = [\"*\"]\n\
         handler = \"{}\"\nordering = \"{ordering}\"\nconcurrency = {CONCURRENCY}\n",
        own::HANDLER
    );
    let server = own::start(&database.url, &config);
    let began = Instant::now();
    while admin::has_work(&server).await {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let drained = per_second_of(jobs, began.elapsed());
    println!("| {} | {ordering} | {drained:.0} | {stored:.0} |", kind.name());
    drop(server);
    database.remove().await;
}

fn waiting(clock: &Clock, ordered: bool) -> Arrival {
    let mut arrival = beforehand::arrival(clock);
    arrival.routes.push(RouteMatch { route: ROUTE.to_owned(), ordered, failed: None });
    arrival
}
