//! What is posted of a message that the business sent, to whoever registered with `echo`.
//!
//! Connectly shows no such body: this is the envelope of an inbound message with the business as sender and
//! `message.isEcho`, which both its pages on registering and on messages suggest.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use ulid::Ulid;

use super::message::SentMessage;
use super::status::to_json;
use super::time::unix_seconds;
use super::webhooks::Courier;
use super::wire::Party;
use super::world::{Batch, Due, World};

/// The body of an echo.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EchoWebhook<'a> {
    timestamp: String,
    sender: Party,
    recipient: Party,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_data: Option<&'a RawValue>,
    message: Map<String, Value>,
}

/// Queues the echo of an accepted message, when anybody wants it.
pub(super) fn post(courier: &Courier, world: &World, id: Ulid) {
    if !courier.registrations(|registrations| registrations.want_echo()) {
        return;
    }
    if let Some(message) = world.message(id) {
        let webhook = Due { after: Duration::ZERO, body: body(message, world) };
        courier.enqueue(Batch { customer: message.to.clone(), webhooks: vec![webhook], copies: 1 });
    }
}

fn body(message: &SentMessage, world: &World) -> String {
    to_json(&EchoWebhook {
        timestamp: unix_seconds(message.at),
        sender: Party::named(&message.from, Some(&world.business.name)),
        recipient: world.party(&message.to),
        callback_data: message.callback_data.as_deref(),
        message: content(message, world),
    })
}

/// The message as it was sent, with the keys of live traffic. A template is echoed by the words that the chat has of it.
fn content(message: &SentMessage, world: &World) -> Map<String, Value> {
    let sent = message.body.get("message").and_then(Value::as_object);
    let words = || {
        let line = world.lines.iter().rev().find(|line| line.message == Some(message.ulid));
        line.map(|line| line.words.clone()).unwrap_or_default()
    };
    let mut content = sent.cloned().unwrap_or_else(|| Map::from_iter([("text".to_owned(), words().into())]));
    for (key, value) in [("text", json!("")), ("attachments", json!([])), ("location", Value::Null)] {
        content.entry(key).or_insert(value);
    }
    content.insert("id".to_owned(), message.id.clone().into());
    content.insert("isEcho".to_owned(), true.into());
    content
}
