use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Match, Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::cli::Cli;
use crate::cli::testing::{Captured, answer, answers};
use clap::Parser as _;

const ID: &str = "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z";

fn message(state: &str) -> Value {
    json!({"id": ID, "state": state, "origin": "api", "kind": "session", "to": "+15550100001", "content": {"text": "hi"},
        "timeline": [{"state": "queued", "at": "2026-01-01T00:00:00Z"}]})
}

async fn run(server: &MockServer, line: &[&str]) -> anyhow::Result<Captured> {
    crate::cli::testing::run(server, &[&["messages", "send"], line].concat()).await
}

/// The server takes exactly this body, once.
async fn takes(server: &MockServer, body: &Value) {
    let asked = Mock::given(method("POST")).and(path("/api/v1/messages")).and(body_json(body));
    let answer = ResponseTemplate::new(202).set_body_json(json!({"id": ID, "state": "queued"}));
    asked.and(header("authorization", "Bearer token-1")).respond_with(answer).expect(1).mount(server).await;
}

/// The keys of the requests that a server was sent.
async fn asked_keys(server: &MockServer) -> Vec<String> {
    let key = |request: &Request| request.headers["idempotency-key"].to_str().unwrap().to_owned();
    server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .filter(|request| request.method == "POST")
        .map(key)
        .collect()
}

#[tokio::test]
async fn words_are_sent_with_everything_that_was_given() {
    let server = MockServer::start().await;
    let parameter = json!({"name": "body_1", "value": "Ana"});
    let fallback = json!({"template": "reopen", "language": "en", "parameters": [parameter]});
    let body = json!({"account": "shop", "to": "+15550100001", "from": "+15550100002", "message": {"text": "On its way"},
        "fallback": fallback, "callback_data": {"order_id": "12345"}, "campaign": "spring"});
    takes(&server, &body).await;
    let line = [
        &["text", "+15550100001", "On its way", "--account", "shop", "--from", "+15550100002"][..],
        &["--fallback-template", "reopen", "--fallback-language", "en", "--fallback-parameter", "body_1=Ana"],
        &["--callback", "order_id=12345", "--campaign", "spring"],
    ];
    assert_eq!(run(&server, &line.concat()).await.unwrap().out(), format!("id     {ID}\nstate  queued\n"));
}

#[tokio::test]
async fn a_template_is_sent_with_what_fills_it() {
    let server = MockServer::start().await;
    let parameters = json!([{"name": "body_1", "value": "Ana"}, {"name": "body_2", "value": "12=45"}]);
    let template = json!({"name": "order_update", "language": "en", "parameters": parameters});
    takes(&server, &json!({"to": "US.1", "template": template, "callback_data": null})).await;
    let line = [
        &["template", "US.1", "order_update", "--language", "en", "--callback-json", "null", "--json"][..],
        &["--parameter", "body_1=Ana", "--parameter", "body_2=12=45"],
    ];
    assert!(run(&server, &line.concat()).await.unwrap().out().starts_with("{\"id\""));
}

