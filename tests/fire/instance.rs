//! One `serve` process, to be killed, stopped and started again.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::gate::Listeners;
use crate::journal::{Journal, What};
use crate::server;
use crate::webhooks::SECRET;

pub const TOKEN: &str = "a-token-of-sixteen-or-more";
pub const API_KEY: &str = "api-key-of-the-account";
pub const BUSINESS_ID: &str = "biz";

/// How long a process may take to be ready: migrations on a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How often the log is looked at until then.
const LOOK: Duration = Duration::from_millis(10);

/// What every instance of a run is started with.
#[derive(Clone)]
pub struct Spec {
    /// The configuration file.
    pub config: PathBuf,
    pub connectly: String,
    /// Absent: the real binary. Else the program whose handler writes this journal.
    pub journal: Option<Journal>,
    /// How long that handler takes.
    pub takes: Duration,
}

pub struct Instance {
    child: Child,
    log: PathBuf,
    journal: Option<Journal>,
    listeners: Option<Listeners>,
}

impl Instance {
    /// Starts it, and does not wait until it is ready.
    pub fn spawn(spec: &Spec, database: &str, log: PathBuf) -> Self {
        let program = match spec.journal {
            Some(_) => std::env::current_exe().unwrap(),
            None => env!("CARGO_BIN_EXE_switchboard").into(),
        };
        let mut command = Command::new(program);
        command.args(["serve", "--config"]).arg(&spec.config).env_clear().envs([
            ("DATABASE_URL", database),
            ("SWITCHBOARD_PUBLIC__LISTEN", "127.0.0.1:0"),
            ("SWITCHBOARD_ADMIN__LISTEN", "127.0.0.1:0"),
            ("SWITCHBOARD_ADMIN_TOKEN", TOKEN),
            ("SWITCHBOARD_LOG__FORMAT", "json"),
            ("CONNECTLY_BUSINESS_ID", BUSINESS_ID),
            ("CONNECTLY_API_KEY", API_KEY),
            ("CONNECTLY_WEBHOOK_SECRET", SECRET),
            ("CONNECTLY_BASE_URL", spec.connectly.as_str()),
        ]);
        if let Some(journal) = &spec.journal {
            command.env(server::JOURNAL, journal.path());
            command.env(server::TAKES, spec.takes.as_millis().to_string());
        }
        let errors = File::create(&log).unwrap();
        // A group of its own: what is typed at the terminal is for the harness, which then ends its processes.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let child = command.spawn().unwrap();
        Self { child, log, journal: spec.journal.clone(), listeners: None }
    }

    /// Waits until both listeners are ready; no when it ended before.
    pub async fn ready(&mut self) -> bool {
        let found = tokio::time::timeout(READY_WITHIN, async {
            loop {
                if let Some(listeners) = listeners(&self.log) {
                    return Some(listeners);
                }
                if !self.is_running() {
                    return None;
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        self.listeners = found.await.ok().flatten();
        self.listeners.is_some()
    }

    pub fn listeners(&self) -> Option<Listeners> {
        self.listeners
    }

    pub fn admin(&self) -> Option<SocketAddr> {
        self.listeners.map(|(_, admin)| admin)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL: nothing of it runs any further.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // Now, when it surely writes no more: nobody else begins its work before its leases end.
        self.note(What::Kill);
    }

    /// SIGSTOP: it stands still and knows nothing of it.
    pub async fn pause(&self) {
        self.signal("STOP");
        while !self.stands_still() {
            tokio::time::sleep(LOOK).await;
        }
        // Now, as with a kill.
        self.note(What::Stop);
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.note(What::Continue);
        self.signal("CONT");
    }

    /// SIGTERM, and whether it ended well.
    pub async fn end(mut self) -> bool {
        self.signal("TERM");
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether every thread has stopped: a signal takes its time.
    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        threads.filter_map(Result::ok).all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_none_or(|(_, fields)| fields.trim_start().starts_with('T'))
        })
    }

    fn note(&self, what: What) {
        if let Some(journal) = &self.journal {
            journal.note(what, self.id());
        }
    }

    fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The public and the admin listener, once the log tells of both.
fn listeners(log: &Path) -> Option<Listeners> {
    let text = std::fs::read_to_string(log).ok()?;
    let address = |message: &str| {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut ready = lines.filter(|line| line["message"] == message);
        ready.next()?["address"].as_str()?.parse().ok()
    };
    Some((address("the public listener is ready")?, address("the admin listener is ready")?))
}
