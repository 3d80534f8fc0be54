//! What WhatsApp would not take.

use super::*;

#[test]
fn exactly_one_kind_of_content_is_asked_for() {
    let image = json!([{"type": "image", "url": "https://x.example/i.png"}]);
    let pin = json!({"latitude": 1, "longitude": 2});
    assert_eq!(problem(&json!({})), "message must hold exactly one kind of content, but holds none");
    assert_eq!(problem(&json!({"text": ""})), "message.text is empty");
    assert_eq!(problem(&json!({"text": " \n"})), "message.text is empty");
    assert_eq!(
        problem(&json!({"attachments": image, "location": pin})),
        "message must hold exactly one kind of content, but holds attachments and location"
    );
    assert_eq!(
        problem(&json!({"attachments": image, "text": "hi"})),
        "message.text cannot stand beside media: use the caption"
    );
    assert_eq!(
        problem(&json!({"location": pin, "text": "hi"})),
        "message.text cannot stand beside a location"
    );
    assert!(Message::from_value(&json!({"attachments": image, "text": ""})).is_ok());
}

/// A message with each limited part at its limit and so many characters or items beyond it.
fn sized(extra: usize) -> Vec<(&'static str, Value)> {
    let text = |most: usize| "é".repeat(most + extra);
    let button = |id: &str, text: &str| json!({"id": id, "text": text});
    let buttons = |buttons: Value| json!({"text": "b", "replyButtonMessage": {"buttons": buttons}});
    let with = |key: &str, value: Value| json!({"text": "b", "replyButtonMessage": {key: value, "buttons": [button("1", "a")]}});
    let list = |button: String, sections: Value| json!({"text": "b", "listMessage": {"button": {"text": button}, "sections": sections}});
    let row = |key: &str, value: String| {
        let mut row = json!({"id": "1", "text": "a"});
        row[key] = Value::String(value);
        list("open".to_owned(), json!([{"rows": [row]}]))
    };
    let rows = |many: usize| (0..many).map(|n| button(&n.to_string(), "a")).collect::<Vec<_>>();
    let items = |many: usize| vec![json!({"productRetailerId": "sku"}); many];
    let products = |sections: Value| {
        json!({"text": "b", "multiProductMessage":
            {"header": {"text": "h"}, "catalogId": "1", "sections": sections}})
    };
    let sections = |many: usize| vec![json!({"title": "t", "productItems": items(1)}); many];
    let image = json!({"type": "image", "url": "https://x.example/i.png"});
    vec![
        ("message.text", json!({"text": text(4096)})),
        ("message.attachments", json!({"attachments": vec![image.clone(); 1 + extra]})),
        (
            "message.attachments[0].caption",
            json!({"attachments": [{"type": "image",
            "url": "https://x.example/i.png", "caption": text(3000)}]}),
        ),
        ("message.text", json!({"text": text(1024), "replyButtonMessage": {"buttons": [button("1", "a")]}})),
        ("message.replyButtonMessage.header.text", with("header", json!({"text": text(60)}))),
        ("message.replyButtonMessage.footer.text", with("footer", json!({"text": text(60)}))),
        (
            "message.replyButtonMessage.buttons",
            buttons(json!(
                (0..3 + extra).map(|n| button(&n.to_string(), &n.to_string())).collect::<Vec<_>>()
            )),
        ),
        (
            "message.replyButtonMessage.buttons[1].text",
            buttons(json!([button("1", "a"), button("2", &text(20))])),
        ),
        ("message.replyButtonMessage.buttons[0].id", buttons(json!([button(&text(256), "a")]))),
        (
            "message.text",
            json!({"text": text(4096), "listMessage":
            {"button": {"text": "open"}, "sections": [{"rows": rows(1)}]}}),
        ),
        ("message.listMessage.button.text", list(text(20), json!([{"rows": rows(1)}]))),
        (
            "message.listMessage.sections[0].title",
            list("open".to_owned(), json!([{"title": text(24), "rows": rows(1)}])),
        ),
        (
            "message.listMessage.sections[].rows",
            list(
                "open".to_owned(),
                json!([
            {"title": "t", "rows": rows(10 + extra).split_off(5)}, {"title": "t", "rows": rows(5)}]),
            ),
        ),
        ("message.listMessage.sections[0].rows[0].id", row("id", text(200))),
        ("message.listMessage.sections[0].rows[0].text", row("text", text(24))),
        ("message.listMessage.sections[0].rows[0].description", row("description", text(72))),
        ("message.multiProductMessage.sections", products(json!(sections(10 + extra)))),
        (
            "message.multiProductMessage.sections[].productItems",
            products(json!([{"productItems": items(30 + extra)}])),
        ),
    ]
}

