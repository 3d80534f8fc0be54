//! `replay` beside a server: every event once by one command, and once more by the next.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use switchboard::emulator::Inbound;
use switchboard::{App, Context, Event, Handler, HandlerResult, Outcome};
use tokio::process::Command;
use wiremock::matchers::body_partial_json;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::support::desk::TOKEN;
use super::support::dev::binary;
use super::support::{Backend, Desk};

const ROUTE: &str = r#"
[[routes]]
name = "tally"
on = ["message.received"]
handler = "tally"
"#;

/// How often each text was heard.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<BTreeMap<String, usize>>>);

impl Handler for Tally {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        let text = event.content().and_then(|content| content.text.clone()).unwrap_or_default();
        *self.0.lock().unwrap().entry(text).or_default() += 1;
        Ok(Outcome::ignored())
    }
}

impl Tally {
    /// The texts that were heard so often.
    fn heard(&self, times: usize) -> usize {
        self.0.lock().unwrap().values().filter(|heard| **heard == times).count()
    }
}

async fn desk(backend: Backend, events: usize) -> (Desk, Tally) {
    let tally = Tally::default();
    let desk = Desk::with(backend, App::new().handler("tally", tally.clone()), ROUTE).await;
    for number in 0..events {
        let customer = format!("+155501001{:02}", number % 20);
        desk.says(Inbound::text(format!("text {number}")).by(customer)).await;
    }
    desk.settled().await;
    // What is stored in this very millisecond counts as arriving meanwhile.
    desk.advance(Duration::from_millis(2));
    (desk, tally)
}

#[rstest]
#[tokio::test]
async fn slices_replay_each_event_once_and_none_that_arrives_meanwhile(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let (desk, tally) = desk(backend, 25).await;
    let mut body = json!({ "type": "message.received", "limit": 10 });
    let mut slices = Vec::new();
    loop {
        let answer = desk.admin(Method::POST, "/api/v1/replays", &body).await;
        let answer: Value = answer.json().await.unwrap();
        slices.push(answer["jobs"].as_u64().unwrap());
        desk.advance(Duration::from_millis(2));
        desk.says(Inbound::text(format!("meanwhile {}", slices.len()))).await;
        let Some(next) = answer.get("next") else { break };
        body["cursor"] = next.clone();
    }
    assert_eq!(slices, [10, 10, 5]);
    desk.settled().await;
    assert_eq!((tally.heard(2), tally.heard(1)), (25, 3));
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn one_command_replays_each_event_once_and_the_next_one_once_more(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    // More than a slice.
    let (desk, tally) = desk(backend, 210).await;
    for replayed in 1..=2 {
        let mut command = replay(&format!("http://{}", desk.running.admin_address()));
        let output = command.arg("--json").output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no progress where nobody looks");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"jobs\":210}\n");
        desk.settled().await;
        assert_eq!(tally.heard(1 + replayed), 210);
    }
    desk.stop().await;
}

/// The command, run against this server.
fn replay(url: &str) -> Command {
    let mut command = Command::new(binary());
    command.args(["--url", url, "replay", "--type", "message.received", "--yes"]);
    command.env_clear().env("SWITCHBOARD_ADMIN_TOKEN", TOKEN);
    command
}

#[tokio::test]
async fn who_stops_it_is_told_how_to_go_on() {
    let server = MockServer::start().await;
    let slice = |jobs: u64, next: &str| {
        ResponseTemplate::new(200).set_body_json(json!({ "jobs": jobs, "next": next }))
    };
    let late = slice(20, "c2").set_delay(Duration::from_secs(1));
    // Mocks are tried in the order they were mounted, and the first slice's would take every request.
    Mock::given(body_partial_json(json!({ "cursor": "c1" })))
        .respond_with(late)
        .expect(1)
        .mount(&server)
        .await;
    let any = Mock::given(body_partial_json(json!({ "limit": 200 })));
    any.respond_with(slice(200, "c1")).expect(1).mount(&server).await;

    let mut command = replay(&server.uri());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while server.received_requests().await.unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "error: stopped. 400 events were gone through and 220 jobs made. To go on behind these, repeat the \
        command with --cursor c2\n";
    assert_eq!(said, expected);
}
