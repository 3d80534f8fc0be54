//! P8: no free-form message is sent when the 24-hour window is closed: it becomes the fallback template if one was given.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use switchboard::emulator::{Inbound, SendFault, WebhookFault};

use crate::support::desk::ECHO;
use crate::support::webhooks::{CUSTOMER, inbound};
use crate::support::{Backend, Desk};

#[rstest]
#[case::a_minute_before_the_margin(Duration::from_mins(24 * 60 - 2), "read", 1)]
#[case::within_the_margin(Duration::from_secs(24 * 60 * 60 - 30), "expired", 0)]
#[case::a_day_later(Duration::from_hours(25), "expired", 0)]
#[tokio::test]
async fn p8_what_is_late_expires(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] wait: Duration,
    #[case] state: &str,
    #[case] sends: usize,
) {
    let desk = Desk::start(backend, ECHO).await;
    // Between queueing and sending the clock steps towards, or across, the edge.
    desk.emulator.inject(SendFault::RateLimited { retry_after_seconds: Some(30) }, 1);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["queued"]);
    desk.advance(wait);
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, [state]);
    assert_eq!(desk.sent().len(), sends);
    desk.stop().await;
}

#[rstest]
#[case::at_once(SendFault::WindowRefused)]
#[case::later_as_a_failed_status(SendFault::WindowRefusedLater)]
#[tokio::test]
async fn p8_connectlys_refusal_expires_the_message_and_is_not_retried(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] refusal: SendFault,
) {
    let desk = Desk::start(backend, ECHO).await;
    desk.emulator.inject(refusal, 1);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    desk.advance(Duration::from_hours(1));
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["expired"]);
    assert!(desk.list("jobs").await.is_empty(), "nothing is left to do");
    // The next inbound opens the window again.
    desk.says(Inbound::text("still there?")).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["expired", "read"]);
    desk.stop().await;
}

/// The route that echoes every text, with a template for those that are late.
const ECHO_WITH_FALLBACK: &str = r#"
[[routes]]
name = "echo"
on = ["message.received"]
handler = "rules"
  [[routes.rules]]
  match = { any = true }
  reply = { text = "You said: {{ event.content.text }}" }
  fallback = { template = "reopen", language = "en" }
"#;

/// Where a message comes from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    Reply,
    Api,
}

/// A free-form message with a fallback is queued while the window is open; answers its id.
async fn queue_with_fallback(desk: &Desk, from: Origin) -> String {
    let fallback = json!({ "template": "reopen", "language": "en" });
    let body = json!({ "to": CUSTOMER, "message": { "text": "You said: hi" }, "fallback": fallback });
    match from {
        Origin::Reply => {
            desk.says(Inbound::text("hi")).await;
            desk.settled().await;
            desk.column("messages", "id").await.remove(0)
        }
        Origin::Api => desk.submit(&body).await["id"].as_str().unwrap().to_owned(),
    }
}

async fn desk_with_fallback(backend: Backend, from: Origin) -> Desk {
    match from {
        Origin::Reply => Desk::start(backend, ECHO_WITH_FALLBACK).await,
        Origin::Api => {
            let desk = Desk::start(backend, "").await;
            desk.says(Inbound::text("hi")).await;
            desk.settled().await;
            desk
        }
    }
}

/// The states of a message's timeline, those of the template in brackets.
fn steps(message: &Value) -> Vec<String> {
    let step = |entry: &Value| {
        let state = entry["state"].as_str().unwrap();
        if entry["send"] == 2 { format!("[{state}]") } else { state.to_owned() }
    };
    message["timeline"].as_array().unwrap().iter().map(step).collect()
}

#[rstest]
#[tokio::test]
async fn p8_what_is_late_becomes_its_template(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(Origin::Reply, Origin::Api)] from: Origin,
) {
    let desk = desk_with_fallback(backend, from).await;
    desk.emulator.inject(SendFault::RateLimited { retry_after_seconds: Some(30) }, 1);
    let id = queue_with_fallback(&desk, from).await;
    desk.settled().await;
    assert_eq!(desk.message(&id).await["state"], "queued");
    // Between queueing and sending the clock steps across the window's edge.
    desk.advance(Duration::from_hours(24));
    desk.settled().await;
    let message = desk.message(&id).await;
    assert_eq!(steps(&message), ["queued", "[accepted]", "[sent]", "[delivered]", "[read]"]);
    assert_eq!((&message["state"], &message["kind"]), (&"read".into(), &"template".into()));
    assert_eq!(
        (&message["content"]["text"], &message["fallback"]["template"]),
        (&"You said: hi".into(), &"reopen".into())
    );
    assert_eq!(desk.sent_texts(), ["[reopen]"]);
    assert_eq!(desk.list("messages").await.len(), 1, "it is one message");
    desk.stop().await;
}

#[rstest]
#[case::at_once(SendFault::WindowRefused, &["[reopen]"])]
#[case::later_as_a_failed_status(SendFault::WindowRefusedLater, &["You said: hi", "[reopen]"])]
#[tokio::test]
async fn p8_connectlys_refusal_brings_exactly_one_template(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(Origin::Reply, Origin::Api)] from: Origin,
    #[case] refusal: SendFault,
    #[case] sent: &[&str],
) {
    let desk = desk_with_fallback(backend, from).await;
    desk.emulator.inject(refusal, 1);
    // The refusal comes three times when it is a status, and so do those of the template.
    desk.emulator.inject(WebhookFault::Duplicate { times: 3 }, 2);
    let id = queue_with_fallback(&desk, from).await;
    for wait in [Duration::ZERO, Duration::from_mins(10), Duration::from_hours(30)] {
        desk.advance(wait);
        desk.settled().await;
        assert_eq!(desk.sent_texts(), sent, "after {wait:?}");
    }
    let message = desk.message(&id).await;
    assert_eq!(message["state"], "read");
    assert!(steps(&message).ends_with(&["[accepted]", "[sent]", "[delivered]", "[read]"].map(str::to_owned)));
    assert!(desk.list("jobs").await.is_empty(), "nothing is left to do");
    desk.stop().await;
}

