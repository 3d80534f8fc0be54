//! Connections between the instances and PostgreSQL break, some just after a COMMIT has gone through: whether it held
//! nobody was told.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::audit::audit;
use crate::database::Database;
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{ECHO, Setup, Stage};
use crate::weather::Weather;
use crate::wire::Wire;

const INSTANCES: usize = 2;
const PACE: Pace = Pace { rest: Duration::from_millis(300), patience: Duration::from_secs(30) };
/// The longest that all are left in peace, in milliseconds.
const PEACE_MS: u64 = 400;

pub async fn run(plan: &Plan) -> Report {
    let database = Database::fresh(plan.backend).await;
    let (url, wire) = Wire::to(&database.url).await;
    let direct = database.url.clone();
    let mut stage = Stage::on(&direct, &[url], Some(database), &Setup::quick(INSTANCES, ECHO)).await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let weather = Weather::begin(Arc::clone(&stage.emulator), plan.seed);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let mut everything = 0;
    for _ in 0..plan.kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..PEACE_MS))).await;
        if rng.random_bool(0.2) {
            wire.cut_all();
            everything += 1;
        } else {
            wire.cut_commits(rng.random_range(1..4));
        }
    }
    wire.cut_commits(0);
    drop(weather);
    let ledger = load.finish().await;
    let mut report = Report::default();
    report.count("times that all connections were cut", everything);
    report.count("connections cut with a commit in flight", wire.commits_cut());
    ledger.check_answered(&mut report);
    audit(&mut stage, &ledger, &mut report).await;
    stage.strike(&mut report);
    report
}
