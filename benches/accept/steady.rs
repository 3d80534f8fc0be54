//! A long time at a steady pace: whether memory stays flat and nothing is left undone.

use std::time::Duration;

use crate::load::{self, CUSTOMERS, phone};
use crate::process::Server;
use crate::stores::Kind;
use crate::{Bench, admin, emulated};

/// Deliveries a second, and in the last tenth of the time.
const PACE: usize = 2_000;
const MORE: usize = 3_000;
/// Lines that are printed before that.
const PARTS: u32 = 5;
/// One in so many customers is answered.
const ANSWERED: u64 = 20;

/// Every message is handled, and every twentieth customer is answered.
const ROUTE: &str = r#"
[[routes]]
name = "desk"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = { regex = '^\d*[02468]0: ' }
  reply = { text = "Your order is on its way." }
"#;

pub(crate) async fn print(bench: &Bench) {
    for kind in bench.stores.kinds() {
        println!(
            "| {} | p50 ms | p99 ms | refused (503) | resident MiB | jobs left | replies, of which 50000 are kept |",
            kind.name()
        );
        println!("|---|---|---|---|---|---|---|");
        run(bench, kind).await;
        println!();
    }
}

async fn run(bench: &Bench, kind: Kind) {
    let database = bench.stores.acquainted(kind).await;
    let emulator = emulated::start().await;
    let server = emulated::serve(&emulator, &database.url, ROUTE);
    for customer in (0..CUSTOMERS).filter(|customer| customer % ANSWERED == 0) {
        emulated::write(&emulator, phone(customer)).await;
    }
    let part = bench.pace.steady / PARTS;
    let paces = (0..PARTS).map(|_| (PACE, part)).chain([(MORE, bench.pace.steady / 10)]);
    for (pace, length) in paces {
        let load::Offered { taken, refused, .. } = load::paced_or_refused(server.public, pace, length).await;
        let jobs = admin::deliveries_left(&server).await;
        println!(
            "| {pace}/s for {length:?} | {:.2} | {:.2} | {refused} | {} | {jobs} | {} |",
            taken.p50,
            taken.p99,
            resident_mib(&server),
            emulator.messages().len()
        );
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "| a second later | | | | {} | {} | {} |",
        resident_mib(&server),
        admin::deliveries_left(&server).await,
        emulator.messages().len()
    );
    drop(server);
    database.remove().await;
}

fn resident_mib(server: &Server) -> u64 {
    server.resident_kib() / 1024
}
