//! PostgreSQL is killed and started again under load. Nobody touches the instances; they come back by themselves.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::audit::audit;
use crate::cluster::Cluster;
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{ECHO, Setup, Stage};
use crate::weather::Weather;

const INSTANCES: usize = 2;
/// Clients wait for an answer for as long as it takes, so that all are seen.
const PACE: Pace = Pace { rest: Duration::from_millis(300), patience: Duration::from_secs(30) };
/// The longest that all are left in peace, in milliseconds.
const PEACE_MS: u64 = 3_000;
/// The longest that PostgreSQL is away before it is started, in milliseconds: longer than a verb waits for it.
const AWAY_MS: u64 = 7_000;

pub async fn run(plan: &Plan) -> Report {
    let cluster = Cluster::start();
    let mut stage =
        Stage::on(&cluster.url, std::slice::from_ref(&cluster.url), None, &Setup::quick(INSTANCES, ECHO))
            .await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let weather = Weather::begin(Arc::clone(&stage.emulator), plan.seed);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let away = if plan.short { AWAY_MS / 4 } else { AWAY_MS };
    for _ in 0..plan.kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..PEACE_MS))).await;
        cluster.kill();
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..away))).await;
        cluster.restart().await;
    }
    drop(weather);
    let ledger = load.finish().await;
    let mut report = Report::default();
    report.count("kills of PostgreSQL", plan.kills);
    for instance in &mut stage.instances {
        let running = instance.is_running();
        report.holds(running, || "an instance ended because PostgreSQL was away".to_owned());
    }
    ledger.check_answered(&mut report);
    audit(&mut stage, &ledger, &mut report).await;
    stage.strike(&mut report);
    report
}
