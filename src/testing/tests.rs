//! What the service would drop or not say, no test is told.

use std::time::Duration;

use serde_json::json;

use super::{Chat, Status};
use crate::connectly::event::decode;
use crate::handler::Handler;
use crate::model::context::Context;
use crate::model::event::{Event, EventKind};
use crate::model::outcome::{Effect, HandlerResult, Outcome, Reply};

/// Answers everything with whether it is the first contact, its own traces included.
struct Everything;

impl Handler for Everything {
    async fn handle(&self, _event: &Event, context: &Context) -> HandlerResult {
        Ok(Outcome::from(Reply::text(context.first_contact.to_string())).effect(Effect::OptIn))
    }
}

/// Answers inbounds, and statuses once a day with the state of the message they are about.
struct Watchful;

impl Handler for Watchful {
    async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        if matches!(event.kind, EventKind::MessageReceived(_)) {
            return Ok(Reply::text("hello").into());
        }
        let state = context.message.as_ref().map_or("of another", |message| &message.state);
        Ok(Outcome::from(Reply::text(state)).once_per("status", Duration::from_hours(24)))
    }
}

fn foreign_status() -> serde_json::Value {
    json!({
        "sender": { "id": "+15550100001" }, "recipient": { "id": "+15550100002" },
        "statusUpdate": { "id": "01K00000000000000000000001", "status": "read" },
    })
}

#[tokio::test]
async fn a_reply_to_an_echo_or_to_a_status_of_a_reply_is_dropped_and_its_effects_count() {
    let mut chat = Chat::with(Everything);
    chat.says("hi").await;
    let turn = chat.person_answers("This is Eva").await;
    assert!(turn.is_silent());
    assert_eq!(turn.outcome().effects, [Effect::OptIn]);
    assert_eq!(turn.outcome().note.as_deref(), Some("an echo is not answered"));
    for status in Status::ALL {
        let turn = chat.reply_becomes(status).await;
        assert!(turn.is_silent(), "{status}");
        assert_eq!(turn.outcome().note.as_deref(), Some("a status of a reply is not answered"));
    }
}

#[tokio::test]
async fn a_status_of_a_message_that_somebody_else_sent_is_answered() {
    let mut chat = Chat::with(Watchful);
    chat.says("hi").await;
    assert!(chat.reply_becomes(Status::Failed).await.is_silent());
    assert_eq!(chat.receives(&foreign_status()).await.text(), "of another", "what was dropped was not given");
    assert!(chat.receives(&foreign_status()).await.is_silent(), "once a day");
}

#[tokio::test]
async fn only_an_inbound_is_the_first_contact() {
    let mut chat = Chat::with(Everything);
    assert_eq!(chat.receives(&foreign_status()).await.text(), "false");
    assert_eq!(chat.says("hi").await.text(), "true");
    assert_eq!(chat.receives(&foreign_status()).await.text(), "false");
    assert_eq!(chat.says("hi").await.text(), "false");
}

#[tokio::test]
async fn a_status_is_told_with_the_reply_that_it_is_about() {
    /// Keeps the state of the message that an event refers to.
    struct Keeper;
    impl Handler for Keeper {
        async fn handle(&self, _event: &Event, context: &Context) -> HandlerResult {
            let state = context.message.as_ref().map(|message| &message.state);
            Ok(Outcome::from(Reply::text("hello")).state(json!(state)))
        }
    }
    let mut chat = Chat::with(Keeper);
    chat.says("hi").await;
    assert_eq!(chat.state(), Some(&json!(null)));
    chat.reply_becomes(Status::Delivered).await;
    assert_eq!(chat.state(), Some(&json!("delivered")));
}

#[tokio::test]
#[should_panic(expected = "nothing was replied yet")]
async fn nothing_becomes_of_a_reply_that_was_not_given() {
    Chat::with(Everything).reply_becomes(Status::Read).await;
}

#[test]
fn the_kits_bodies_are_understood() {
    let body = super::bodies::status(jiff::Timestamp::UNIX_EPOCH, "1", Status::Failed).to_string();
    assert!(matches!(decode(body.as_bytes()).kind, crate::connectly::event::Kind::Status(_)));
}
