//! The first five minutes: `dev`, then the other commands in the same folder, as the README shows them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

/// `dev` in a folder of its own, stopped as Ctrl-C stops it.
struct Dev {
    child: Child,
    folder: tempfile::TempDir,
}

impl Dev {
    fn start(program: &Path) -> Self {
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
    fn run(&self, line: &[&str]) -> Output {
        let program = env!("CARGO_BIN_EXE_switchboard");
        Command::new(program).args(line).current_dir(&self.folder).env_clear().output().unwrap()
    }

    fn prints(&self, line: &[&str]) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, line: &[&str]) -> Value {
        serde_json::from_str(&self.prints(&[line, &["--json"]].concat())).unwrap()
    }

    /// Asks until the newest message has been read: the emulator's statuses take half a second, as in life.
    fn read_message(&self) -> Value {
        for _ in 0..200 {
            let messages = self.json(&["messages", "list"]);
            if messages[0]["state"] == "read" {
                return messages[0].clone();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no message was read within ten seconds: {}", self.prints(&["messages", "list"]));
    }

    fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
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

fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_switchboard").into()
}

/// The 15-line program of the library's documentation, as a user would build it.
fn greeter() -> PathBuf {
    binary().with_file_name("examples").join("greeter")
}

#[rstest]
#[case::the_example_route(binary(), "Hello Ana! You said: hi")]
#[case::a_registered_handler(greeter(), "Hello! We will be with you shortly.")]
fn dev_answers_the_first_message(#[case] program: PathBuf, #[case] answer: &str) {
    let dev = Dev::start(&program);
    let printed = dev.prints(&["simulate", "inbound", "--text", "hi"]);
    let id = printed.trim().strip_prefix("event ").unwrap().to_owned();
    let message = dev.read_message();
    assert_eq!(message["content"]["text"], answer);

    assert_eq!(dev.json(&["events", "show", &id])["content"]["text"], "hi");
    let timeline = dev.json(&["messages", "show", message["id"].as_str().unwrap()])["timeline"].clone();
    let states: Vec<_> = timeline.as_array().unwrap().iter().map(|entry| entry["state"].clone()).collect();
    assert_eq!(states, ["queued", "accepted", "sent", "delivered", "read"]);
    assert_eq!(dev.json(&["events", "list"]).as_array().unwrap().len(), 4);
    assert_eq!(dev.json(&["jobs", "list", "--state", "done"]).as_array().unwrap().len(), 2);
    dev.stop();
}

#[test]
fn statuses_and_files_can_be_simulated() {
    let dev = Dev::start(&binary());
    dev.prints(&["simulate", "status", "--id", "01K00000000000000000000001", "--status", "read"]);
    let message = dev.json(&["messages", "show", "01K00000000000000000000001"]);
    assert_eq!((message["state"].clone(), message["origin"].clone()), ("read".into(), "observed".into()));
    let body = dev.folder.path().join("body.json");
    std::fs::write(&body, r#"{"topic":"weather"}"#).unwrap();
    let twice = || dev.prints(&["simulate", "file", body.to_str().unwrap(), "--exact"]);
    assert!(!twice().contains("duplicate"));
    assert!(twice().contains("(duplicate)"));
    dev.stop();
}

#[test]
fn a_second_dev_in_the_same_folder_is_refused() {
    let dev = Dev::start(&binary());
    let second = dev.run(&["dev"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));
    // The first is still found by the other commands.
    dev.prints(&["events", "list"]);
    dev.stop();
}

#[rstest]
#[case::serve_without_configuration(&["serve"], "admin.token")]
#[case::an_unknown_command(&["dance"], "unrecognized subcommand")]
#[case::no_server(&["events", "list"], "no running server is known")]
fn wrong_usage_ends_with_2_and_says_what_to_do(#[case] line: &[&str], #[case] says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(binary()).args(line).current_dir(&folder).env_clear().output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains(says), "{said}");
}

#[test]
fn serve_says_every_problem_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    let config = "[admin]\ntoken = \"\"\n[[routes]]\nname = \"a\"\non = [\"message.*\"]\nhandler = \"nobody\"\nwhen = \"event.\"\n";
    std::fs::write(&file, config).unwrap();
    let run = Command::new(binary()).args(["serve", "--config"]).arg(&file).env_clear().output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let said = String::from_utf8_lossy(&run.stderr);
    for key in ["admin.token", "store.url", "accounts.default", "routes.a.handler", "routes.a.when"] {
        assert!(said.contains(key), "{key}: {said}");
    }
}
