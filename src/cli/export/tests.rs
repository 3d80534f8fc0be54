//! The command against a server that answers what it is told.

use std::path::Path;

use serde_json::{Value, json};
use wiremock::matchers::{path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::cli::testing::{Captured, answers, run};

fn event(number: usize) -> Value {
    json!({"id": format!("01E{number}"), "type": "message.received", "customer": {"phone": "+15550100001"}})
}

fn events(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(event).collect()
}

fn lines(events: &[Value]) -> String {
    events.iter().map(ToString::to_string).map(|line| line + "\n").collect()
}

/// A page of so many answers, before those that are mounted later.
async fn page(server: &MockServer, cursor: Option<&str>, times: u64, response: ResponseTemplate) {
    let mock = Mock::given(path("/api/v1/events"));
    let mock = match cursor {
        Some(cursor) => mock.and(query_param("cursor", cursor)),
        None => mock.and(query_param_is_missing("cursor")),
    };
    mock.respond_with(response).up_to_n_times(times).expect(times).mount(server).await;
}

fn rows(events: &[Value], next: Option<&str>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"data": events, "next": next}))
}

fn busy() -> ResponseTemplate {
    ResponseTemplate::new(503)
}

/// Exports to standard output without waiting between tries.
async fn export(server: &MockServer) -> (anyhow::Result<u64>, Captured) {
    let admin = Admin::new(&server.uri(), "token-1".into()).unwrap();
    let pages = Pages::new(&admin, Query::new(), None, Duration::ZERO);
    let mut export =
        Export { pages, format: Format::Jsonl, bom: false, progress: Progress::begin(&Clock::system()) };
    let mut captured = Captured::default();
    let written = export.write(&mut Output::Terminal, &mut captured.terminal()).await;
    (written, captured)
}

#[tokio::test]
async fn all_pages_are_written_in_their_order() {
    let server = MockServer::start().await;
    let all = events(0..405);
    let page = |range: std::ops::Range<usize>, next: Option<&str>| json!({"data": all[range], "next": next});
    let base = "/api/v1/events?type=message.received&since=2026-01-01T00:00:00Z&limit=200";
    // Mocks are tried in the order they were mounted, and the first page's would take every request.
    answers(&server, &format!("{base}&cursor=c2"), &page(400..405, None)).await;
    answers(&server, &format!("{base}&cursor=c1"), &page(200..400, Some("c2"))).await;
    answers(&server, base, &page(0..200, Some("c1"))).await;
    let line = ["events", "export", "--type", "message.received", "--since", "2026-01-01T00:00:00Z"];
    let printed = run(&server, &line).await.unwrap();
    assert_eq!(printed.out(), lines(&all));
    assert_eq!(printed.err(), "");
}

#[tokio::test]
async fn a_limit_ends_it_earlier_and_asks_for_no_more() {
    let server = MockServer::start().await;
    answers(&server, "/api/v1/events?limit=1&cursor=c1", &json!({"data": events(200..203), "next": "c2"}))
        .await;
    answers(&server, "/api/v1/events?limit=200", &json!({"data": events(0..200), "next": "c1"})).await;
    let printed = run(&server, &["events", "export", "--limit", "201"]).await.unwrap();
    assert_eq!(printed.out(), lines(&events(0..201)));
}

#[tokio::test]
async fn a_file_is_complete_and_is_said() {
    let (server, folder) = (MockServer::start().await, tempfile::tempdir().unwrap());
    answers(&server, "/api/v1/events", &json!({"data": events(1..2), "next": null})).await;
    let file = folder.path().join("events.csv");
    let name = file.to_str().unwrap();
    let line = ["events", "export", "--format", "csv", "--bom", "--output", name];
    let printed = run(&server, &line).await.unwrap();
    assert_eq!((printed.out(), printed.err()), ("", format!("1 event in {name}\n").as_str()));
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("\u{feff}id,type,"), "{written}");
    assert!(written.ends_with(",'+15550100001,,,,,,,,,,,,,,,,,,\r\n"), "{written}");
    assert_eq!(files_in(folder.path()), 1);
}

#[tokio::test]
async fn a_broken_export_leaves_the_file_that_was_there() {
    let (server, folder) = (MockServer::start().await, tempfile::tempdir().unwrap());
    page(&server, None, 1, rows(&events(0..1), Some("c1"))).await;
    page(&server, Some("c1"), 1, ResponseTemplate::new(400)).await;
    let file = folder.path().join("events.jsonl");
    std::fs::write(&file, "old").unwrap();
    let line = ["events", "export", "--output", file.to_str().unwrap()];
    assert_eq!(run(&server, &line).await.err().unwrap().to_string(), "400 bad request");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(files_in(folder.path()), 1);
}

#[tokio::test]
async fn a_page_that_fails_for_a_while_is_asked_for_again() {
    let server = MockServer::start().await;
    page(&server, None, 2, busy()).await;
    page(&server, None, 1, rows(&events(0..2), Some("c1"))).await;
    page(&server, Some("c1"), 3, busy()).await;
    page(&server, Some("c1"), 1, rows(&events(2..3), None)).await;
    let (written, printed) = export(&server).await;
    assert_eq!(written.unwrap(), 3);
    assert_eq!(printed.out(), lines(&events(0..3)));
    assert_eq!(printed.err(), "503 service unavailable; trying again\n".repeat(5));
}

#[tokio::test]
async fn a_page_that_keeps_failing_ends_it() {
    let server = MockServer::start().await;
    page(&server, None, 1, rows(&events(0..2), Some("c1"))).await;
    page(&server, Some("c1"), 5, busy()).await;
    let (written, printed) = export(&server).await;
    assert_eq!(written.unwrap_err().to_string(), "503 service unavailable");
    assert_eq!(printed.out(), lines(&events(0..2)));
}

#[tokio::test]
async fn where_nobody_listens_it_fails_at_once() {
    let admin = Admin::new("http://127.0.0.1:1", "token-1".into()).unwrap();
    let mut pages = Pages::new(&admin, Query::new(), None, Duration::from_mins(10));
    let mut captured = Captured::default();
    let error = pages.turn(&mut captured.terminal()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot reach"), "{error}");
}

#[tokio::test]
async fn no_events_are_no_failure() {
    for (format, expected) in [("jsonl", String::new()), ("csv", spreadsheet::headings())] {
        let server = MockServer::start().await;
        answers(&server, "/api/v1/events", &json!({"data": [], "next": null})).await;
        let printed = run(&server, &["events", "export", "--format", format]).await.unwrap();
        assert_eq!(printed.out(), expected);
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_for_csv() {
    let error = run(&MockServer::start().await, &["events", "export", "--bom"]).await.err().unwrap();
    assert!(error.is::<Usage>(), "{error}");
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
