//! Two instances share an account's rate while one of them is killed and started again: in no span of time do they draw
//! more permits than the burst and what the rate allows.

use std::collections::HashMap;
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
/// Small, so that a load for a few seconds exceeds it.
const SHORT_RATE: Rate = Rate { per_second: 20, burst: 10 };
const SHORT_PACE: Pace = Pace { rest: Duration::from_millis(60), patience: Duration::from_secs(30) };
/// What Connectly allows; half of it for an unoptimised build, which could not exceed it on a small machine.
const RATE: Rate = if cfg!(debug_assertions) {
    Rate { per_second: 100, burst: 100 }
} else {
    Rate { per_second: 200, burst: 200 }
};
/// As fast as it goes, while nothing is sent.
const PACE: Pace = Pace { rest: Duration::ZERO, patience: Duration::from_secs(30) };
/// Times are noted in whole milliseconds, so that two may seem one closer than they were.
const GRANULARITY_MS: i64 = 1;

pub async fn run(plan: &Plan) -> Report {
    let (rate, pace) = if plan.short { (SHORT_RATE, SHORT_PACE) } else { (RATE, PACE) };
    let mut setup = Setup::quick(INSTANCES, ECHO);
    setup.config = setup.config.replace(
        "per_second = 1000, burst = 1000",
        &format!("per_second = {}, burst = {}", rate.per_second, rate.burst),
    );
    let mut stage = Stage::set(plan.backend, &setup).await;
    // Replies pile up first, for otherwise the machine and not the rate would be what limits.
    stage.pause_sends(true).await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, pace);
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    let ledger = load.finish().await;
    stage.pause_sends(false).await;
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let watch = Clock::system().stopwatch();
    let mut kills = 0;
    while watch.elapsed() < Duration::from_secs(plan.seconds / 2) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(500..3_000))).await;
        let index = rng.random_range(0..INSTANCES);
        stage.kill(index);
        stage.spawn(index);
        stage.await_ready(index).await;
        kills += 1;
    }
    let mut report = Report::default();
    report.count("kills", kills);
    let evidence = audit(&mut stage, &ledger, &mut report).await;
    check(&evidence, rate, &mut report);
    stage.strike(&mut report);
    report
}

/// A message that arrived. Its permit was drawn at some time between.
struct Passage {
    left: i64,
    arrived: i64,
}

pub fn check(evidence: &Evidence<'_>, rate: Rate, report: &mut Report) {
    let left: HashMap<&str, i64> = evidence
        .messages
        .iter()
        .filter_map(|message| Some((message.provider_id.as_str(), message.dispatched_at?)))
        .collect();
    let mut passages: Vec<Passage> = evidence
        .sent
        .iter()
        .filter_map(|sent| {
            let arrived = sent.at.as_millisecond();
            Some(Passage { left: *left.get(sent.id.as_str())?, arrived })
        })
        .collect();
    passages.sort_unstable_by_key(|passage| passage.arrived);
    let spans = Spans::over(&passages, rate);
    report.count("most that arrived in any second", spans.most_in_a_second);
    report.count("arrivals over rate x t + burst, on the way included", format!("{:.2}", spans.over_drawn));
    report.count("arrivals over rate x t + burst, to the millisecond", format!("{:.2}", spans.over_arrived));
    report.holds(spans.over_drawn <= 0.0, || {
        "more permits were drawn than the rate and its burst allow".to_owned()
    });
}

/// The worst of all spans of time from one arrival to another; below zero where no span holds more than it may.
struct Spans {
    most_in_a_second: usize,
    /// By the times of arrival alone: what is held up on the way arrives closer to what follows.
    over_arrived: f64,
    /// By the longest span in which the permits of all that arrived can have been drawn.
    over_drawn: f64,
}

impl Spans {
    fn over(passages: &[Passage], rate: Rate) -> Self {
        let mut worst =
            Self { most_in_a_second: 0, over_arrived: f64::NEG_INFINITY, over_drawn: f64::NEG_INFINITY };
        for (first, from) in passages.iter().enumerate() {
            let mut earliest = from.left;
            for (place, to) in passages.iter().enumerate().skip(first) {
                let count = place - first + 1;
                earliest = earliest.min(to.left);
                if to.arrived - from.arrived < 1_000 {
                    worst.most_in_a_second = worst.most_in_a_second.max(count);
                }
                worst.over_arrived = worst.over_arrived.max(over(rate, count, to.arrived - from.arrived));
                worst.over_drawn = worst.over_drawn.max(over(rate, count, to.arrived - earliest));
            }
        }
        worst
    }
}

/// By how much so many are more than may be in so many milliseconds.
fn over(rate: Rate, count: usize, milliseconds: i64) -> f64 {
    let seconds = Duration::from_millis((milliseconds + GRANULARITY_MS).unsigned_abs()).as_secs_f64();
    let allowed = f64::from(rate.burst) + f64::from(rate.per_second) * seconds;
    f64::from(u32::try_from(count).unwrap()) - allowed
}
