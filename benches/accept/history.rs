//! What is accepted when much is stored, warm and right after a checkpoint, when PostgreSQL writes every page whole that it
//! changes for the first time, against an empty database.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use crate::fill::{self, History};
use crate::side::start;
use crate::spread::Spread;
use crate::stores::Kind;
use crate::{Bench, beforehand, load};

/// Over so many connections.
const BUSY: usize = 64;
/// From the checkpoint to the run.
const AFTER_CHECKPOINT: Duration = Duration::from_secs(5);

pub(crate) async fn print(bench: &Bench) {
    for kind in bench.stores.kinds() {
        let events = match kind {
            Kind::Postgres => bench.pace.stored_events,
            Kind::Sqlite => bench.pace.stored_events / 10,
        };
        let stored = bench.stores.fresh(kind).await;
        fill::fill(&stored.url, &History::until_now(events)).await;
        beforehand::acquaint(&stored.url).await;
        let (mut empty, mut warm, mut checked) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.pace.runs {
            let fresh = bench.stores.acquainted(kind).await;
            empty.push(rate(bench, &fresh.url, false).await);
            fresh.remove().await;
            warm.push(rate(bench, &stored.url, false).await);
            if kind == Kind::Postgres {
                checked.push(rate(bench, &stored.url, true).await);
            }
        }
        stored.remove().await;
        println!("| {}, {events} events stored | events/s | to the empty one's |", kind.name());
        println!("|---|---|---|");
        println!("| none | {} | 1 |", Spread::of(empty.clone()).whole());
        let all = [("all, warm", warm), ("all, 5 s after a checkpoint", checked)];
        for (what, rates) in all.into_iter().filter(|(_, rates)| !rates.is_empty()) {
            let ratios = empty.iter().zip(&rates).map(|(empty, rate)| rate / empty);
            println!(
                "| {what} | {} | {} |",
                Spread::of(rates.clone()).whole(),
                Spread::of(ratios).hundredths()
            );
        }
        println!();
    }
}

/// Accepted a second, after a warm-up and, if asked, a checkpoint.
async fn rate(bench: &Bench, url: &str, checkpoint: bool) -> f64 {
    let server = start(url, "");
    load::run(server.public, BUSY, bench.pace.warm_up).await;
    if checkpoint {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        tokio::time::sleep(AFTER_CHECKPOINT).await;
    }
    load::run(server.public, BUSY, bench.pace.length).await.rate
}
