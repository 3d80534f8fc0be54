//! The disk that the store writes to is full for a while, again and again. It is a small one of its own, so this needs the
//! right to mount. PostgreSQL may end by that, and is started again as an operator would once there is room.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;

use crate::audit::audit;
use crate::cluster::Cluster;
use crate::database::Backend;
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{ECHO, Setup, Stage};
use crate::weather::Weather;

const PACE: Pace = Pace { rest: Duration::from_millis(100), patience: Duration::from_secs(30) };
/// Room for the database and its log.
const SIZE: &str = "size=512m";
/// The longest that there is room, and that there is none, in milliseconds.
const PHASE_MS: u64 = 2_000;

pub async fn run(plan: &Plan) -> Report {
    let disk = Disk::mount();
    let cluster = (plan.backend == Backend::Postgres).then(|| Cluster::start_in(disk.folder.path()));
    let file = || format!("sqlite://{}", disk.folder.path().join("switchboard.db").display());
    let url = cluster.as_ref().map_or_else(file, |cluster| cluster.url.clone());
    let mut stage = Stage::on(&url, std::slice::from_ref(&url), None, &Setup::quick(1, ECHO)).await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let weather = Weather::begin(Arc::clone(&stage.emulator), plan.seed);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let mut restarts = 0;
    for _ in 0..plan.kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..PHASE_MS))).await;
        disk.fill();
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..PHASE_MS))).await;
        disk.free();
        if let Some(ended) = cluster.as_ref().filter(|cluster| !cluster.is_running()) {
            ended.restart().await;
            restarts += 1;
        }
    }
    drop(weather);
    let ledger = load.finish().await;
    let mut report = Report::default();
    report.count("times that the disk was full", plan.kills);
    report.count("  and PostgreSQL ended by it", restarts);
    let running = stage.instances[0].is_running();
    report.holds(running, || "the instance ended because its disk was full".to_owned());
    ledger.check_answered(&mut report);
    audit(&mut stage, &ledger, &mut report).await;
    stage.strike(&mut report);
    report
}

/// A small file system in memory.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path()).status();
        assert!(mount.unwrap().success(), "this scenario needs the right to mount");
        Self { folder }
    }

    fn filler(&self) -> PathBuf {
        Path::new(self.folder.path()).join("filler")
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for block in [vec![0; 1024 * 1024], vec![0; 4096]] {
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}
