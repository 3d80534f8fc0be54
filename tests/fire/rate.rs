//! Two instances share an account's rate while one of them is killed and started again: in no span of time does more
//! arrive at the emulator than the burst and what the rate allows.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use switchboard::clock::Clock;
use switchboard::emulator::Rate;

use crate::audit::{Evidence, audit};
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{ECHO, Setup, Stage};

const INSTANCES: usize = 2;
/// Small, so that the load exceeds it.
const RATE: Rate = Rate { per_second: 20, burst: 10 };
/// More than the rate, so that sends queue up.
const PACE: Pace = Pace { rest: Duration::from_millis(60), patience: Duration::from_secs(30) };
/// Times are noted in whole milliseconds, so that two may seem one closer than they were.
const GRANULARITY_MS: i64 = 1;

pub async fn run(plan: &Plan) -> Report {
    let mut setup = Setup::quick(INSTANCES, ECHO);
    setup.config = setup.config.replace(
        "per_second = 1000, burst = 1000",
        &format!("per_second = {}, burst = {}", RATE.per_second, RATE.burst),
    );
    let mut stage = Stage::set(plan.backend, &setup).await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let watch = Clock::system().stopwatch();
    let mut kills = 0;
    while watch.elapsed() < Duration::from_secs(plan.seconds) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(500..3_000))).await;
        let index = rng.random_range(0..INSTANCES);
        stage.kill(index);
        stage.spawn(index);
        stage.await_ready(index).await;
        kills += 1;
    }
    let ledger = load.finish().await;
    let mut report = Report::default();
    report.count("kills", kills);
    let evidence = audit(&mut stage, &ledger, &mut report).await;
    check(&evidence, &mut report);
    stage.strike(&mut report);
    report
}

fn check(evidence: &Evidence<'_>, report: &mut Report) {
    let arrived: Vec<i64> = evidence.sent.iter().map(|sent| sent.at.as_millisecond()).collect();
    let mut left: Vec<i64> = evidence.messages.iter().filter_map(|message| message.dispatched_at).collect();
    left.sort_unstable();
    for (what, times) in [("left", &left), ("arrived", &arrived)] {
        let (most, over) = most_over(times);
        report.count(format!("most that {what} in any second"), most);
        report.holds(over <= 0.0, || {
            format!("in some span {over:.2} more messages {what} than the rate and its burst allow")
        });
    }
}

/// The most in any second; and the most by which any span holds more than it may, below zero when none does.
fn most_over(times: &[i64]) -> (usize, f64) {
    let (mut most, mut over) = (0, f64::NEG_INFINITY);
    for (first, from) in times.iter().enumerate() {
        for (last, to) in times.iter().enumerate().skip(first) {
            let count = last - first + 1;
            if to - from < 1_000 {
                most = most.max(count);
            }
            let seconds = Duration::from_millis((to - from + GRANULARITY_MS).unsigned_abs()).as_secs_f64();
            let allowed = f64::from(RATE.burst) + f64::from(RATE.per_second) * seconds;
            over = over.max(f64::from(u32::try_from(count).unwrap()) - allowed);
        }
    }
    (most, over)
}
