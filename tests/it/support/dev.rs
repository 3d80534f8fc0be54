//! `switchboard dev` as a process, and the other commands beside it, as a person runs them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// `dev` in a folder of its own, stopped as Ctrl-C stops it.
pub struct Dev {
    child: Child,
    pub folder: tempfile::TempDir,
}

impl Dev {
    pub fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(program)
            .arg("dev")
            .current_dir(&folder)
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("messages list")), "it did not start");
        Self { child, folder }
    }

    /// Runs another command in the same folder.
    pub fn run(&self, line: &[&str]) -> Output {
        self.command(line).output().unwrap()
    }

    /// Another command in the same folder, not run yet.
    pub fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(line).current_dir(&self.folder).env_clear();
        command
    }

    pub fn prints(&self, line: &[&str]) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, line: &[&str]) -> Value {
        serde_json::from_str(&self.prints(&[line, &["--json"]].concat())).unwrap()
    }

    /// Asks until the newest message has been read: the emulator's statuses take half a second, as in life.
    pub fn read_message(&self) -> Value {
        for _ in 0..200 {
            let messages = self.json(&["messages", "list"]);
            if messages[0]["state"] == "read" {
                return messages[0].clone();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no message was read within ten seconds: {}", self.prints(&["messages", "list"]));
    }

    pub fn stop(mut self) {
        interrupt(&mut self.child);
        assert!(
            !self.folder.path().join(".switchboard/connection.json").exists(),
            "nothing stale is left behind"
        );
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stops a process as Ctrl-C does, which is a success.
pub fn interrupt(child: &mut Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

/// The program.
pub fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_switchboard").into()
}
