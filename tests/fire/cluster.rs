//! A PostgreSQL of the harness's own, to be killed: set up by the functions that `scripts/test` uses.

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Cluster {
    /// What the functions of `scripts/lib/postgres.sh` set.
    variables: Vec<(&'static str, String)>,
    pub url: String,
}

const VARIABLES: [&str; 5] = ["PG_BIN", "PG_USER", "PG_DIR", "PG_PORT", "POSTGRES_URL"];

impl Cluster {
    pub fn start() -> Self {
        Self::start_with("", &[])
    }

    /// Starts one whose files are in this folder, and that keeps little of what it has written to its log.
    pub fn start_in(folder: &Path) -> Self {
        let settings = "-c max_wal_size=64MB -c min_wal_size=32MB";
        Self::start_with(settings, &[("TMPDIR", folder.display().to_string())])
    }

    fn start_with(settings: &str, place: &[(&'static str, String)]) -> Self {
        let print = VARIABLES.map(|name| format!("\"${name}\"")).join(" ");
        let output =
            bash(&format!("find_postgres && start_postgres {settings} >&2 && printf '%s\\n' {print}"), place);
        let values = output.expect("PostgreSQL's server binaries are there, since the script found them");
        let variables: Vec<_> = VARIABLES.into_iter().zip(values.lines().map(str::to_owned)).collect();
        let url = variables.last().unwrap().1.clone();
        Self { variables, url }
    }

    /// SIGKILL to the server and all its processes: nothing is written any more, and nobody is told.
    pub fn kill(&self) {
        // Some may end by themselves meanwhile.
        let _ = Command::new("kill").arg("-KILL").args(self.processes()).output().unwrap();
    }

    /// The server and all its processes.
    pub fn processes(&self) -> Vec<String> {
        let folder = PathBuf::from(&self.variables[2].1);
        let file = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        let postmaster: u32 = file.lines().next().unwrap().parse().unwrap();
        let mut processes = vec![postmaster.to_string()];
        processes.extend(children(postmaster));
        processes
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        bash("as_postgres \"$PG_BIN/pg_ctl\" -D \"$PG_DIR/data\" status", &self.variables).is_some()
    }

    /// Starts it again, on the same port and files.
    pub async fn restart(&self) {
        let variables = self.variables.clone();
        let starting = tokio::task::spawn_blocking(move || {
            // Orphans of the last one may take a moment to notice that they are.
            (0..20).any(|_| bash("launch_postgres", &variables).is_some())
        });
        assert!(starting.await.unwrap(), "PostgreSQL did not start again");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = bash("stop_postgres", &self.variables);
    }
}

/// Runs functions of the script; what they print, when they went well.
fn bash(command: &str, variables: &[(&'static str, String)]) -> Option<String> {
    let command = format!(". scripts/lib/postgres.sh && {command}");
    let output = Command::new("bash")
        .args(["-c", &command])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The processes whose parent this is.
fn children(parent: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let of_parent = |entry: std::fs::DirEntry| {
        let id = entry.file_name().into_string().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The fields after the command's name, which may hold spaces: state, parent.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        (fields.nth(1)? == parent.to_string()).then_some(id)
    };
    processes.filter_map(of_parent).collect()
}
