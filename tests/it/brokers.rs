//! Events published to a real NATS server: each is in the stream once, whatever becomes of the server meanwhile.

use std::time::Duration;

use serde_json::Value;
use switchboard::App;
use switchboard::config::{Config, Environment};
use switchboard::emulator::Inbound;

use crate::support::nats::Nats;
use crate::support::process::Server;
use crate::support::{Backend, Desk, certificates};

/// Long enough to know every id of a test.
const WINDOW: Duration = Duration::from_mins(10);
/// More than the longest rest before a second attempt.
const A_REST: Duration = Duration::from_secs(2);

fn route(url: &str, subject: &str, more: &str) -> String {
    format!(
        "[[routes]]\nname = \"bus\"\non = [\"message.received\"]\nhandler = \"nats\"\nurl = \"{url}\"\nsubject = \"{subject}\"\n{more}\n"
    )
}

fn by_type(nats: &Nats, more: &str) -> String {
    route(&nats.url(), "connectly.{{ event.type }}", more)
}

/// A running server with a stream that takes all of Connectly's.
async fn with_stream() -> Nats {
    let nats = Nats::start().await;
    nats.make_stream("EVENTS", "connectly.>", WINDOW).await;
    nats
}

async fn published_texts(nats: &Nats) -> Vec<String> {
    let kept = nats.kept("EVENTS").await;
    kept.iter().map(|kept| kept.json["content"]["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_event_is_published_as_the_api_shows_it_under_the_jobs_id() {
    let nats = with_stream().await;
    let desk = Desk::start(Backend::Sqlite, &by_type(&nats, "")).await;
    let answer = desk.says(Inbound::text("hello")).await;
    desk.settled().await;
    let kept = nats.kept("EVENTS").await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].subject, "connectly.message.received");
    let event = desk.get(&format!("/api/v1/events/{}", answer["id"].as_str().unwrap())).await;
    assert_eq!(kept[0].json, event);
    assert_eq!(desk.column("jobs?state=done", "id").await, [kept[0].id.clone()]);
    assert!(desk.sent().is_empty(), "a broker never replies");
    desk.stop().await;
}

#[tokio::test]
async fn an_event_that_no_stream_takes_waits_for_one() {
    let nats = Nats::start().await;
    let desk = Desk::start(Backend::Sqlite, &by_type(&nats, "")).await;
    desk.says(Inbound::text("hello")).await;
    desk.settled().await;
    let job = desk.list("jobs").await.remove(0);
    assert_eq!((&job["state"], &job["last_error"]), (&"ready".into(), &"no stream takes the subject".into()));
    nats.make_stream("EVENTS", "connectly.>", WINDOW).await;
    desk.advance(A_REST);
    desk.settled().await;
    assert_eq!(published_texts(&nats).await, ["hello"]);
    desk.stop().await;
}

#[tokio::test]
async fn a_server_that_is_away_loses_nothing_and_doubles_nothing() {
    let mut nats = Nats::absent(&[]);
    // Nobody is kept from starting.
    let desk = Desk::start(Backend::Sqlite, &by_type(&nats, "")).await;
    desk.says(Inbound::text("before")).await;
    nats.launch().await;
    nats.make_stream("EVENTS", "connectly.>", WINDOW).await;
    settle_with_retries(&desk).await;
    for (number, end) in [Nats::stop, Nats::kill].into_iter().enumerate() {
        desk.says(Inbound::text(format!("{number} up"))).await;
        end(&mut nats);
        desk.says(Inbound::text(format!("{number} down"))).await;
        desk.says(Inbound::text(format!("{number} still down"))).await;
        nats.launch().await;
        settle_with_retries(&desk).await;
    }
    let texts =
        ["before", "0 up", "0 down", "0 still down", "1 up", "1 down", "1 still down"].map(str::to_owned);
    assert_eq!(published_texts(&nats).await, texts);
    desk.stop().await;
}

/// Until every job is done, those that were tried too early again.
async fn settle_with_retries(desk: &Desk) {
    desk.settled().await;
    while !desk.list("jobs").await.is_empty() {
        desk.advance(A_REST);
        desk.settled().await;
    }
}

#[tokio::test]
async fn an_attempt_whose_acknowledgement_never_came_is_repeated_and_is_one_message() {
    let nats = with_stream().await;
    let desk = Desk::start(Backend::Sqlite, &by_type(&nats, "timeout = \"1s\"")).await;
    desk.says(Inbound::text("first")).await;
    desk.settled().await;
    nats.signal("STOP");
    desk.says(Inbound::text("second")).await;
    desk.settled().await;
    let job = desk.list("jobs").await.remove(0);
    assert_eq!(job["last_error"], "the stream did not acknowledge the event within 900ms");
    nats.signal("CONT");
    settle_with_retries(&desk).await;
    assert_eq!(published_texts(&nats).await, ["first", "second"]);
    let job = desk.list("jobs?state=done").await.remove(0);
    // On a busy machine the next one may be late as well.
    assert!(job["attempts"].as_u64() >= Some(2), "{job}");
    desk.stop().await;
}

#[tokio::test]
async fn a_value_that_makes_no_subject_parks_the_job() {
    let nats = with_stream().await;
    let route = route(&nats.url(), "connectly.{{ event.content.text }}", "");
    let desk = Desk::start(Backend::Sqlite, &route).await;
    for text in ["two words", "dots.are.tokens", "a..b", "*"] {
        desk.says(Inbound::text(text)).await;
    }
    desk.settled().await;
    let kept = nats.kept("EVENTS").await;
    let subjects: Vec<&str> = kept.iter().map(|kept| kept.subject.as_str()).collect();
    assert_eq!(subjects, ["connectly.dots.are.tokens"]);
    let reason = |told| format!("the subject that the template made {told}");
    assert_eq!(
        desk.column("jobs?state=parked", "last_error").await,
        [
            reason("has a space or a control character in it"),
            reason("has an empty token (a dot at an end, or two in a row)"),
            reason("has a wildcard in it (* or >)"),
        ]
    );
    desk.stop().await;
}

