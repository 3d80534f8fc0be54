//! Handlers behind a URL: what they are told, what their answers lead to, and that a hostile one harms its own jobs only.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use switchboard::emulator::Inbound;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Backend, Desk};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn route(url: &str) -> String {
    format!(
        r#"
[[routes]]
name = "bot"
on = ["message.received"]
handler = "http"
url = "{url}"
secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "{SECRET}"]
headers = {{ x-team = "orders" }}
allow_private = true
timeout = "2s"
retry = {{ attempts = 3, max_age = "1h" }}

[[routes]]
name = "bystander"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = {{ text = ["hello"] }}
  reply = {{ text = "I am well" }}
"#
    )
}

async fn answering(answer: ResponseTemplate) -> (MockServer, Desk) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let desk = Desk::start(Backend::Sqlite, &route(&format!("{}/hook/", server.uri()))).await;
    (server, desk)
}

async fn bodies(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| request.body_json().unwrap()).collect()
}

#[rstest]
#[tokio::test]
async fn p4_an_answer_over_http_is_committed_with_its_job(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let server = MockServer::start().await;
    let answer = json!({"replies": [{"message": {"text": "Noted"}, "callback_data": {"step": 1}}], "state": {"step": 1}});
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(answer)).mount(&server).await;
    let desk = Desk::start(backend, &route(&format!("{}/hook/", server.uri()))).await;
    desk.says(Inbound::text("order 12345")).await;
    desk.settled().await;
    desk.says(Inbound::text("and now?")).await;
    desk.settled().await;
    assert_eq!(desk.sent_texts(), ["Noted", "Noted"]);
    let told = bodies(&server).await;
    assert_eq!(told[0]["event"]["content"]["text"], "order 12345");
    assert_eq!(told[0]["state"], Value::Null);
    assert_eq!(told[0]["conversation"]["window"]["open"], true);
    assert_eq!(told[1]["state"], json!({"step": 1}));
    let events = desk.list("events?type=message.received").await;
    assert_eq!(told[1]["event"], events[0], "the one shape of an event");
    let keys: Vec<_> = told[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["conversation", "event", "message", "state"]);
    desk.stop().await;
}

#[tokio::test]
async fn a_request_is_signed_with_every_secret_and_named_by_its_job() {
    let (server, desk) = answering(ResponseTemplate::new(503)).await;
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    desk.advance(Duration::from_secs(2));
    desk.settled().await;
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    let job = &desk.list("jobs?route=bot").await[0];
    for request in &requests {
        assert_eq!(request.url.path(), "/hook/", "to the letter");
        assert_eq!(request.headers["webhook-id"].to_str().ok(), job["id"].as_str());
        assert_eq!(request.headers["x-team"], "orders");
        assert_eq!(request.headers["content-type"], "application/json");
    }
    Webhook::new(SECRET).unwrap().verify(&requests[0].body, &requests[0].headers).unwrap();
    desk.stop().await;
}

#[tokio::test]
async fn an_endpoint_says_when_to_come_back() {
    let (server, desk) = answering(ResponseTemplate::new(429).insert_header("retry-after", "600")).await;
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    desk.advance(Duration::from_secs(590));
    desk.settled().await;
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    desk.advance(Duration::from_secs(11));
    desk.settled().await;
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
    desk.stop().await;
}

#[rstest]
#[case::refused(ResponseTemplate::new(422), "the handler answered 422")]
#[case::garbage(ResponseTemplate::new(200).set_body_raw("<html>", "application/json"), "the handler's answer: is not JSON (line 1, column 1)")]
#[case::unknown_key(ResponseTemplate::new(200).set_body_json(json!({"reply": []})), "the handler's answer: `reply` is not a known key: it takes replies, state, effects")]
#[case::too_long(ResponseTemplate::new(200).set_body_json(json!({"replies": [{"message": {"text": "x".repeat(4097)}}]})), "replies[0]: message.text has 4097 characters, at most 4096 are allowed")]
#[case::large_state(ResponseTemplate::new(200).set_body_json(json!({"state": "x".repeat(70_000)})), "state: 70002 bytes of JSON, the limit is 65536")]
#[case::effect(ResponseTemplate::new(200).set_body_json(json!({"effects": ["leave"]})), "the handler's answer: effects[0] must be \"opt_out\", \"opt_in\" or \"mute:\" and a duration such as \"mute:2h\"")]
#[tokio::test]
async fn an_answer_that_no_retry_mends_parks_its_job(#[case] answer: ResponseTemplate, #[case] reason: &str) {
    let (server, desk) = answering(answer).await;
    desk.says(Inbound::text("hello")).await;
    desk.settled().await;
    let parked = desk.list("jobs?state=parked").await;
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0]["last_error"], reason);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    assert_eq!(desk.sent_texts(), ["I am well"]);
    desk.stop().await;
}

#[rstest]
#[case::other_type(ResponseTemplate::new(200).set_body_raw("{\"replies\": [{\"message\": {\"text\": \"no\"}}]}", "text/plain"))]
#[case::nothing(ResponseTemplate::new(204))]
#[case::empty(ResponseTemplate::new(200).set_body_raw("", "application/json"))]
#[tokio::test]
async fn what_is_no_json_counts_as_empty(#[case] answer: ResponseTemplate) {
    let (_server, desk) = answering(answer).await;
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    assert_eq!(desk.list("jobs?state=done").await.len(), 2);
    assert!(desk.sent_texts().is_empty());
    desk.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = "http://169.254.169.254/latest/meta-data";
    let (server, desk) = answering(ResponseTemplate::new(302).insert_header("location", elsewhere)).await;
    desk.says(Inbound::text("hello")).await;
    desk.settled().await;
    let job = &desk.list("jobs?route=bot").await[0];
    assert_eq!(job["last_error"], "the handler answered 302, and redirects are not followed");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    desk.stop().await;
}

/// How an answer never ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Endless {
    /// It begins, and then there is silence.
    Silence,
    /// Zeros for ever, after it said how many will come.
    Announced,
    /// Zeros for ever, of which nothing was said.
    Zeros,
}

async fn endless(manner: Endless) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 65_536];
                let _ = socket.read(&mut request).await;
                let length = match manner {
                    Endless::Silence => "content-length: 10\r\n",
                    Endless::Announced => "content-length: 10000000000\r\n",
                    Endless::Zeros => "",
                };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}\r\n");
                let mut open = socket.write_all(head.as_bytes()).await.is_ok();
                while open && manner != Endless::Silence {
                    open = socket.write_all(&[b'0'; 8192]).await.is_ok();
                }
                std::future::pending::<()>().await;
            });
        }
    });
    url
}

#[rstest]
#[case::answers_10_gb(Endless::Announced, "parked", "the handler's answer is longer than 1048576 bytes")]
#[case::answers_without_end(Endless::Zeros, "parked", "the handler's answer is longer than 1048576 bytes")]
#[case::hangs(Endless::Silence, "ready", "the handler ran longer than 2s")]
#[tokio::test]
async fn a_hostile_endpoint_harms_its_own_jobs_only(
    #[case] manner: Endless,
    #[case] state: &str,
    #[case] reason: &str,
) {
    let desk = Desk::start(Backend::Sqlite, &route(&endless(manner).await)).await;
    desk.says(Inbound::text("hello")).await;
    desk.settled().await;
    let job = &desk.list("jobs?route=bot").await[0];
    assert_eq!((job["state"].as_str().unwrap(), job["last_error"].as_str().unwrap()), (state, reason));
    assert_eq!(desk.sent_texts(), ["I am well"]);
    desk.stop().await;
}
