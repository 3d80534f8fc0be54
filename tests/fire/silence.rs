//! Between an instance and PostgreSQL nothing goes through for a while, and nobody is told. No lease can be renewed
//! then: work ends before somebody else may begin it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::audit::{audit, holders};
use crate::database::Database;
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{JOURNAL, Setup, Stage};
use crate::wire::Wire;

const INSTANCES: usize = 2;
/// Clients wait for an answer for as long as it takes, so that all are seen.
const PACE: Pace = Pace { rest: Duration::from_secs(5), patience: Duration::from_mins(1) };
/// A handler takes longer than two leases of 2 seconds, so that it lives by being renewed.
const TAKES: Duration = Duration::from_secs(5);
/// What may pass from a silence to the end of what it held up.
const TAKE_OVER: Duration = Duration::from_secs(15);
/// How long it is silent, and how long not, in milliseconds: now and then for longer than a verb waits.
const SILENT_MS: u64 = 8_000;
const LONG_SILENCE_MS: u64 = 25_000;
const PEACE_MS: u64 = 5_000;

pub async fn run(plan: &Plan) -> Report {
    let database = Database::fresh(plan.backend).await;
    let direct = database.url.clone();
    let (mut wires, mut ways) = (Vec::new(), Vec::new());
    for _ in 0..INSTANCES {
        let (way, wire) = Wire::to(&direct).await;
        ways.push(way);
        wires.push(wire);
    }
    let setup = Setup { takes: TAKES, ..Setup::quick(INSTANCES, JOURNAL) };
    let mut stage = Stage::on(&direct, &ways, Some(database), &setup).await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    for _ in 0..plan.kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(1_000..PEACE_MS))).await;
        // Most of the time one is cut off, and the other goes on.
        let silent = rng.random_range(0..INSTANCES);
        let all = rng.random_bool(0.2);
        let struck: Vec<&Wire> = wires
            .iter()
            .enumerate()
            .filter(|(index, _)| all || *index == silent)
            .map(|(_, wire)| wire)
            .collect();
        for wire in &struck {
            wire.fall_silent();
        }
        let longest = if !plan.short && rng.random_bool(0.1) { LONG_SILENCE_MS } else { SILENT_MS };
        tokio::time::sleep(Duration::from_millis(rng.random_range(500..longest))).await;
        for wire in struck {
            wire.flow();
        }
    }
    let ledger = load.finish().await;
    let mut report = Report::default();
    report.count("silences", plan.kills);
    ledger.check_answered(&mut report);
    let evidence = audit(&mut stage, &ledger, &mut report).await;
    holders::check(&evidence, &stage.journal.lines(), TAKE_OVER, &mut report);
    stage.strike(&mut report);
    report
}
