//! The disk takes its time: every wait for it is made longer, by `strace`. All that is answered 200 is there all the same,
//! and what takes too long is answered 503.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::audit::audit;
use crate::cluster::Cluster;
use crate::database::Backend;
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{ECHO, Setup, Stage};
use crate::weather::Weather;

const PACE: Pace = Pace { rest: Duration::from_millis(100), patience: Duration::from_mins(1) };
/// How long each wait is made, in milliseconds: from what a network disk takes to what a broken one does.
const DELAYS_MS: [u64; 4] = [20, 200, 1_000, 5_000];
/// The longest that it is slow, and that it is not, in milliseconds.
const PHASE_MS: u64 = 8_000;

pub async fn run(plan: &Plan) -> Report {
    let cluster = (plan.backend == Backend::Postgres).then(Cluster::start);
    let setup = Setup::quick(1, ECHO);
    let mut stage = match &cluster {
        Some(cluster) => Stage::on(&cluster.url, std::slice::from_ref(&cluster.url), None, &setup).await,
        None => Stage::set(plan.backend, &setup).await,
    };
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let weather = Weather::begin(Arc::clone(&stage.emulator), plan.seed);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    for turn in 0..plan.kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..PHASE_MS / 4))).await;
        let writers = match &cluster {
            Some(cluster) => cluster.processes(),
            None => vec![stage.instances[0].id().to_string()],
        };
        let brake = Brake::on(&writers, DELAYS_MS[turn as usize % DELAYS_MS.len()]);
        tokio::time::sleep(Duration::from_millis(rng.random_range(PHASE_MS / 2..PHASE_MS))).await;
        drop(brake);
    }
    drop(weather);
    let ledger = load.finish().await;
    let mut report = Report::default();
    report.count("times that the disk was slow", plan.kills);
    ledger.check_answered(&mut report);
    audit(&mut stage, &ledger, &mut report).await;
    stage.strike(&mut report);
    report
}

/// Makes processes, and those that they start, wait longer for the disk, until it is dropped.
struct Brake(Child);

impl Brake {
    fn on(processes: &[String], milliseconds: u64) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "trace=fdatasync,fsync", "-e"]);
        strace.arg(format!("inject=fdatasync,fsync:delay_exit={}", milliseconds * 1_000));
        for process in processes {
            strace.args(["-p", process]);
        }
        let quiet = strace.stdout(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().expect("`strace` is installed: this scenario slows with it"))
    }
}

impl Drop for Brake {
    fn drop(&mut self) {
        // It lets go of them when it is asked; killed, it might leave them stopped.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}
