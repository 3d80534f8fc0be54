//! On SQLite each commit is one wait for the disk: the calls of `fdatasync` and `fsync` that `strace` counts, against the
//! groups that were committed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::instance::Instance;
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{Setup, Stage};

/// No pause: so that groups of several deliveries come about.
const PACE: Pace = Pace { rest: Duration::ZERO, patience: Duration::from_secs(30) };

pub async fn run(plan: &Plan) -> Report {
    // No route: then a commit is a group of deliveries, and nothing else.
    let mut stage = Stage::set(plan.backend, &Setup::quick(1, "")).await;
    let before = stage.groups_committed().await;
    let trace = Trace::attach(&stage.instances[0], stage.folder()).await;
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    let ledger = load.finish().await;
    let groups = stage.groups_committed().await - before;
    let syncs = trace.end();
    let mut report = Report::default();
    report.count("deliveries, all answered 200", ledger.deliveries.len());
    report.count("groups committed", groups);
    report.count("fdatasync and fsync", syncs);
    report.holds(syncs >= groups, || "P1: there were commits that did not wait for the disk".to_owned());
    report.holds(groups > 0, || "nothing was committed".to_owned());
    stage.end(&mut report).await;
    stage.strike(&mut report);
    report
}

struct Trace {
    strace: Child,
    file: PathBuf,
}

impl Trace {
    /// Begins to count, once `strace` has hold of the process.
    async fn attach(instance: &Instance, folder: &Path) -> Self {
        let file = folder.join("strace");
        let id = instance.id().to_string();
        let strace = Command::new("strace")
            .args(["-f", "-e", "trace=fdatasync,fsync", "-p", &id, "-o"])
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .expect("`strace` is installed: this scenario counts with it");
        let traced = || {
            let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
            threads.filter_map(Result::ok).all(|thread| {
                let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
                !status.contains("TracerPid:\t0\n")
            })
        };
        while !traced() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { strace, file }
    }

    /// How many calls were answered.
    fn end(mut self) -> u64 {
        let id = self.strace.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.strace.wait().unwrap();
        let text = std::fs::read_to_string(&self.file).unwrap();
        text.lines().filter(|line| line.contains("sync") && line.ends_with("= 0")).count() as u64
    }
}
