//! More than can be taken: an open loop at 120 % of what a closed one reached, over more connections than there is memory for what
//! waits.

use std::time::Duration;

use crate::Bench;
use crate::load;
use crate::side::start;

/// Over so many capacity is measured: they fit.
const FITTING: usize = 400;
/// More than may wait.
const CONNECTIONS: usize = 2_000;
/// What may wait: a third of what these connections bring.
const CONFIG: &str = "[public]\nbodies_in_flight = \"1MiB\"\nbody_limit = \"64KiB\"\n";

pub(crate) async fn print(bench: &Bench) {
    println!(
        "| Open loop at 120 % of capacity | taken/s | refused (503)/s | p99 ms of what was taken | resident MiB before, after | rate after it / before |"
    );
    println!("|---|---|---|---|---|---|");
    for kind in bench.stores.kinds() {
        let database = bench.stores.acquainted(kind).await;
        let server = start(&database.url, CONFIG);
        load::run(server.public, FITTING, bench.pace.warm_up).await;
        let before = load::run(server.public, FITTING, bench.pace.length).await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
        let too_much = (before.rate * 1.2) as usize;
        let resident = server.resident_kib() / 1024;
        let over = load::offered(server.public, too_much, CONNECTIONS, bench.pace.length * 5).await;
        let resident_after = server.resident_kib() / 1024;
        // At once, without a warm-up.
        let after = load::run(server.public, FITTING, bench.pace.length.min(Duration::from_secs(1))).await;
        println!(
            "| {} | {:.0} of {too_much} | {:.0} | {:.1} | {resident}, {resident_after} | {:.2} |",
            kind.name(),
            over.taken.rate,
            load::per_second_of(over.refused, over.took),
            over.taken.p99,
            after.rate / before.rate
        );
        drop(server);
        database.remove().await;
    }
    println!();
}
