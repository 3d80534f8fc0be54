//! Reading, writing and building messages.

mod rules;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Each kind as Connectly's page writes it, or as it is sent where the page leaves something out.
fn documented() -> Vec<Value> {
    let list = json!({"header": {"text": "How can we help?"}, "footer": {"text": "Choose below."},
        "button": {"text": "Select"}, "sections": [
            {"title": "Support", "rows": [
                {"id": "1", "text": "Track my order", "description": "Get your order status"},
                {"id": "2", "text": "Returns & refunds", "description": "Start a return"}]},
            {"title": "Sales", "rows": [{"id": "3", "text": "Talk to sales"}]}]});
    vec![
        json!({"text": "Hello, how can we help you today?"}),
        json!({"id": "01FPW47QF69Y5JZH24605VAKQB", "text": "hi"}),
        json!({"attachments": [{"type": "image", "url": "https://example.com/image.jpg", "caption": "Look"}]}),
        json!({"attachments": [{"type": "audio", "url": "https://example.com/audio.mp3"}]}),
        json!({"attachments": [{"type": "document", "url": "https://example.com/i.pdf", "caption": "Invoice",
            "filename": "invoice.pdf"}]}),
        json!({"location": {"latitude": 37.7749, "longitude": -122.4194, "name": "HQ", "address": "Main St"}}),
        json!({"listMessage": list}),
        json!({"text": "Pick one", "listMessage": list}),
        json!({"text": "Confirm?", "replyButtonMessage": {"header": {"text": "Reminder"},
            "footer": {"text": "Tap a button."}, "buttons": [
                {"id": "confirm", "text": "Confirm ✓"}, {"id": "cancel", "text": "Cancel"}]}}),
        json!({"text": "Menu", "replyButtonMessage": {"header": {"attachment": {"type": "document",
            "url": "https://example.com/menu.pdf", "filename": "menu.pdf"}}, "buttons": [{"id": "1", "text": "Ok"}]}}),
        json!({"singleProductMessage": {"footer": {"text": "f"}, "catalogId": "1",
            "productItem": {"productRetailerId": "sku"}}}),
        json!({"text": "Ours", "multiProductMessage": {"header": {"text": "Shop"}, "catalogId": "1", "sections": [
            {"title": "New", "productItems": [{"productRetailerId": "sku"}]}]}}),
    ]
}

fn problem(value: &Value) -> String {
    Message::from_value(value).unwrap_err().to_string()
}

#[test]
fn documented_messages_are_taken_and_written_back_as_they_were() {
    for value in documented() {
        let message = Message::from_value(&value).unwrap_or_else(|problem| panic!("{value}: {problem}"));
        assert_eq!(serde_json::to_value(&message).unwrap(), value);
    }
}

#[test]
fn builders_write_what_the_documentation_writes() {
    let buttons = ReplyButtonMessage::new()
        .header(Header::text("Reminder"))
        .footer("Tap a button.")
        .button("confirm", "Confirm ✓")
        .button("cancel", "Cancel");
    let menu = ListMessage::new("Select")
        .header("How can we help?")
        .footer("Choose below.")
        .section(
            "Support",
            [
                Row::new("1", "Track my order").description("Get your order status"),
                Row::new("2", "Returns & refunds").description("Start a return"),
            ],
        )
        .section("Sales", [Row::new("3", "Talk to sales")]);
    let built = [
        Message::text("Hello, how can we help you today?"),
        Attachment::image("https://example.com/image.jpg").caption("Look").into(),
        Attachment::audio("https://example.com/audio.mp3").into(),
        Attachment::document("https://example.com/i.pdf", "invoice.pdf").caption("Invoice").into(),
        Location::new(37.7749, -122.4194).name("HQ").address("Main St").into(),
        Message::list("Pick one", menu),
        Message::buttons("Confirm?", buttons),
        Message::products("Ours", MultiProductMessage::new("1", "Shop").section("New", ["sku"])),
    ];
    for message in built {
        message.validate().unwrap();
        assert!(documented().contains(&serde_json::to_value(&message).unwrap()));
    }
}

#[test]
fn null_and_absent_and_unknown_keys_read_alike() {
    let read = |value: Value| serde_json::from_value::<Message>(value).unwrap();
    let plain = Message::text("hi");
    assert_eq!(read(json!({"text": "hi", "attachments": null, "location": null, "referral": {}})), plain);
    assert_eq!(read(json!({"text": "hi", "attachments": [], "isEcho": false})), plain);
    let list = read(json!({"listMessage": {"header": null, "button": null, "sections": [{"rows": null}]}}));
    assert_eq!(list.list_message.unwrap().sections, [Section::default()]);
    let place = read(json!({"location": {"latitude": "1.5", "longitude": 2, "name": null}}));
    assert_eq!(place, Location::new(1.5, 2.0).into());
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_was_meant() {
    assert_eq!(
        problem(&json!({"text": "x", "replyButtonMessage": {"butons": []}})),
        "message.replyButtonMessage.butons is not a known key; did you mean `buttons`?"
    );
    assert_eq!(
        problem(&json!({"list_message": {}})),
        "message.list_message is not a known key; did you mean `listMessage`?"
    );
    assert_eq!(problem(&json!({"isEcho": true})), "message.isEcho is not a known key");
    assert_eq!(problem(&json!({"a\nb": 1})), r"message.a\nb is not a known key");
    let long = problem(&json!({"x".repeat(10_000): 1}));
    assert!(long.len() < 100, "{long}");
}

#[test]
fn a_wrong_type_is_named_with_the_right_one() {
    assert_eq!(problem(&json!("hi")), "message must be an object, but is text");
    assert_eq!(problem(&json!({"text": 5})), "message.text must be text, but is a number");
    assert_eq!(
        problem(&json!({"attachments": [{"type": "sticker", "url": "https://x.example"}]})),
        "message.attachments[0].type must be one of image, video, audio, document"
    );
    assert_eq!(
        problem(&json!({"location": {"latitude": true, "longitude": 1}})),
        "message.location.latitude must be a number, but is a boolean"
    );
    assert_eq!(problem(&json!({"location": {"latitude": 1}})), "message.location.longitude is required");
}

#[test]
fn debug_output_shows_no_words() {
    for value in documented() {
        let shown = format!("{:?}", Message::from_value(&value).unwrap());
        for word in ["hi\"", "Hello", "example", "Track", "Confirm", "Main", "37.7", "sku"] {
            assert!(!shown.contains(word), "{shown}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let keys = "text|attachments|type|url|location|latitude|listMessage|sections|rows|button|buttons|id|x";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(keys, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_a_message_or_a_named_problem(value in any_json()) {
        if let Err(invalid) = Message::from_value(&value) {
            prop_assert!(invalid.field.starts_with("message"));
        }
        if let Ok(message) = serde_json::from_value::<Message>(value) {
            let written = serde_json::to_value(&message).unwrap();
            prop_assert_eq!(serde_json::from_value::<Message>(written).unwrap(), message);
        }
    }
}
