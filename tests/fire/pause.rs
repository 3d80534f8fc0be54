//! Two instances on one PostgreSQL; each in turn is killed, and stands still for longer than its leases last. No job is
//! run by two that are alive, and none that wakes commits what another was given.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use switchboard::clock::Clock;

use crate::audit::{audit, holders};
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{JOURNAL, Setup, Stage};

const PACE: Pace = Pace { rest: Duration::from_millis(400), patience: Duration::from_secs(3) };
/// The default of `worker.lease`, which the long run keeps.
const LEASE: Duration = Duration::from_secs(10);
/// How soon another instance has taken over.
const TAKE_OVER: Duration = Duration::from_secs(15);

pub async fn run(plan: &Plan) -> Report {
    let mut setup = Setup::quick(2, JOURNAL);
    let mut lease = Duration::from_secs(2);
    if !plan.short {
        setup.config = format!("[replies]\nper_minute = 10000\n{JOURNAL}");
        lease = LEASE;
    }
    let mut stage = Stage::set(plan.backend, &setup).await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let mut report = Report::default();
    let (kills, pauses) = disturb(&mut stage, plan, lease).await;
    report.count("kills", kills);
    report.count("pauses longer than a lease", pauses);
    let ledger = load.finish().await;
    let evidence = audit(&mut stage, &ledger, &mut report).await;
    holders::check(&evidence, &stage.journal.lines(), TAKE_OVER, &mut report);
    stage.strike(&mut report);
    report
}

/// Each instance in turn, until the time is over; answers the kills and the pauses.
async fn disturb(stage: &mut Stage, plan: &Plan, lease: Duration) -> (u32, u32) {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let longest = if plan.short { 800 } else { 4_000 };
    let watch = Clock::system().stopwatch();
    let (mut kills, mut pauses) = (0, 0);
    while watch.elapsed() < Duration::from_secs(plan.seconds) {
        for index in 0..stage.instances.len() {
            rest(&mut rng, 300, longest).await;
            stage.kill(index);
            kills += 1;
            rest(&mut rng, 0, longest / 2).await;
            stage.spawn(index);
            stage.await_ready(index).await;
            rest(&mut rng, 300, longest).await;
            stage.instances[index].pause().await;
            pauses += 1;
            tokio::time::sleep(lease).await;
            rest(&mut rng, 900, longest.max(1_800)).await;
            stage.instances[index].go_on();
        }
    }
    (kills, pauses)
}

async fn rest(rng: &mut StdRng, least: u64, most: u64) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(least..most))).await;
}
