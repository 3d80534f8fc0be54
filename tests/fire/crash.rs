//! Processes are killed, also while they start, under load from clients that retry.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::audit::audit;
use crate::database::Backend;
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{ECHO, Setup, Stage};
use crate::weather::Weather;

/// The longest that all are left in peace, in milliseconds.
const PEACE_MS: u64 = 1_800;
/// The longest that a starting process is left alone, when it is to be killed before it is ready.
const STARTING_MS: u64 = 250;
const PACE: Pace = Pace { rest: Duration::from_millis(300), patience: Duration::from_secs(3) };

pub async fn run(plan: &Plan) -> Report {
    let instances = match plan.backend {
        Backend::Sqlite => 1,
        Backend::Postgres => 2,
    };
    let mut stage = Stage::set(plan.backend, &Setup::quick(instances, ECHO)).await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let weather = Weather::begin(Arc::clone(&stage.emulator), plan.seed);
    let while_starting = kills(&mut stage, plan).await;
    drop(weather);
    let ledger = load.finish().await;
    let mut report = Report::default();
    report.count("kills", plan.kills);
    report.count("  of them before the process was ready", while_starting);
    audit(&mut stage, &ledger, &mut report).await;
    stage.strike(&mut report);
    report
}

/// Answers how many struck before a process was ready.
async fn kills(stage: &mut Stage, plan: &Plan) -> u32 {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let (mut done, mut while_starting) = (0, 0);
    while done < plan.kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..PEACE_MS))).await;
        let index = rng.random_range(0..stage.instances.len());
        stage.kill(index);
        done += 1;
        while done < plan.kills && rng.random_bool(0.2) {
            stage.spawn(index);
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..STARTING_MS))).await;
            stage.kill(index);
            done += 1;
            while_starting += 1;
        }
        stage.spawn(index);
        stage.await_ready(index).await;
    }
    while_starting
}
