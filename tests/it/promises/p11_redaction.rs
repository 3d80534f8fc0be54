//! P11: no secret, message text, phone number or digest reaches a log line, an error body or a panic message.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use secrecy::SecretString;
use switchboard::clock::Clock;
use switchboard::config::{Config, Environment, LogConfig};
use switchboard::connectly::text::bounded;
use switchboard::emulator::{Emulator, Inbound, SendFault, Settings};
use switchboard::model::id::{ConversationId, EventId, JobId, MessageId};
use switchboard::model::job::Lease;
use switchboard::model::json::JsonText;
use switchboard::model::message::{Origin, SendKind};
use switchboard::store::arrival::Arrival;
use switchboard::store::query::{EventFilter, MessageFilter, StoredBody};
use switchboard::store::work::{Delivery, Sending, Settled};
use switchboard::telemetry::{logging, panics};
use switchboard::{App, Context, Event, Handler, HandlerError, HandlerResult, Message, Outcome, Reply};

use crate::support::desk::client;
use crate::support::process::{API_KEY, Server, TOKEN};
use crate::support::webhooks::{SECRET, sign};
use crate::support::{Backend, Database, Desk};

const TEXT: &str = "canary-of-a-text";
const NAME: &str = "canary-of-a-name";
const PHONE: &str = "+15559876543";
const WRONG: &str = "canary-of-a-wrong-token";

const CONFIG: &str = r#"
[[routes]]
name = "echo"
on = ["*"]
handler = "rules"
  [[routes.rules]]
  match = { keyword = ["broken"] }
  reply = { text = "{{ event.content.text * 5 }}" }
  [[routes.rules]]
  match = { any = true }
  reply = { text = "{{ event.content.text }}" }

[[routes]]
name = "failing"
on = ["message.received"]
when = "event.content.text / 2 > 1"
handler = "rules"
  [[routes.rules]]
  match = { any = true }
  effects = ["opt_in"]
"#;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p11_nothing_private_is_logged_or_answered(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let database = Database::fresh(backend).await;
    let mut settings = Settings::new("biz", SecretString::from(API_KEY), SecretString::from(SECRET));
    settings.listen.set_port(0);
    settings.status_lag = Duration::ZERO;
    let emulator = Emulator::start(settings, Clock::system()).await.unwrap();
    let server = Server::start(&database.url, &emulator.url(), CONFIG, "trace");
    emulator.set_webhook_url(server.webhook_url());
    let http = client();
    let mut answers = String::new();
    let digits = PHONE.trim_start_matches('+');

    emulator.inject(
        SendFault::Failed { code: "ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID".into(), error_type: None },
        1,
    );
    for text in [TEXT.to_owned(), format!("{TEXT} broken"), format!("{TEXT} again")] {
        let inbound = Inbound { name: Some(NAME.to_owned()), ..Inbound::text(text).by(PHONE) };
        emulator.inbound(inbound).await.unwrap();
    }
    let long = TEXT.repeat(64);
    for body in [
        format!("{{\"{TEXT}"),
        format!("{{\"message\":{{\"text\":\"{TEXT}\\ud800\"}}}}"),
        TEXT.to_owned(),
        long.clone(),
    ] {
        for signature in [sign(body.as_bytes()), sign(b"another body"), TEXT.to_owned()] {
            let request = http.post(server.webhook_url()).header("x-connectly-hmac-sha256", signature);
            answers += &request.body(body.clone()).send().await.unwrap().text().await.unwrap();
        }
    }
    let admin = format!("http://{}", server.admin);
    for path in ["/api/v1/events", "/api/v1/events/x", "/metrics", "/api/v1/nothing"] {
        answers += &http
            .get(format!("{admin}{path}"))
            .bearer_auth(WRONG)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
    }
    for query in [format!("?customer={PHONE}&no=1"), format!("?cursor={TEXT}"), format!("?since={TEXT}")] {
        let request = http.get(format!("{admin}/api/v1/events{query}")).bearer_auth(TOKEN);
        answers += &request.send().await.unwrap().text().await.unwrap();
    }
    for path in ["events", "messages", "jobs", "nothing"] {
        for id in [TEXT, PHONE] {
            let request = http.get(format!("{admin}/api/v1/{path}/{id}")).bearer_auth(TOKEN);
            answers += &request.send().await.unwrap().text().await.unwrap();
        }
    }
    let resolve = (Method::POST, "/api/v1/messages/01K00000000000000000000001/resolve");
    for (method, path) in [resolve, (Method::PUT, "/api/v1/pauses")] {
        for body in [
            TEXT.to_owned(),
            format!("{{\"sent\":\"{TEXT}\",\"sends\":\"{PHONE}\"}}"),
            format!("{{\"sent\":true,\"sends\":true,\"routes\":[\"{PHONE}\"],\"{digits}\":true}}"),
            format!("{{\"sends\":true,\"routes\":\"{TEXT}\"}}"),
        ] {
            let request =
                http.request(method.clone(), format!("{admin}{path}")).bearer_auth(TOKEN).body(body);
            answers += &request.send().await.unwrap().text().await.unwrap();
        }
    }
    answers +=
        &http.get(format!("{admin}/metrics")).bearer_auth(TOKEN).send().await.unwrap().text().await.unwrap();

    let (stopped, log) = server.stop();
    assert!(stopped);
    assert!(log.lines().count() > 20, "at this filter a lot is logged");
    let digests = [sign(TEXT.as_bytes()), sign(b"another body")];
    // What is too long to keep as it is becomes its digest, in hexadecimal.
    let hash = bounded(&long).replace("sha256:", "");
    let canaries = [TEXT, NAME, digits, SECRET, API_KEY, TOKEN, WRONG, &digests[0], &digests[1], &hash];
    for canary in canaries {
        let logged = log.lines().find(|line| line.contains(canary));
        assert!(logged.is_none(), "{canary} was logged: {logged:?}");
        assert!(!answers.contains(canary), "{canary} was answered");
    }
    emulator.stop().await;
}

