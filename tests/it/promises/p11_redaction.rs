//! P11: no secret, message text, phone number or digest reaches a log line, an error body or a panic message.

use std::time::Duration;

use rstest::rstest;
use secrecy::SecretString;
use switchboard::clock::Clock;
use switchboard::emulator::{Emulator, Inbound, SendFault, Settings};
use switchboard::model::id::{EventId, JobId, MessageId};
use switchboard::model::message::{Origin, SendKind};
use switchboard::store::arrival::Arrival;
use switchboard::{Context, Event, Message, Outcome, Reply};

use crate::support::desk::client;
use crate::support::process::{API_KEY, Server, TOKEN};
use crate::support::webhooks::{SECRET, sign};
use crate::support::{Backend, Database};

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

    emulator.inject(
        SendFault::Failed { code: "ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID".into(), error_type: None },
        1,
    );
    for text in [TEXT.to_owned(), format!("{TEXT} broken"), format!("{TEXT} again")] {
        let inbound = Inbound { name: Some(NAME.to_owned()), ..Inbound::text(text).by(PHONE) };
        emulator.inbound(inbound).await.unwrap();
    }
    for body in
        [format!("{{\"{TEXT}"), format!("{{\"message\":{{\"text\":\"{TEXT}\\ud800\"}}}}"), TEXT.to_owned()]
    {
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
    answers +=
        &http.get(format!("{admin}/metrics")).bearer_auth(TOKEN).send().await.unwrap().text().await.unwrap();

    let (stopped, log) = server.stop();
    assert!(stopped);
    assert!(log.lines().count() > 20, "at this filter a lot is logged");
    let digits = PHONE.trim_start_matches('+');
    let digests = [sign(TEXT.as_bytes()), sign(b"another body")];
    let canaries = [TEXT, NAME, digits, SECRET, API_KEY, TOKEN, WRONG, &digests[0], &digests[1]];
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
        callback_data: None,
        campaign: None,
        error: None,
        created_at: now,
        updated_at: now,
    };
    let context = Context {
        job: JobId::new(Clock::system().ulid()),
        attempt: 1,
        route: "echo".into(),
        conversation: None,
        first_contact: true,
        message: Some(message.clone()),
        latest_message: Some(message.clone()),
        state: Some(TEXT.into()),
        now,
    };
    let shown = format!("{arrival:?} {event:?} {outcome:?} {message:?} {context:?}");
    for canary in [TEXT, NAME, PHONE.trim_start_matches('+')] {
        assert!(!shown.contains(canary), "{canary}: {shown}");
    }
}