#[tokio::test]
async fn a_file_is_a_whole_request_or_a_message_to_somebody() {
    let server = MockServer::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let location = json!({"location": {"latitude": 1.5, "longitude": 2.5}});
    std::fs::write(path, location.to_string()).unwrap();
    takes(&server, &json!({"to": "+15550100001", "message": location, "campaign": "spring"})).await;
    run(&server, &["file", path, "--to", "+15550100001", "--campaign", "spring"]).await.unwrap();
    let whole =
        r#"{"to": "+15550100001", "message": {"text": "hi"}, "callback_data": 12345678901234567890123}"#;
    std::fs::write(path, whole).unwrap();
    let answer = ResponseTemplate::new(202).set_body_json(json!({"id": ID}));
    Mock::given(Exactly(whole)).respond_with(answer).expect(1).mount(&server).await;
    run(&server, &["file", path]).await.unwrap();
    let both = run(&server, &["file", path, "--from", "+15550100002"]).await.err().unwrap();
    assert!(both.is::<Usage>(), "{both}");
    std::fs::write(path, r#"{"text": "hi"}"#).unwrap();
    let nobody = run(&server, &["file", path]).await.err().unwrap();
    assert!(nobody.is::<Usage>() && nobody.to_string().contains("give --to"), "{nobody}");
    std::fs::write(path, "to: Ana").unwrap();
    for path in [path, "/nowhere.json"] {
        assert!(run(&server, &["file", path]).await.err().unwrap().is::<Usage>(), "{path}");
    }
}

/// A body in exactly this spelling.
struct Exactly(&'static str);

impl Match for Exactly {
    fn matches(&self, request: &Request) -> bool {
        request.body == self.0.as_bytes()
    }
}

#[tokio::test]
async fn what_was_not_answered_is_asked_again_under_the_same_key() {
    let server = MockServer::start().await;
    let asked = || Mock::given(method("POST")).and(path("/api/v1/messages"));
    asked().respond_with(ResponseTemplate::new(503)).up_to_n_times(1).mount(&server).await;
    let before = ResponseTemplate::new(202).insert_header("idempotent-replayed", "true");
    asked().respond_with(before.set_body_json(json!({"id": ID, "state": "queued"}))).mount(&server).await;
    let printed = run(&server, &["text", "+15550100001", "hi"]).await.unwrap();
    assert_eq!(printed.out(), format!("id     {ID}\nstate  queued\n"));
    assert_eq!(printed.err(), "503 service unavailable; asking again under the same key\n");
    let keys = asked_keys(&server).await;
    assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].len() == 26, "{keys:?}");
    // Another command is another request.
    run(&server, &["text", "+15550100001", "hi"]).await.unwrap();
    assert_ne!(asked_keys(&server).await[2], keys[0]);
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_a_doubt_with_its_key() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = Admin::new(&format!("http://{}", listener.local_addr().unwrap()), "token-1".into()).unwrap();
    let asked = tokio::spawn(async move {
        let mut times = 0;
        while let Ok((mut connection, _)) = listener.accept().await {
            assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
            times += 1;
            if times == 1 + REPEATS {
                return times;
            }
        }
        times
    });
    let body = to_raw_value(&json!({})).unwrap();
    let mut captured = Captured::default();
    let pause = Duration::from_millis(1);
    let error = ask(&body, "order-5", pause, &admin, &mut captured.terminal()).await.unwrap_err();
    assert_eq!(asked.await.unwrap(), 6);
    assert!(
        format!("{error:#}").contains("--idempotency-key order-5, which sends it once: no answer from"),
        "{error:#}"
    );
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_asked() {
    // The port was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let admin = Admin::new(&url, "token-1".into()).unwrap();
    let body = to_raw_value(&json!({})).unwrap();
    let mut captured = Captured::default();
    let error = ask(&body, "order-5", FIRST_PAUSE, &admin, &mut captured.terminal()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot reach"), "{error}");
    assert_eq!(captured.err(), "");
}

#[tokio::test]
async fn a_key_that_was_used_before_sends_nothing_and_a_refusal_is_told() {
    let server = MockServer::start().await;
    let before = ResponseTemplate::new(202).insert_header("idempotent-replayed", "true");
    answer(&server, "POST", "/api/v1/messages", before.set_body_json(json!({"id": ID}))).await;
    let line = ["text", "+15550100001", "hi", "--idempotency-key", "order-5"];
    let printed = run(&server, &line).await.unwrap();
    assert!(printed.err().contains("nothing is sent again"), "{}", printed.err());
    assert_eq!(asked_keys(&server).await, ["order-5"]);
    let server = MockServer::start().await;
    let problem =
        json!({"title": "A field is not valid", "detail": "`from` takes one of the business's numbers"});
    let refusal = ResponseTemplate::new(422).set_body_json(problem);
    answer(&server, "POST", "/api/v1/messages", refusal).await;
    let error = run(&server, &line).await.err().unwrap();
    assert_eq!(error.to_string(), "422 A field is not valid: `from` takes one of the business's numbers");
}

#[tokio::test]
async fn who_waits_is_told_how_it_ended() {
    for (state, error) in [("delivered", None), ("expired", Some("the message did not arrive: expired"))] {
        let server = MockServer::start().await;
        let queued = ResponseTemplate::new(202).set_body_json(json!({"id": ID, "state": "queued"}));
        answer(&server, "POST", "/api/v1/messages", queued).await;
        let looked = || Mock::given(method("GET")).and(path(format!("/api/v1/messages/{ID}")));
        for answer in [ResponseTemplate::new(200).set_body_json(message("sent")), ResponseTemplate::new(503)]
        {
            looked().respond_with(answer).up_to_n_times(1).mount(&server).await;
        }
        looked().respond_with(ResponseTemplate::new(200).set_body_json(message(state))).mount(&server).await;
        let (admin, mut captured) =
            (Admin::new(&server.uri(), "token-1".into()).unwrap(), Captured::default());
        let patience = Patience { limit: Duration::from_secs(30), pause: Duration::from_millis(1) };
        let asked = to_raw_value(&json!({ "id": ID })).unwrap();
        let ended = watch(&asked, false, patience, &admin, &Clock::system(), &mut captured.terminal()).await;
        assert_eq!(ended.err().map(|error| error.to_string()).as_deref(), error);
        assert!(
            captured.out().starts_with(&format!("{ID} to +15550100001: {state}\n")),
            "{}",
            captured.out()
        );
        server.reset().await;
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_the_limit() {
    let server = MockServer::start().await;
    answers(&server, &format!("/api/v1/messages/{ID}"), &message("sent")).await;
    let (admin, mut captured) = (Admin::new(&server.uri(), "token-1".into()).unwrap(), Captured::default());
    let patience = Patience { limit: Duration::ZERO, pause: Duration::from_secs(30) };
    let asked = to_raw_value(&json!({ "id": ID })).unwrap();
    watch(&asked, true, patience, &admin, &Clock::system(), &mut captured.terminal()).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(captured.out()).unwrap(), message("sent"));
    assert_eq!(captured.err(), format!("sent after 0 s: `switchboard why {ID}` tells how it goes on\n"));
}

#[test]
fn what_does_not_fit_together_is_wrong_usage() {
    for line in [
        &["text", "+15550100001"][..],
        &["text", "+15550100001", "hi", "--fallback-template", "reopen"],
        &["text", "+15550100001", "hi", "--fallback-parameter", "body_1=Ana"],
        &["text", "+15550100001", "hi", "--callback", "a=1", "--callback-json", "{}"],
        &["text", "+15550100001", "hi", "--callback-json", "{"],
        &["text", "+15550100001", "hi", "--callback", "order_id"],
        &["text", "+15550100001", "hi", "--callback", "order..id=1"],
        &["template", "+15550100001", "reopen"],
        &["template", "+15550100001", "reopen", "--language", "en", "--parameter", "Ana"],
        &["template", "+15550100001", "reopen", "--language", "en", "--fallback-template", "reopen"],
        &["file"],
    ] {
        let error = Cli::try_parse_from([&["switchboard", "messages", "send"], line].concat()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line:?}");
    }
}