#[test]
fn every_limit_holds_to_the_character_and_is_named() {
    for (field, value) in sized(0) {
        assert_eq!(Message::from_value(&value).map(drop), Ok(()), "{field}");
    }
    for (field, value) in sized(1) {
        let Invalid { field: named, problem } = Message::from_value(&value).unwrap_err();
        let Problem::Limit { limit, found } = problem else { panic!("{field}: {problem}") };
        assert_eq!((named.as_str(), found), (field, limit.max + 1));
    }
    assert_eq!(
        problem(&sized(5)[7].1),
        "message.replyButtonMessage.buttons[1].text has 25 characters, at most 20 are allowed"
    );
}

#[test]
fn the_rules_beyond_sizes_are_named() {
    let buttons = |buttons: Value| json!({"text": "b", "replyButtonMessage": {"buttons": buttons}});
    let list = |list: Value| {
        let mut whole =
            json!({"button": {"text": "open"}, "sections": [{"rows": [{"id": "1", "text": "a"}]}]});
        whole.as_object_mut().unwrap().extend(list.as_object().unwrap().clone());
        json!({"text": "b", "listMessage": whole})
    };
    let image = json!({"type": "image", "url": "https://x.example/i.png"});
    let table = [
        (buttons(json!([])), "buttons is empty"),
        (
            buttons(json!([{"id": "1", "text": "a"}, {"id": "1", "text": "b"}])),
            "buttons[1].id is there twice",
        ),
        (
            buttons(json!([{"id": "1", "text": "a"}, {"id": "2", "text": "a"}])),
            "buttons[1].text is there twice",
        ),
        (buttons(json!([{"id": " 1", "text": "a"}])), "buttons[0].id must not begin or end with a space"),
        (json!({"replyButtonMessage": {"buttons": [{"id": "1", "text": "a"}]}}), "message.text is required"),
        (
            list(json!({"header": {"attachment": image}})),
            "header.attachment is not shown here: WhatsApp takes a header of text only",
        ),
        (
            list(
                json!({"sections": [{"rows": [{"id": "1", "text": "a"}]}, {"rows": [{"id": "2", "text": "b"}]}]}),
            ),
            "sections[0].title is required when there is more than one section",
        ),
        (
            list(json!({"sections": [{"title": "a", "rows": [{"id": "1", "text": "a"}]},
            {"title": "b", "rows": [{"id": "1", "text": "b"}]}]})),
            "sections[1].rows[0].id is there twice",
        ),
        (
            json!({"text": "b", "replyButtonMessage": {"header": {"text": "h", "attachment": image},
            "buttons": [{"id": "1", "text": "a"}]}}),
            "header must hold either text or an attachment",
        ),
        (
            json!({"attachments": [{"type": "image", "url": "i.png"}]}),
            "url must be a public URL that begins with https:// or http://",
        ),
        (
            json!({"attachments": [{"type": "audio", "url": "https://x.example", "caption": "c"}]}),
            "caption is not shown with audio",
        ),
        (
            json!({"attachments": [{"type": "image", "url": "https://x.example", "filename": "f"}]}),
            "filename is for documents only",
        ),
        (json!({"location": {"latitude": 91, "longitude": 0}}), "latitude must be between -90 and 90"),
        (json!({"location": {"latitude": 0, "longitude": "NaN"}}), "longitude must be between -180 and 180"),
        (
            json!({"singleProductMessage": {"catalogId": "", "productItem": {"productRetailerId": "s"}}}),
            "catalogId is required",
        ),
        (
            json!({"text": "b", "multiProductMessage": {"header": {}, "catalogId": "1", "sections":
            [{"productItems": [{"productRetailerId": "s"}]}]}}),
            "header.text is required",
        ),
    ];
    for (value, expected) in table {
        let found = problem(&value);
        assert!(found.ends_with(expected), "{value}: {found}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let message = Message::buttons("", ReplyButtonMessage::new().button("", "Yes").button("2", ""));
    let fields: Vec<_> = message.problems().into_iter().map(|invalid| invalid.field).collect();
    assert_eq!(
        fields,
        [
            "message.text",
            "message.replyButtonMessage.buttons[0].id",
            "message.replyButtonMessage.buttons[1].text"
        ]
    );
}
