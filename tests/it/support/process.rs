//! The real binary as a process, to be killed.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::webhooks::SECRET;

pub const TOKEN: &str = "a-token-of-sixteen-or-more";
pub const API_KEY: &str = "api-key-of-the-account";

/// A running `switchboard serve`.
pub struct Server {
    child: Child,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
}

/// How long a process may take to be ready: migrations on a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_mins(1);

impl Server {
    /// Starts it and waits until both listeners are ready.
    pub fn start(database: &str, connectly: &str, config: &str, filter: &str) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        program.arg("serve").env_clear();
        Self::start_as(program, database, connectly, config, filter)
    }

    /// Starts a program that serves when it is run like this.
    pub fn start_as(
        mut program: Command,
        database: &str,
        connectly: &str,
        config: &str,
        filter: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("switchboard.toml");
        std::fs::write(&file, config).unwrap();
        let mut child = program
            .env("SWITCHBOARD_CONFIG", &file)
            // Without a format: what is no terminal gets JSON.
            .envs([
                ("DATABASE_URL", database),
                ("SWITCHBOARD_PUBLIC__LISTEN", "127.0.0.1:0"),
                ("SWITCHBOARD_ADMIN__LISTEN", "127.0.0.1:0"),
                ("SWITCHBOARD_ADMIN_TOKEN", TOKEN),
                ("SWITCHBOARD_LOG__FILTER", filter),
                ("CONNECTLY_BUSINESS_ID", "biz"),
                ("CONNECTLY_API_KEY", API_KEY),
                ("CONNECTLY_WEBHOOK_SECRET", SECRET),
                ("CONNECTLY_BASE_URL", connectly),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (found, ready) = mpsc::channel();
        let keep = Arc::clone(&log);
        let reading = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(listener) = listener_of(&line) {
                    let _ = found.send(listener);
                }
                keep.lock().unwrap().push(line);
            }
        });
        let (mut public, mut admin) = (None, None);
        while public.is_none() || admin.is_none() {
            match ready.recv_timeout(READY_WITHIN) {
                Ok((true, address)) => public = Some(address),
                Ok((false, address)) => admin = Some(address),
                Err(mpsc::RecvTimeoutError::Timeout | mpsc::RecvTimeoutError::Disconnected) => {
                    panic!("the service did not start: {:?}", log.lock().unwrap())
                }
            }
        }
        Self { child, public: public.unwrap(), admin: admin.unwrap(), log, reading: Some(reading) }
    }

    pub fn webhook_url(&self) -> String {
        format!("http://{}/webhooks/connectly", self.public)
    }

    /// What it holds in memory, in KiB.
    #[allow(dead_code, reason = "the benchmark, which shares this file, asks for it")]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// SIGHUP.
    #[allow(dead_code, reason = "the benchmark, which shares this file, does not")]
    pub fn hang_up(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// SIGKILL: nothing of it runs any further.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and what it logged until it had ended.
    pub fn stop(self) -> (bool, String) {
        self.terminate();
        self.ended()
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until it has ended by itself: whether successfully, and what it logged.
    pub fn ended(mut self) -> (bool, String) {
        let status = self.child.wait().unwrap();
        // Its last words too.
        self.reading.take().unwrap().join().unwrap();
        (status.success(), self.log())
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a log line says that the public (true) or the admin (false) listener is ready, and where.
fn listener_of(line: &str) -> Option<(bool, SocketAddr)> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let address = line["address"].as_str()?.parse().ok()?;
    match line["message"].as_str()? {
        "the public listener is ready" => Some((true, address)),
        "the admin listener is ready" => Some((false, address)),
        _ => None,
    }
}