const UNKNOWN_TEMPLATE: &str = "ERROR_CODE_MESSAGE_TEMPLATE_NOT_FOUND";

/// What becomes of the template is what becomes of the message: there is no third send, whatever Connectly says.
#[rstest]
#[case::refused(SendFault::Refused { code: UNKNOWN_TEMPLATE.into(), error_type: None }, 1)]
#[case::failed_later(SendFault::Failed { code: UNKNOWN_TEMPLATE.into(), error_type: None }, 2)]
#[case::refused_for_the_window(SendFault::WindowRefused, 1)]
#[case::failed_later_for_the_window(SendFault::WindowRefusedLater, 2)]
#[tokio::test]
async fn p8_a_template_that_does_not_get_through_either_ends_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] fault: SendFault,
    #[case] sent: usize,
) {
    let desk = Desk::start(backend, ECHO_WITH_FALLBACK).await;
    desk.emulator.inject(SendFault::WindowRefusedLater, 1);
    desk.emulator.inject(fault, 3);
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    desk.advance(Duration::from_hours(1));
    desk.settled().await;
    let message = desk.message(&desk.column("messages", "id").await[0]).await;
    assert_eq!(message["state"], "failed", "a template needs no window, so it never expires");
    assert_eq!(steps(&message).last().unwrap(), "[failed]");
    assert_eq!(desk.sent().len(), sent);
    desk.stop().await;
}

/// Connectly's clock is two minutes ahead: its window closes while ours is open, by a minute that the margin does not cover.
#[rstest]
#[tokio::test]
async fn p8_connectlys_own_clock_has_the_last_word(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = desk_with_fallback(backend, Origin::Api).await;
    desk.emulator.advance(Duration::from_mins(2));
    desk.advance(Duration::from_mins(24 * 60 - 2));
    let plain = desk.submit(&json!({ "to": CUSTOMER, "message": { "text": "hi" } })).await;
    desk.settled().await;
    assert_eq!(desk.message(plain["id"].as_str().unwrap()).await["state"], "expired");
    let id = queue_with_fallback(&desk, Origin::Api).await;
    desk.settled().await;
    // The window is known to be closed now: the second one does not try.
    assert_eq!(steps(&desk.message(&id).await), ["queued", "[accepted]", "[sent]", "[delivered]", "[read]"]);
    assert_eq!(desk.sent_texts(), ["[reopen]"]);
    desk.stop().await;
}

/// When the window of the only conversation closes.
async fn closes_at(desk: &Desk) -> Timestamp {
    let conversations = desk.list("conversations").await;
    conversations[0]["window"]["closes_at"].as_str().unwrap().parse().unwrap()
}

#[rstest]
#[tokio::test]
async fn p8_the_time_that_an_inbound_gives_counts_unless_it_is_in_the_future(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let day = SignedDuration::from_hours(24);
    let begin = desk.clock.now();
    let written = async |id: &str, hours: i64| {
        let at = begin + SignedDuration::from_hours(hours);
        assert_eq!(desk.post(inbound(CUSTOMER, id, at, "hi")).await.status(), 200);
        desk.settled().await;
        at
    };
    let late = written("id-1", -23).await;
    assert_eq!(closes_at(&desk).await.as_second(), (late + day).as_second(), "it was an hour in coming");
    let later = written("id-2", -5).await;
    written("id-3", -10).await;
    assert_eq!(closes_at(&desk).await.as_second(), (later + day).as_second(), "it takes nothing back");
    written("id-4", 1_000).await;
    let received = closes_at(&desk).await - day;
    assert!(
        begin <= received && received <= desk.clock.now(),
        "it counts from when it was received: {received}"
    );
    desk.advance(Duration::from_hours(24));
    desk.submit(&json!({ "to": CUSTOMER, "message": { "text": "hi" } })).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, ["expired"]);
    desk.stop().await;
}

/// An answer to a customer who wrote long ago: the delivery was late, and the window is over.
#[rstest]
#[tokio::test]
async fn p8_a_late_delivery_is_not_answered_freely(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, ECHO_WITH_FALLBACK).await;
    let yesterday = desk.clock.now() - SignedDuration::from_hours(25);
    assert_eq!(desk.post(inbound(CUSTOMER, "id-1", yesterday, "hi")).await.status(), 200);
    desk.settled().await;
    assert_eq!(desk.sent_texts(), ["[reopen]"]);
    desk.stop().await;
}

#[rstest]
#[case::before_the_margin(49, "read")]
#[case::within_the_margin(51, "expired")]
#[tokio::test]
async fn p8_the_margin_is_what_the_configuration_says(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] minutes: u64,
    #[case] state: &str,
) {
    let desk = Desk::start(backend, "[sending]\nwindow_margin = \"10m\"\n").await;
    desk.says(Inbound::text("hi")).await;
    desk.advance(Duration::from_mins(23 * 60 + minutes));
    let open = desk.list("conversations").await[0]["window"]["open"].clone();
    desk.submit(&json!({ "to": CUSTOMER, "message": { "text": "hi" } })).await;
    desk.settled().await;
    assert_eq!(desk.column("messages", "state").await, [state]);
    assert_eq!(open, state == "read", "the API says what a send would do");
    desk.stop().await;
}
