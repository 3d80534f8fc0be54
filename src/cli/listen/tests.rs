//! The command against a server that streams what it is told, and a program that answers what it is told.

use std::time::Duration;

use clap::Parser as _;
use tokio::sync::Notify;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::cli::admin::Query;
use crate::cli::testing::{Captured, answer};
use crate::cli::watch::tests::{event, event_of, stream, streams};
use crate::cli::{Cli, Usage};
use crate::clock::Clock;
use crate::config::Environment;
use crate::connectly::signature::{HEADER, verify};

/// A body that no serializer of ours would write.
const BODY: &str = "{ \"a\" :1}\n";

fn surroundings(folder: &Path) -> Surroundings {
    Surroundings {
        clock: Clock::system(),
        folder: folder.into(),
        configured: None,
        app: crate::App::default(),
        environment: [("CONNECTLY_WEBHOOK_SECRET", "secret-1")].into_iter().collect::<Environment>(),
    }
}

async fn has_body(server: &MockServer, id: &str, response: ResponseTemplate) {
    answer(server, "GET", &format!("/api/v1/events/{id}/body"), response).await;
}

fn body() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(BODY)
}

async fn program(response: ResponseTemplate) -> MockServer {
    let program = MockServer::start().await;
    Mock::given(path("/hook")).respond_with(response).mount(&program).await;
    program
}

/// Listens until the streams have ended.
async fn listen(server: &MockServer, done: &Notify, url: &str) -> Captured {
    let folder = tempfile::tempdir().unwrap();
    let surroundings = surroundings(folder.path());
    let admin = Admin::new(&server.uri(), "token-1".into()).unwrap();
    let keys = Keys { secret_file: None, file: None, surroundings: &surroundings, known: BTreeMap::new() };
    let program = Program::new(address(url).unwrap(), Clock::system()).unwrap();
    let watch = Watch::begin(&admin, Query::new()).await.unwrap().with_first_pause(Duration::ZERO);
    let mut captured = Captured::default();
    let listener = Listener { admin: &admin, keys, program };
    listener.listen(&watch, done.notified(), &mut captured.terminal()).await.unwrap();
    captured
}

/// The lines without their times.
fn lines(printed: &Captured) -> Vec<String> {
    let timeless = |line: &str| {
        let words = line.split_whitespace().collect::<Vec<_>>();
        let ms = words.iter().position(|word| *word == "ms");
        let kept = |number: &usize| ms.is_none_or(|ms| *number != ms && *number + 1 != ms);
        (0..words.len()).filter(kept).map(|number| words[number]).collect::<Vec<_>>().join(" ")
    };
    printed.out().lines().map(timeless).collect()
}

#[tokio::test]
async fn the_program_gets_the_very_bytes_with_their_signature() {
    let (server, done) = streams(vec![stream(event("01E1", "hi"))]).await;
    has_body(&server, "01E1", body()).await;
    let program = program(ResponseTemplate::new(200).set_body_string("thanks")).await;
    let printed = listen(&server, &done, &format!("{}/hook", program.uri())).await;
    assert_eq!(lines(&printed), ["01E1 message.received 200"]);
    let requests = program.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(request.body, BODY.as_bytes());
    assert_eq!(request.headers["content-type"], "text/plain; charset=utf-8");
    let signature = request.headers[HEADER].as_bytes();
    let key = Key::new(&"secret-1".into());
    assert!(verify(&[key], Some(signature), request.body.clone().into()).is_ok());
}

#[tokio::test]
async fn it_goes_on_after_failures_and_sends_nothing_twice() {
    let (server, done) = streams(vec![stream(event("01E1", "hi") + &event("01E2", "there"))]).await;
    has_body(&server, "01E1", body()).await;
    has_body(&server, "01E2", body()).await;
    let program = program(ResponseTemplate::new(500).set_body_string("it\u{1b}[2J broke\nbadly\n")).await;
    let printed = listen(&server, &done, &format!("{}/hook", program.uri())).await;
    let said = "it[2J broke badly";
    let expected = [format!("01E1 message.received 500 {said}"), format!("01E2 message.received 500 {said}")];
    assert_eq!(lines(&printed), expected);
    assert_eq!(program.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_line_too() {
    let (server, done) = streams(vec![stream(event("01E1", "hi"))]).await;
    has_body(&server, "01E1", body()).await;
    // The port was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    drop(listener);
    let printed = listen(&server, &done, &url).await;
    assert!(lines(&printed)[0].starts_with("01E1 message.received no answer Connection refused"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let events = event("01E1", "hi") + &event_of("brazil", "01E2", "oi");
    let (server, done) = streams(vec![stream(events)]).await;
    has_body(&server, "01E1", ResponseTemplate::new(410)).await;
    let program = program(ResponseTemplate::new(200)).await;
    let printed = listen(&server, &done, &format!("{}/hook", program.uri())).await;
    let lines = lines(&printed);
    assert_eq!(lines[0], "01E1 message.received not sent 410 gone");
    let reason = "01E2 message.received not sent no webhook secret of account brazil is known";
    assert!(lines[1].starts_with(reason), "{lines:?}");
    assert!(program.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_cannot_be_had_just_now_is_asked_for_again() {
    let events = || stream(event("01E1", "hi"));
    let (server, done) = streams(vec![events(), events()]).await;
    let busy = Mock::given(path("/api/v1/events/01E1/body")).respond_with(ResponseTemplate::new(503));
    busy.up_to_n_times(1).mount(&server).await;
    has_body(&server, "01E1", body()).await;
    let program = program(ResponseTemplate::new(200)).await;
    let printed = listen(&server, &done, &format!("{}/hook", program.uri())).await;
    assert_eq!(lines(&printed), ["01E1 message.received 200"]);
    assert!(printed.err().starts_with("503 service unavailable; trying again\n"), "{}", printed.err());
}

#[tokio::test]
async fn who_has_no_secret_hears_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let line = ["switchboard", "--url", "http://127.0.0.1:1", "--admin-token", "token-1", "listen"];
    let options = ["--forward-to", "http://127.0.0.1:1/hook", "--account", "brazil"];
    let cli = Cli::try_parse_from([&line[..], &options].concat()).unwrap();
    let mut captured = Captured::default();
    let told = crate::cli::dispatch(cli, &surroundings(folder.path()), &mut captured.terminal()).await;
    let error = told.unwrap_err();
    assert!(error.is::<Usage>() && error.to_string().contains("account brazil"), "{error}");
}

#[test]
fn an_address_is_one_that_can_be_posted_to() {
    assert!(address("http://127.0.0.1:3000/webhook").is_ok());
    for text in ["", "3000", "localhost:3000", "ftp://host/", "/webhook"] {
        assert!(address(text).is_err(), "{text}");
    }
}
