//! What a reply says of the message that it answers.

use serde_json::{Value, json};

use super::world::{hear, send, world};
use super::{ANA, hello};
use crate::emulator::world::World;

/// A world in which the shop sent something with callbackData, and that message's id.
fn asked() -> (World, String) {
    let mut world = world();
    hear(&mut world, json!({"text": "hi"}), 0);
    let mut body = hello();
    body["callbackData"] = json!({"order_id": "12345"});
    let id = send(&mut world, &body, 1).ok().unwrap().id;
    (world, uuid::Uuid::from_u128(id.0).to_string())
}

fn reply_to(webhook: &Value) -> Option<&str> {
    webhook.pointer("/context/replyToId")?.as_str()
}

#[test]
fn callback_data_comes_back_on_every_reply_that_refers_to_the_message() {
    let (mut world, id) = asked();
    let button = |shape: &str| json!({"button": {"text": "Yes", "shape": shape}});
    let list = |shape: &str| json!({"list": {"text": "Large", "shape": shape}});
    for inbound in [
        json!({"text": "this one", "reply_to": id}),
        json!({"attachment": {"type": "image", "url": "https://example.com/a.jpg"}, "reply_to": id}),
        button("flag"),
        button("context"),
        button("response"),
        button("topic"),
        list("button"),
        list("list"),
        list("text"),
        json!({"reaction": "👍"}),
    ] {
        let webhook = hear(&mut world, inbound.clone(), 2);
        assert_eq!(webhook["callbackData"], json!({"order_id": "12345"}), "{inbound}");
    }
}

#[test]
fn callback_data_does_not_come_back_on_what_refers_to_nothing() {
    let (mut world, _) = asked();
    let image = json!({"type": "image", "url": "https://example.com/a.jpg"});
    let unknown = "01900000-0000-7000-8000-000000000001";
    for inbound in [
        json!({"text": "anything"}),
        json!({"attachment": image}),
        json!({"location": {"latitude": 1.0, "longitude": 2.0}}),
        json!({"text": "?", "reply_to": unknown}),
        json!({"button": {"text": "Yes"}, "reply_to": unknown}),
        json!({"reaction": "👍", "from": "+15550100009"}),
    ] {
        let webhook = hear(&mut world, inbound.clone(), 2);
        assert_eq!(webhook.get("callbackData"), None, "{inbound}");
        assert_eq!(reply_to(&webhook), inbound["reply_to"].as_str(), "{inbound}");
    }
}

#[test]
fn callback_data_stands_on_all_four_statuses() {
    let (mut world, _) = asked();
    let mut body = hello();
    body["callbackData"] = Value::Null;
    let failed = crate::emulator::SendFault::WindowRefusedLater;
    let mut seen = Vec::new();
    for fault in [None, Some(&failed)] {
        let statuses = super::world::send_with(&mut world, &body, fault, 3).ok().unwrap().statuses.unwrap();
        for webhook in statuses.webhooks {
            let status: Value = serde_json::from_str(&webhook.body).unwrap();
            assert_eq!(status.get("callbackData"), Some(&Value::Null));
            seen.push(status["statusUpdate"]["status"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen, ["sent", "delivered", "read", "delivery_failed"]);
}

#[test]
fn the_pick_of_a_row_comes_in_three_shapes() {
    let (mut world, id) = asked();
    let mut pick = |shape: &str| {
        hear(&mut world, json!({"list": {"text": "Large", "payload": "size-l", "shape": shape}}), 2)
    };
    for (shape, key) in [("button", "buttonResponse"), ("list", "listResponse")] {
        let webhook = pick(shape);
        assert_eq!(reply_to(&webhook), Some(id.as_str()));
        assert_eq!((&webhook[key]["text"], &webhook[key]["payload"]), (&json!("Large"), &json!("size-l")));
        assert_eq!(webhook[key]["id"].as_str().map(str::len), Some(26));
        assert_eq!(webhook.get("message"), None);
    }
    let text = pick("text");
    assert_eq!((reply_to(&text), &text["message"]["text"]), (Some(id.as_str()), &json!("Large")));
}

#[test]
fn a_reaction_names_its_message() {
    let (mut world, id) = asked();
    let webhook = hear(&mut world, json!({"reaction": "👍"}), 2);
    assert_eq!(reply_to(&webhook), Some(id.as_str()));
    assert_eq!(webhook["message"]["reaction"], json!({"emoji": "👍"}));
    assert_eq!(webhook["message"]["text"], "");
}

#[test]
fn a_bsuid_comes_with_what_the_customer_shows_of_a_number() {
    let (mut world, _) = asked();
    let phoneless = hear(&mut world, json!({"text": "hi", "user_id": "US.1349", "name": "Eva"}), 2);
    let expected = json!({"id": "US.1349", "channelType": "whatsapp", "name": "Eva", "userId": "US.1349", "phoneNumber": ""});
    assert_eq!(phoneless["sender"], expected);
    hear(&mut world, json!({"text": "hi", "user_id": "US.1350", "from": ANA}), 3);
    // Who has one keeps it, in what the customer sends and in what becomes of messages to them.
    let webhook = hear(&mut world, json!({"text": "again"}), 4);
    let statuses = send(&mut world, &hello(), 5).ok().unwrap().statuses.unwrap();
    let status: Value = serde_json::from_str(&statuses.webhooks[0].body).unwrap();
    for party in [&webhook["sender"], &status["recipient"]] {
        assert_eq!((&party["id"], &party["phoneNumber"]), (&json!(ANA), &json!(ANA)));
        assert_eq!(party["userId"], "US.1350");
    }
}