/// Handlers log what they are given: `Debug` output of it names ids, and nothing of what was said or by whom.
#[test]
fn p11_debug_output_shows_nothing_private() {
    let body = format!(
        r#"{{"sender":{{"id":"{PHONE}","name":"{NAME}"}},"recipient":{{"id":"{PHONE}"}},"callbackData":"{TEXT}",
            "message":{{"id":"01K00000000000000000000001","text":"{TEXT}"}}}}"#
    );
    let (id, now) = (EventId::new(Clock::system().ulid()), Clock::system().now());
    let arrival = Arrival::read(id, "default".into(), now, body.into());
    let event = Event::arriving(id, "default", now, &arrival.decoded);
    let reply = Reply::text(TEXT).with_callback_data(&TEXT.into()).from_number(PHONE);
    let outcome = Outcome::from(reply).state(serde_json::json!({ "said": TEXT }));
    let message = Message {
        id: MessageId::new(Clock::system().ulid()),
        provider_message_id: None,
        account: "default".into(),
        conversation_id: None,
        origin: Origin::Reply,
        kind: SendKind::Session,
        from: Some(PHONE.into()),
        to: Some(PHONE.into()),
        state: "queued".into(),
        content: Some(serde_json::json!({ "text": TEXT })),
        fallback: Some(serde_json::json!({ "template": TEXT, "language": "en" })),
        callback_data: None,
        campaign: None,
        error: None,
        created_at: now,
        updated_at: now,
    };
    let context = Context {
        first_contact: true,
        message: Some(message.clone()),
        latest_message: Some(message.clone()),
        state: Some(TEXT.into()),
        ..Context::new(JobId::new(Clock::system().ulid()), 1, "echo".into(), now)
    };
    let lease = Lease { job: context.job, token: Clock::system().ulid() };
    let sending = Sending {
        lease,
        attempt: 1,
        message: message.id,
        account: "default".into(),
        conversation: ConversationId::new(Clock::system().ulid()),
        origin: Origin::Reply,
        from: PHONE.into(),
        to_phone: Some(PHONE.into()),
        to_user_id: Some(PHONE.into()),
        content: serde_json::json!({ "text": TEXT }),
        fallback: Some(TEXT.into()),
        callback_data: JsonText::parse(format!("\"{TEXT}\"")),
        campaign: None,
        order: None,
    };
    let delivery = Delivery { lease, event: event.clone(), context: context.clone(), first_attempt_at: now };
    let settled = Settled::Done(outcome.clone());
    let events = EventFilter { customer: Some(PHONE.into()), ..EventFilter::default() };
    let messages = MessageFilter { customer: Some(PHONE.into()), ..MessageFilter::default() };
    let stored = StoredBody::Kept(TEXT.into());
    let shown = format!("{arrival:?} {event:?} {outcome:?} {message:?} {context:?} {sending:?} {delivery:?}")
        + &format!("{settled:?} {events:?} {messages:?} {stored:?} {:?}", configuration());
    for canary in [TEXT, NAME, PHONE.trim_start_matches('+'), SECRET, API_KEY, TOKEN] {
        assert!(!shown.contains(canary), "{canary}: {shown}");
    }
}

/// A configuration with every secret there is.
fn configuration() -> Config {
    let variables = [
        ("DATABASE_URL", format!("postgres://user:{SECRET}@localhost/switchboard")),
        ("SWITCHBOARD_ADMIN_TOKEN", TOKEN.to_owned()),
        ("CONNECTLY_BUSINESS_ID", "biz".to_owned()),
        ("CONNECTLY_API_KEY", API_KEY.to_owned()),
        ("CONNECTLY_WEBHOOK_SECRET", SECRET.to_owned()),
    ];
    Config::from_toml("", &variables.into_iter().collect::<Environment>()).unwrap().config
}

/// Fails with the customer's text.
struct Failing;

impl Handler for Failing {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        let text = event.content().and_then(|content| content.text.clone());
        Err(HandlerError::retry(text.unwrap_or_default()))
    }
}

/// Panics with the customer's text.
struct Panicking;

impl Handler for Panicking {
    async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
        panic!("{:?}", event.content().and_then(|content| content.text.as_deref()))
    }
}

/// In a process of its own, since the hook and the log are the whole process's: this very test, told to panic.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how the two processes tell each other apart")]
async fn p11_a_panic_tells_its_place_alone() {
    const PANICS: &str = "SWITCHBOARD_TEST_PANICS";
    if std::env::var_os(PANICS).is_some() {
        logging::init_logging(&LogConfig { filter: "trace".to_owned(), ..LogConfig::default() }).unwrap();
        panics::install_hook();
        let app = App::new().handler("panicking", Panicking).handler("failing", Failing);
        let routes = ["panicking", "failing"].map(|name| {
            format!("[[routes]]\nname = \"{name}\"\non = [\"message.received\"]\nhandler = \"{name}\"\n")
        });
        let desk = Desk::with(Backend::Sqlite, app, &routes.concat()).await;
        desk.says(Inbound::text(TEXT)).await;
        desk.settled().await;
        println!("{:?}", desk.list("jobs?route=panicking").await);
        return desk.stop().await;
    }
    let name = "promises::p11_redaction::p11_a_panic_tells_its_place_alone";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let told = child.args(["--exact", name, "--nocapture"]).env(PANICS, "yes").output().unwrap();
    let told = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    for part in ["something panicked", "p11_redaction.rs", "the handler panicked"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains(TEXT), "{told}");
}
