//! What it takes to be there: time to ready, memory, and the size of the binary.

use std::time::Instant;

use crate::process::Server;
use crate::side::start;
use crate::spread::Spread;
use crate::{Bench, load};

/// Over so many connections memory is told.
const CONNECTIONS: [usize; 2] = [64, 256];

#[allow(clippy::disallowed_methods, reason = "a measurement reads the time")]
pub(crate) async fn print(bench: &Bench) {
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_switchboard")).unwrap().len();
    println!("The binary: {} KiB\n", size / 1024);
    for kind in bench.stores.kinds() {
        let database = bench.stores.acquainted(kind).await;
        drop(start(&database.url, ""));
        let (mut ready, mut idle) = (Vec::new(), Vec::new());
        let mut busy = [Vec::new(), Vec::new()];
        for _ in 0..bench.pace.runs {
            let began = Instant::now();
            let server = start(&database.url, "");
            ready.push(began.elapsed().as_secs_f64() * 1000.0);
            tokio::time::sleep(bench.pace.warm_up).await;
            idle.push(mib(&server));
            for (connections, of_these) in CONNECTIONS.into_iter().zip(&mut busy) {
                load::run(server.public, connections, bench.pace.length).await;
                of_these.push(mib(&server));
            }
        }
        println!("| {} | median (min-max) |", kind.name());
        println!("|---|---|");
        println!("| ready on an existing database, ms | {} |", Spread::of(ready).whole());
        println!("| resident MiB, idle | {} |", Spread::of(idle).whole());
        for (connections, of_these) in CONNECTIONS.into_iter().zip(busy) {
            println!("| resident MiB, {connections} connections | {} |", Spread::of(of_these).whole());
        }
        println!();
        database.remove().await;
    }
}

fn mib(server: &Server) -> f64 {
    f64::from(u32::try_from(server.resident_kib()).unwrap()) / 1024.0
}
