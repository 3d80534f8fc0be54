//! The state alone: windows, senders, references and shapes, at times of the test's choosing.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ANA, SHOP, hello, order_update, settings};
use crate::emulator::errors::Refusal;
use crate::emulator::faults::SendFault;
use crate::emulator::inbound::{InboundError, Speech};
use crate::emulator::outbound::Outbound;
use crate::emulator::speech::Heard;
use crate::emulator::world::{Accepted, Arrival, World};
use crate::emulator::{Settings, chat};

const SUPPORT: &str = "+15550100003";
const HOUR: i64 = 3_600;

pub(super) fn world() -> World {
    World::new(&settings())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn try_hear(world: &mut World, inbound: Value, seconds: i64) -> Result<Heard, InboundError> {
    let speech = Speech::read(serde_json::from_value(inbound).unwrap(), SHOP)?;
    world.hear(&speech, at(seconds))
}

pub(super) fn hear(world: &mut World, inbound: Value, seconds: i64) -> Value {
    let heard = try_hear(world, inbound, seconds).ok().unwrap();
    serde_json::from_str(&heard.batch.webhooks[0].body).unwrap()
}

pub(super) fn send(world: &mut World, body: &Value, seconds: i64) -> Result<Accepted, Refusal> {
    send_with(world, body, None, seconds)
}

pub(super) fn send_with(
    world: &mut World,
    body: &Value,
    fault: Option<&SendFault>,
    seconds: i64,
) -> Result<Accepted, Refusal> {
    let arrival = Arrival { body: body.clone(), headers: std::collections::BTreeMap::new() };
    world.accept(Outbound::session(body.to_string().as_bytes())?, arrival, fault, at(seconds))
}

fn from(sender: &str) -> Value {
    let mut body = hello();
    body["sender"] = json!({"id": sender, "channelType": "whatsapp"});
    body
}

#[test]
fn the_window_is_open_for_24_hours_after_each_inbound_message() {
    let mut world = world();
    assert_eq!(send(&mut world, &hello(), 0).err(), Some(Refusal::Window));
    hear(&mut world, json!({"text": "hi"}), 0);
    assert!(send(&mut world, &hello(), 24 * HOUR - 1).is_ok());
    assert_eq!(send(&mut world, &hello(), 24 * HOUR).err(), Some(Refusal::Window));
    hear(&mut world, json!({"text": "still there?"}), 30 * HOUR);
    assert!(send(&mut world, &hello(), 31 * HOUR).is_ok());
}

#[test]
fn a_window_belongs_to_one_number_and_one_customer() {
    let mut world = world();
    hear(&mut world, json!({"text": "hi", "to": SUPPORT}), 0);
    assert!(send(&mut world, &from(SUPPORT), 1).is_ok());
    assert_eq!(send(&mut world, &from(SHOP), 1).err(), Some(Refusal::Window));
    let mut to_another = from(SUPPORT);
    to_another["recipient"]["id"] = json!("+15550100009");
    assert_eq!(send(&mut world, &to_another, 1).err(), Some(Refusal::Window));
}

#[test]
fn without_a_sender_the_number_last_used_with_the_customer_sends() {
    let mut world = world();
    hear(&mut world, json!({"text": "hi"}), 0);
    hear(&mut world, json!({"text": "help", "to": SUPPORT}), 1);
    send(&mut world, &hello(), 2).ok().unwrap();
    assert_eq!(world.messages.back().unwrap().from, SUPPORT);
    send(&mut world, &from(SHOP), 3).ok().unwrap();
    send(&mut world, &hello(), 4).ok().unwrap();
    assert_eq!(world.messages.back().unwrap().from, SHOP);
}

#[test]
fn a_wrong_sender_is_a_number_whose_window_is_closed() {
    let wrong = Some(&SendFault::WrongSender);
    let mut world = world();
    hear(&mut world, json!({"text": "hi"}), 0);
    assert_eq!(send_with(&mut world, &hello(), wrong, 1).err(), Some(Refusal::Window), "a number of its own");
    hear(&mut world, json!({"text": "hi", "to": SUPPORT, "from": "+15550100009"}), 1);
    assert_eq!(send_with(&mut world, &hello(), wrong, 2).err(), Some(Refusal::Window), "another's");
    assert!(send_with(&mut world, &from(SHOP), wrong, 3).is_ok(), "a sender that is named is kept");
    send(&mut world, &hello(), 4).ok().unwrap();
    assert_eq!(world.messages.back().unwrap().from, SHOP);
}

#[test]
fn a_template_leaves_from_the_wrong_sender_and_the_next_from_the_right_one() {
    let mut world = world();
    hear(&mut world, json!({"text": "hi"}), 0);
    let mut send = |fault| {
        let outbound = Outbound::template(order_update().to_string().as_bytes(), false).ok().unwrap();
        let arrival = Arrival { body: order_update(), headers: std::collections::BTreeMap::new() };
        world.accept(outbound, arrival, fault, at(1)).ok().unwrap();
        world.messages.back().unwrap().from.clone()
    };
    assert_ne!(send(Some(&SendFault::WrongSender)), SHOP);
    assert_eq!(send(None), SHOP);
}

#[test]
fn only_the_businesss_numbers_send_and_never_to_each_other() {
    let mut world = world();
    hear(&mut world, json!({"text": "hi", "to": SUPPORT}), 0);
    assert_eq!(send(&mut world, &from("+15550100008"), 1).err(), Some(Refusal::Sender));
    let mut to_self = from(SUPPORT);
    to_self["recipient"]["id"] = json!(SHOP);
    assert_eq!(send(&mut world, &to_self, 1).err(), Some(Refusal::ToSelf));
    let own = try_hear(&mut world, json!({"text": "hi", "from": SHOP, "to": SUPPORT}), 1);
    assert_eq!(own.err(), Some(InboundError::FromBusiness));
}

#[test]
fn live_text_has_an_id_and_its_empty_keys() {
    let mut world = world();
    let webhook = hear(&mut world, json!({"text": "hi", "name": "Ana"}), 0);
    let id = webhook["message"]["id"].clone();
    assert_eq!(id.as_str().map(str::len), Some(26));
    assert_eq!(
        webhook,
        json!({
            "timestamp": "1767225600",
            "sender": {"id": ANA, "channelType": "whatsapp", "name": "Ana"},
            "recipient": {"id": SHOP, "channelType": "whatsapp", "name": "Shop"},
            "message": {"id": id, "text": "hi", "attachments": [], "location": null},
        })
    );
}

#[test]
fn files_pins_and_ads_stand_in_the_message() {
    let mut world = world();
    let file = json!({"type": "image", "url": "https://example.com/a.jpg"});
    let webhook = hear(&mut world, json!({"attachment": file}), 0);
    assert_eq!(webhook["message"]["attachments"], json!([file]));
    assert_eq!(webhook["sender"]["name"], Value::Null);
    let pin = json!({"latitude": 37.5, "longitude": -122.5});
    let webhook = hear(&mut world, json!({"location": pin}), 0);
    assert_eq!(webhook["message"]["location"], pin);
    let webhook = hear(&mut world, json!({"text": "hi", "referral": {"sourceType": "ad"}}), 0);
    assert_eq!(webhook["message"]["referral"]["sourceType"], "ad");
}

#[test]
fn button_replies_come_in_four_shapes() {
    let mut world = world();
    hear(&mut world, json!({"text": "hi"}), 0);
    let uuid = {
        let accepted = send(&mut world, &hello(), 1).ok().unwrap();
        uuid::Uuid::from_u128(accepted.id.0).to_string()
    };
    let mut tap = |shape: &str| {
        let button = json!({"text": "Yes", "payload": "yes", "shape": shape});
        hear(&mut world, json!({"button": button}), 2)
    };
    let flag = tap("flag");
    assert_eq!(flag["message"], json!({"text": "Yes", "isButtonResponse": true}));
    assert_eq!(flag["recipient"], json!({"id": "15550100002", "channelType": "whatsapp"}));
    let context = tap("context");
    assert_eq!(context["context"], json!({"replyToId": uuid}));
    assert_eq!(context["message"], flag["message"]);
    let response = tap("response");
    assert_eq!(response["context"], json!({"replyToId": uuid}));
    assert_eq!(response["buttonResponse"], json!({"text": "Yes", "payload": "yes"}));
    assert_eq!(response.get("message"), None);
    let topic = tap("topic");
    assert_eq!(topic["topic"], "messages");
    assert_eq!(topic["buttonResponse"]["id"].as_str().map(str::len), Some(26));
    assert_eq!(topic.get("context"), None);
}

#[test]
fn a_status_names_its_message_and_its_campaign() {
    let mut world = world();
    hear(&mut world, json!({"text": "hi", "name": "Ana"}), 0);
    let mut body = hello();
    body["campaignName"] = json!("spring");
    let accepted = send(&mut world, &body, 5).ok().unwrap();
    let statuses = accepted.statuses.unwrap().webhooks;
    assert_eq!(statuses.len(), 3);
    assert_eq!(
        serde_json::from_str::<Value>(&statuses[0].body).unwrap(),
        json!({
            "topic": "delivery_status",
            "timestamp": "1767225605",
            "sender": {"id": SHOP, "channelType": "whatsapp", "name": "Shop"},
            "recipient": {"id": ANA, "channelType": "whatsapp", "name": "Ana"},
            "statusUpdate": {
                "id": accepted.id.to_string(), "status": "sent", "error": null,
                "metadata": {"campaignName": "spring"},
            },
        })
    );
}

#[test]
fn each_status_has_its_own_pause() {
    let (status_lag, delivered_lag) = (Duration::from_secs(1), Some(Duration::from_secs(2)));
    let read_lag = Some(Duration::from_mins(1));
    let mut world = World::new(&Settings { status_lag, delivered_lag, read_lag, ..settings() });
    hear(&mut world, json!({"text": "hi"}), 0);
    let webhooks = send(&mut world, &hello(), 10).ok().unwrap().statuses.unwrap().webhooks;
    let pauses: Vec<u64> = webhooks.iter().map(|webhook| webhook.after.as_secs()).collect();
    assert_eq!(pauses, [1, 2, 60]);
    let times: Vec<Timestamp> = world.messages[0].statuses.iter().map(|status| status.at).collect();
    assert_eq!(times, [at(11), at(13), at(73)]);
}

#[test]
fn a_failure_that_comes_later_is_one_status_with_its_error() {
    let mut world = world();
    hear(&mut world, json!({"text": "hi"}), 0);
    for (fault, code) in [
        (SendFault::WindowRefusedLater, "ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW"),
        (SendFault::OptedOutLater, "ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT"),
    ] {
        let accepted = send_with(&mut world, &hello(), Some(&fault), 1);
        let statuses = accepted.ok().unwrap().statuses.unwrap().webhooks;
        assert_eq!(statuses.len(), 1);
        let status: Value = serde_json::from_str(&statuses[0].body).unwrap();
        assert_eq!(status["statusUpdate"]["status"], "delivery_failed");
        assert_eq!(status["statusUpdate"]["error"]["code"], code);
    }
}

#[test]
fn the_chat_reads_like_one_and_cannot_write_to_the_terminal() {
    let mut world = world();
    assert_eq!(chat::render(&world, at(5)), "Nobody has said anything yet.\n");
    hear(&mut world, json!({"text": "hi\u{1b}[2J\nthere", "name": "Ana"}), 0);
    send(&mut world, &hello(), 5).ok().unwrap();
    assert_eq!(
        chat::render(&world, at(5)),
        "Ana (+15550100001) with Shop (+15550100002)\n\
         \x20 2026-01-01 00:00:00  Ana: hi[2J there\n\
         \x20 2026-01-01 00:00:05  Shop: Hello  (sent, delivered, read)\n\n"
    );
}

#[test]
fn the_chat_shows_no_status_that_is_still_to_come() {
    let (status_lag, read_lag) = (Duration::from_secs(1), Some(Duration::from_hours(1)));
    let mut world = World::new(&Settings { status_lag, read_lag, ..settings() });
    hear(&mut world, json!({"text": "hi"}), 0);
    send(&mut world, &hello(), 10).ok().unwrap();
    let line = |seconds| chat::render(&world, at(seconds)).trim_end().to_owned();
    for (seconds, expected) in
        [(10, "Hello"), (11, "Hello  (sent)"), (12, "Hello  (sent, delivered)"), (3_612, "read)")]
    {
        assert!(line(seconds).ends_with(expected), "{}", line(seconds));
    }
}
