//! What others cost those who accept: 200 routes instead of one, and handlers over HTTP that hang, answer too much or answer
//! garbage beside a quiet one. `scripts/bench-beside` runs it and prints the tables of `docs/performance.md`.
//!
//! Every pair is measured in turn on the same machine, each on a database of its own, and told as a ratio. Arguments choose lines:
//! those that contain one of them.

#![allow(unreachable_pub, missing_docs, reason = "nothing here is public")]
#![allow(clippy::unwrap_used, reason = "a measurement that unwraps fails where it should")]

mod hostile;
#[path = "../accept/load.rs"]
mod load;
#[path = "../../tests/it/support/process.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod process;
#[path = "../../tests/it/support/webhooks.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod webhooks;

use std::time::Duration;

use load::Run;
use process::Server;

/// Counted pairs of each point; the median ratio is quoted.
const PAIRS: usize = 5;
/// Before each counted run.
const WARM_UP: Duration = Duration::from_secs(1);
/// Each counted run.
const LENGTH: Duration = Duration::from_secs(8);
/// Enough to keep the machine busy.
const BUSY: usize = 64;
/// A pace that leaves the machine time, so that waiting shows and not the queue of a closed loop.
const PACED: usize = 200;

/// A route whose handler has nothing to do: each event makes a job that is claimed, run and settled.
const QUIET: &str = r#"
[[routes]]
name = "quiet"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = { text = ["nobody says this"] }
  reply = { text = "never" }
"#;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if chosen("200 routes") {
        println!("| against one quiet route, {BUSY} connections | events/s, ratio (min-max) |\n|---|---|");
        let routes = format!("{QUIET}{}", many_routes());
        let ratios = pairs(QUIET, &routes, async |server| busy(server).await).await;
        println!("| 200 routes, 10 of which take the type | {} |\n", told(&ratios));
    }
    println!(
        "| against one quiet route, {PACED} events/s | accept p99, ratio (min-max) | p99 ms |\n|---|---|---|"
    );
    for (what, url) in hostile::all().await.into_iter().filter(|(what, _)| chosen(what)) {
        let beside = format!("{QUIET}{}", hostile::route(&url));
        let mut longest = Vec::new();
        let ratios = pairs(QUIET, &beside, async |server| {
            let p99 = load::paced(server.public, PACED, LENGTH).await.p99;
            longest.push(p99);
            p99
        })
        .await;
        println!("| a handler that {what} | {} | {} |", told(&ratios), longest_pair(&longest));
    }
}

/// Whether the arguments choose a line; without any, all are chosen.
fn chosen(line: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| line.contains(&word))
}

/// 190 routes that take other types, and 9 whose `when` asks the event and is false.
fn many_routes() -> String {
    let route = |number: usize| {
        let (on, when) = match number {
            0..9 => (
                "message.received",
                "when = \"event.callback_data.desk == 'none' and event.content.kind == 'text'\"\n",
            ),
            _ => ("message.failed", ""),
        };
        let rule = "  [[routes.rules]]\n  match = { any = true }\n";
        format!("[[routes]]\nname = \"r{number}\"\non = [\"{on}\"]\n{when}handler = \"rules\"\n{rule}")
    };
    (0..199).map(route).collect()
}

async fn busy(server: &Server) -> f64 {
    let Run { rate, .. } = load::run(server.public, BUSY, LENGTH).await;
    rate
}

/// Measures both configurations in turn, and answers the second's figure as a share of the first's.
async fn pairs(one: &str, other: &str, mut measure: impl AsyncFnMut(&Server) -> f64) -> Vec<f64> {
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let mut figures = [0.0; 2];
        for (config, figure) in [one, other].into_iter().zip(&mut figures) {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}", folder.path().join("bench.db").display());
            let server = Server::start(&url, "http://127.0.0.1:1", config, "error,switchboard::app=info");
            load::paced(server.public, PACED, WARM_UP).await;
            *figure = measure(&server).await;
        }
        ratios.push(figures[1] / figures[0]);
    }
    ratios.sort_by(f64::total_cmp);
    ratios
}

fn told(ratios: &[f64]) -> String {
    format!("{:.2} ({:.2}-{:.2})", ratios[PAIRS / 2], ratios[0], ratios[PAIRS - 1])
}

/// The medians of both sides.
fn longest_pair(figures: &[f64]) -> String {
    let median = |side: usize| {
        let mut of_side: Vec<f64> = figures.iter().skip(side).step_by(2).copied().collect();
        of_side.sort_by(f64::total_cmp);
        of_side[of_side.len() / 2]
    };
    format!("{:.2} against {:.2}", median(1), median(0))
}
