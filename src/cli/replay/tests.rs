//! The command against a server that answers what it is told.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{body_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::cli::testing::{Captured, run};

const ID: &str = "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z";
const SINCE: &str = "2026-01-01T00:00:00Z";

async fn answers(server: &MockServer, body: Value, response: ResponseTemplate) {
    let posted = Mock::given(method("POST")).and(path("/api/v1/replays")).and(body_json(body));
    posted.respond_with(response).expect(1).mount(server).await;
}

async fn replays(server: &MockServer, body: Value, answer: Value) {
    answers(server, body, ResponseTemplate::new(200).set_body_json(answer)).await;
}

/// What the slice behind a cursor is asked with; the first one has none.
fn slice(cursor: Option<&str>, dry_run: bool) -> Value {
    let mut body = json!({ "since": SINCE, "limit": 200, "dry_run": dry_run });
    if let Some(cursor) = cursor {
        body["cursor"] = cursor.into();
    }
    body
}

#[tokio::test]
async fn one_event_or_all_that_filters_find() {
    let server = MockServer::start().await;
    replays(&server, json!({"event_id": ID, "dry_run": false}), json!({"jobs": 2})).await;
    assert_eq!(run(&server, &["replay", ID, "--yes"]).await.unwrap().out(), "2 jobs were made\n");
    let body = json!({
        "type": "message.received", "since": SINCE, "route": "front-desk", "limit": 200, "dry_run": true
    });
    replays(&server, body, json!({"jobs": 7, "purged": 3})).await;
    let line = ["replay", "--type", "message.received", "--since", SINCE, "--route", "front-desk"];
    let counted = run(&server, &[&line[..], &["--dry-run"]].concat()).await.unwrap();
    assert_eq!(counted.out(), "7 jobs would be made\n");
    assert_eq!(counted.err(), "3 events cannot be replayed: their bytes are no longer kept\n");
}

#[tokio::test]
async fn where_there_is_nothing_to_do_nobody_is_asked() {
    let server = MockServer::start().await;
    replays(&server, json!({"event_id": ID, "dry_run": true}), json!({"jobs": 0})).await;
    assert_eq!(run(&server, &["replay", ID]).await.unwrap().out(), "0 jobs were made\n");
}

#[tokio::test]
async fn all_slices_are_asked_for_once_and_told_as_one() {
    let server = MockServer::start().await;
    replays(&server, slice(None, false), json!({"jobs": 180, "purged": 2, "next": "c1"})).await;
    replays(&server, slice(Some("c1"), false), json!({"jobs": 0, "next": "c2"})).await;
    replays(&server, slice(Some("c2"), false), json!({"jobs": 5, "purged": 1})).await;
    let printed = run(&server, &["replay", "--since", SINCE, "--yes", "--json"]).await.unwrap();
    assert_eq!((printed.out(), printed.err()), ("{\"jobs\":185,\"purged\":3}\n", ""));
}

#[tokio::test]
async fn who_watches_sees_how_far_it_is() {
    let server = MockServer::start().await;
    replays(&server, slice(None, false), json!({"jobs": 180, "next": "c1"})).await;
    replays(&server, slice(Some("c1"), false), json!({"jobs": 20, "next": "c2"})).await;
    replays(&server, slice(Some("c2"), false), json!({"jobs": 5})).await;
    let admin = Admin::new(&server.uri(), "token-1".into()).unwrap();
    let mut body = slice(None, false);
    body.as_object_mut().unwrap().remove("limit");
    let progress = Progress::shown_every(Duration::ZERO, &Clock::system());
    let mut captured = Captured::default();
    let mut terminal = captured.terminal().watched(true);
    let done = Slices::new(&admin, body, Some(205), progress).run(&mut terminal).await.unwrap();
    assert_eq!(done.jobs, 205);
    assert_eq!(captured.err(), "\r\u{1b}[K180 of 205 jobs\r\u{1b}[K200 of 205 jobs\r\u{1b}[K");
}

#[tokio::test]
async fn what_ends_before_its_end_says_how_far_it_came_and_is_not_tried_again() {
    let server = MockServer::start().await;
    replays(&server, slice(None, false), json!({"jobs": 180, "next": "c1"})).await;
    answers(&server, slice(Some("c1"), false), ResponseTemplate::new(503)).await;
    let line = ["replay", "--since", SINCE, "--yes"];
    let error = run(&server, &line).await.err().unwrap().to_string();
    assert_eq!(
        error,
        "503 service unavailable. 200 events were gone through and 180 jobs made; whether what came next was replayed is \
         not known. To go on behind these, repeat the command with --since 2026-01-01T00:00:00Z --cursor c1"
    );
    let server = MockServer::start().await;
    replays(&server, slice(Some("c1"), false), json!({"jobs": 5})).await;
    let printed = run(&server, &[&line[..], &["--cursor", "c1"]].concat()).await.unwrap();
    assert_eq!(printed.out(), "5 jobs were made\n");
}

#[tokio::test]
async fn what_was_refused_from_the_start_did_nothing() {
    let line = ["replay", "--since", SINCE];
    for (status, dry_run, in_doubt) in [(422, false, false), (503, false, true), (503, true, false)] {
        let server = MockServer::start().await;
        answers(&server, slice(None, dry_run), ResponseTemplate::new(status)).await;
        let how = if dry_run { "--dry-run" } else { "--yes" };
        let error = run(&server, &[&line[..], &[how]].concat()).await.err().unwrap().to_string();
        assert_eq!(error.contains("not known"), in_doubt, "{error}");
        assert!(!error.contains("--cursor"), "{error}");
    }
}

#[tokio::test]
async fn where_nobody_can_answer_it_counts_and_does_nothing() {
    let server = MockServer::start().await;
    replays(&server, slice(None, true), json!({"jobs": 2, "next": "c1"})).await;
    replays(&server, slice(Some("c1"), true), json!({"jobs": 3})).await;
    let error = run(&server, &["replay", "--since", SINCE]).await.err().unwrap();
    assert!(error.is::<Usage>() && error.to_string().contains("5 jobs"), "{error}");
    for line in [
        &["replay"][..],
        &["replay", ID, "--status", "read"],
        &["replay", "--cursor", "c1"],
        &["replay", "--since", "2h", "--cursor", "c1"],
    ] {
        assert!(run(&server, line).await.err().unwrap().is::<Usage>(), "{line:?}");
    }
}
