//! How soon a delivery is answered, handled and replied to.

use std::sync::Arc;
use std::time::Duration;

use switchboard::clock::Clock;
use switchboard::emulator::Emulator;
use tokio::task::JoinSet;

use crate::load::{self, CUSTOMERS, Run, phone};
use crate::process::Server;
use crate::side::{ROUTE, start};
use crate::spread::Spread;
use crate::stores::Kind;
use crate::{Bench, emulated, lag};

/// Enough to keep the machine busy.
const BUSY: usize = 64;
/// Deliveries a second whose way to a handler is timed.
const PACES: [usize; 2] = [1_000, 10_000];
/// Customers a second who are answered.
const ANSWERED: u32 = 150;

/// A route that answers everybody.
const ANSWERING: &str = r#"
[[routes]]
name = "desk"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = { any = true }
  reply = { text = "Your order is on its way." }
"#;

pub(crate) async fn print(bench: &Bench) {
    for kind in bench.stores.kinds() {
        println!("| {}, milliseconds | p50, median (min-max) | p99, median (min-max) |", kind.name());
        println!("|---|---|---|");
        half_of_the_peak(bench, kind).await;
        to_handlers(bench, kind).await;
        to_replies(bench, kind).await;
        println!();
    }
}

/// Each run of one figure.
#[derive(Default)]
struct Runs {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Runs {
    fn add(&mut self, run: Run) {
        self.p50.push(run.p50);
        self.p99.push(run.p99);
    }

    fn print(self, what: &str) {
        let [p50, p99] = [self.p50, self.p99].map(|runs| Spread::of(runs).hundredths());
        println!("| {what} | {p50} | {p99} |");
    }
}

async fn half_of_the_peak(bench: &Bench, kind: Kind) {
    let (mut runs, mut peaks) = (Runs::default(), Vec::new());
    for _ in 0..bench.pace.runs {
        let database = bench.stores.acquainted(kind).await;
        let server = start(&database.url, "");
        let peak = peak(bench, &server).await;
        runs.add(load::paced(server.public, peak / 2, bench.pace.length).await);
        peaks.push(f64::from(u32::try_from(peak).unwrap()));
        drop(server);
        database.remove().await;
    }
    runs.print(&format!("accept at half of the peak of {}/s", Spread::of(peaks).whole()));
}

async fn to_handlers(bench: &Bench, kind: Kind) {
    for pace in PACES {
        let (mut runs, mut peaks) = (Runs::default(), Vec::new());
        for _ in 0..bench.pace.runs {
            let database = bench.stores.acquainted(kind).await;
            let server = start(&database.url, ROUTE);
            let peak = peak(bench, &server).await;
            peaks.push(f64::from(u32::try_from(peak).unwrap()));
            if peak > pace {
                let since = Clock::system().now();
                load::paced(server.public, pace, bench.pace.length).await;
                // SQLite is opened by one process at a time.
                server.stop();
                let mut delays = lag::to_handler(&database.url, since).await;
                let handled = delays.len();
                runs.add(load::figures(&mut delays, handled, bench.pace.length));
            }
            database.remove().await;
        }
        let peak = Spread::of(peaks).whole();
        if runs.p50.is_empty() {
            println!(
                "| received to handler start at {pace}/s | out of reach: the peak with handling is {peak}/s | |"
            );
        } else {
            runs.print(&format!("received to handler start at {pace}/s, of a peak of {peak}/s"));
        }
    }
}

async fn to_replies(bench: &Bench, kind: Kind) {
    let mut runs = Runs::default();
    for _ in 0..bench.pace.runs {
        let database = bench.stores.acquainted(kind).await;
        let emulator = Arc::new(emulated::start().await);
        let server = emulated::serve(&emulator, &database.url, ANSWERING);
        answer(&emulator, 0, bench.pace.warm_up).await;
        let since = Clock::system().now();
        let answered = answer(&emulator, CUSTOMERS / 2, bench.pace.length).await;
        server.stop();
        let mut delays = lag::to_reply(&database.url, &emulator, since).await;
        runs.add(load::figures(&mut delays, answered, bench.pace.length));
        database.remove().await;
    }
    runs.print(&format!("received to reply accepted at the emulator, {ANSWERED}/s"));
}

/// Lets customers write for so long, each once, and waits until all are answered; answers how many.
async fn answer(emulator: &Arc<Emulator>, first: u64, length: Duration) -> usize {
    let before = emulator.messages().len();
    let mut beat = tokio::time::interval(Duration::from_secs(1) / ANSWERED);
    let mut writing = JoinSet::new();
    for customer in 0..u64::try_from(length.as_millis()).unwrap() * u64::from(ANSWERED) / 1000 {
        beat.tick().await;
        let emulator = Arc::clone(emulator);
        writing.spawn(async move { emulated::write(&emulator, phone(first + customer)).await });
    }
    let customers = writing.join_all().await.len();
    while emulator.messages().len() < before + customers {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    customers
}

/// Accepted a second over many connections, after a warm-up.
async fn peak(bench: &Bench, server: &Server) -> usize {
    load::run(server.public, BUSY, bench.pace.warm_up).await;
    let run = load::run(server.public, BUSY, bench.pace.length).await;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let peak = run.rate as usize;
    peak
}