#[test]
fn what_could_never_be_published_is_refused_before_the_start() {
    let told = |subject: &str, url: &str, more: &str| {
        let config = Config::from_toml(&route(url, subject, more), &Environment::default()).unwrap().config;
        let problems = App::new().check(&config);
        let routes = problems.iter().filter(|problem| problem.key.starts_with("routes."));
        routes.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(told("connectly.{{ event.type }}", "nats://a", "").is_empty());
    assert_eq!(
        told("connectly events", "nats://a", ""),
        ["routes.bus.subject: what it makes of message.received has a space or a control character in it"]
    );
    assert!(
        told("a.{{ event.", "nats://a", "")[0].starts_with("routes.bus.subject: the template does not parse")
    );
    assert_eq!(
        told("a", "https://t0ken@a", ""),
        ["routes.bus.url: found https://***@a, expected nats:// or tls:// and a host"]
    );
    let told = told("a", "nats://a", "credentials_file = \"/nowhere/x.creds\"");
    assert_eq!(
        told,
        ["routes.bus.credentials_file: /nowhere/x.creds: No such file or directory (os error 2)"]
    );
}

/// What `check` says of brokers, as state and detail.
fn checked(route: &str, variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("switchboard.toml");
    std::fs::write(&file, route).unwrap();
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_switchboard"));
    program.args(["check", "--json", "--config"]).arg(&file).env_clear();
    let required = [
        ("SWITCHBOARD_ADMIN_TOKEN", "a-token-of-sixteen-or-more"),
        ("CONNECTLY_BUSINESS_ID", "biz"),
        ("CONNECTLY_API_KEY", "key"),
        ("CONNECTLY_WEBHOOK_SECRET", "secret"),
        ("CONNECTLY_BASE_URL", "http://127.0.0.1:1"),
        ("DATABASE_URL", "sqlite:///nowhere/switchboard.db"),
    ];
    let output = program.envs(required).envs(variables.iter().copied()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = report["checks"].as_array().unwrap().iter().filter(|row| row["check"] == "broker");
    rows.map(|row| (text(&row["state"]), text(&row["detail"]).replacen("routes.bus: ", "", 1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_in_the_way() {
    let mut nats = Nats::guarded();
    let url = |login: &str| format!("nats://{login}@{}", nats.address());
    let (ours, wrong, shown) = (url("ana:hunter2"), url("ana:guess"), url("***"));
    let subject = "connectly.{{ event.type }}";
    let alone = |route: &str| {
        let mut rows = checked(route, &[]);
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    };
    let (state, detail) = alone(&route(&ours, subject, ""));
    assert_eq!(state, "failed");
    assert!(detail.starts_with(&format!("{shown}: the server cannot be reached: ")), "{detail}");
    nats.launch().await;
    let (state, detail) = alone(&route(&wrong, subject, ""));
    assert_eq!((state.as_str(), detail), ("failed", format!("{shown}: the server refuses the credentials")));
    let takes_us = ("ok".to_owned(), format!("{shown} takes us"));
    let no_stream = "no stream takes connectly.message.received: nothing is published until one does";
    assert_eq!(
        checked(&route(&ours, subject, ""), &[]),
        [takes_us.clone(), ("failed".to_owned(), no_stream.to_owned())]
    );
    nats.make_stream("EVENTS", "connectly.>", Duration::from_mins(2)).await;
    let short = "stream EVENTS takes connectly.message.received; its duplicate window (120s) is shorter than retry.max_age \
                 (600s): an event that is retried for longer can be in it twice";
    assert_eq!(
        checked(&route(&ours, subject, ""), &[]),
        [takes_us.clone(), ("warning".to_owned(), short.to_owned())]
    );
    let well = "stream EVENTS takes connectly.*.message.received";
    let by_account = "connectly.{{ event.account }}.{{ event.type }}";
    assert_eq!(
        checked(&route(&ours, by_account, "retry = { max_age = \"2m\" }"), &[]),
        [takes_us, ("ok".to_owned(), well.to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_connection_is_trusted_by_its_authority() {
    let files = certificates::Files::of(&certificates::issue());
    let (certificate, key) = (files.certificate(), files.key());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let mut nats = Nats::absent(&["--tls", "--tlscert", certificate, "--tlskey", key]);
    nats.launch().await;
    let route = route(&format!("tls://{}", nats.address()), "connectly", "");
    let rows = checked(&route, &[("SSL_CERT_FILE", certificate)]);
    assert_eq!(rows[0], ("ok".to_owned(), format!("tls://{} takes us", nats.address())));
    let rows = checked(&route, &[("SSL_CERT_FILE", "/dev/null")]);
    assert_eq!(rows[0].0, "failed", "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_password_nor_subject_is_logged() {
    let mut nats = Nats::guarded();
    nats.launch().await;
    let url = format!("nats://ana:hunter2@{}", nats.address());
    let desk = Desk::start(Backend::Sqlite, "").await;
    let database = crate::support::Database::fresh(Backend::Sqlite).await;
    let route = route(&url, "connectly.{{ event.customer.phone }}", "");
    let server = Server::start(&database.url, &desk.emulator.url(), &route, "info,async_nats=trace");
    desk.emulator.set_webhook_url(server.webhook_url());
    desk.says(Inbound::text("hello").by("+15550100077")).await;
    while !server.log().contains("connected to NATS") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (_, log) = server.stop();
    assert!(log.contains("nats://***@"), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("15550100077"), "{log}");
    desk.stop().await;
}
