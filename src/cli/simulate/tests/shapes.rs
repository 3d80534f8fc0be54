//! Every shape is what it is named after: as we sign it, and as the emulator makes it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;
use utoipa::PartialSchema as _;
use wiremock::MockServer;

use super::{Desk, WEBHOOK, parse, webhook};
use crate::cli::Usage;
use crate::clock::Clock;
use crate::connectly::event::content::{Content, ContentKind};
use crate::connectly::event::{Decoded, Kind, decode};
use crate::emulator::{Emulator, Settings};
use crate::model::event::EventType;

/// Each kind of content, and what makes a customer send it.
const KINDS: [(&str, &[&str]); 10] = [
    ("text", &["--text", "saw your ad", "--referral", "https://fb.example/x"]),
    ("image", &["--image", "https://example.com/a.jpg", "--caption", "This one"]),
    ("video", &["--video", "https://example.com/a.mp4"]),
    ("audio", &["--audio", "https://example.com/a.ogg"]),
    ("document", &["--document", "https://example.com/b.pdf", "--filename", "bill.pdf", "--caption", "May"]),
    ("location", &["--location", "-52.5,13.4", "--place", "The shop", "--address", "High Street 1"]),
    ("button_reply", &["--button", "Yes", "--payload", "confirm"]),
    ("list_reply", &["--list", "Large", "--payload", "size-l"]),
    ("reaction", &["--reaction", "👍"]),
    ("other", &["--sticker", "https://example.com/a.webp"]),
];
/// Each other type of event, and what makes it.
const TYPES: [(&str, &[&str]); 7] = [
    ("message.echo", &["echo", "--text", "hi"]),
    ("message.sent", &["status", "--id", MESSAGE, "--status", "sent"]),
    ("message.delivered", &["status", "--id", MESSAGE, "--status", "delivered"]),
    ("message.read", &["status", "--id", MESSAGE, "--status", "read"]),
    ("message.failed", &["status", "--id", MESSAGE, "--status", "failed"]),
    ("report.completed", &["report"]),
    ("unknown", &["unknown"]),
];
const MESSAGE: &str = "01K00000000000000000000001";

/// What arrives when nobody stands between.
async fn signed(line: &[&str]) -> Decoded {
    let desk = webhook().await;
    desk.simulate(line).await.unwrap();
    decode(desk.delivered().await.to_string().as_bytes())
}

/// What arrives beside an emulator, which must have been asked or must not.
async fn beside_emulator(line: &[&str], asked: bool) -> Decoded {
    let settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        ..Settings::new("business-1", "key-1".into(), "secret-1".into())
    };
    let emulator = Emulator::start(settings, Clock::system()).await.unwrap();
    let desk = Desk::beside(MockServer::start().await, Some(emulator.url()));
    let desk = desk.answers(WEBHOOK, 200, &json!({"id": "01K9", "duplicate": false})).await;
    emulator.set_webhook_url(format!("{}{WEBHOOK}", desk.server.uri()));
    desk.simulate(line).await.unwrap();
    assert_eq!(emulator.webhooks().len(), usize::from(asked), "{line:?}");
    decode(desk.delivered().await.to_string().as_bytes())
}

fn content(decoded: &Decoded) -> &Content {
    let (Kind::Received(content) | Kind::Echo(content)) = &decoded.kind else {
        panic!("{:?}", decoded.kind);
    };
    content
}

fn inbound<'a>(line: &[&'a str]) -> Vec<&'a str> {
    [&["inbound"], line].concat()
}

#[tokio::test]
async fn every_kind_of_content_can_be_sent_and_the_emulator_sends_the_same() {
    let mut contents = Vec::new();
    for (kind, line) in KINDS {
        let line = inbound(line);
        let (ours, theirs) = (signed(&line).await, beside_emulator(&line, true).await);
        assert_eq!(EventType::of(&ours.kind), EventType::MessageReceived, "{kind}");
        assert_eq!(serde_json::to_value(content(&ours)).unwrap()["kind"], kind);
        assert_eq!(serde_json::to_value(content(&ours)).ok(), serde_json::to_value(content(&theirs)).ok());
        assert_eq!((&ours.business, &ours.customer), (&theirs.business, &theirs.customer), "{kind}");
        contents.push(serde_json::to_string(content(&ours)).unwrap());
    }
    insta::assert_snapshot!(contents.join("\n"), @r#"
    {"kind":"text","text":"saw your ad","referral":{"body":"20% off","ctwaClid":"ARsimulated","headline":"Sale","imageUrl":"https://example.com/image.jpg","mediaType":"image","sourceId":"120200000000001","sourceType":"ad","sourceUrl":"https://fb.example/x","thumbnailUrl":"https://example.com/thumbnail.jpg"}}
    {"kind":"image","attachments":[{"caption":"This one","type":"image","url":"https://example.com/a.jpg"}]}
    {"kind":"video","attachments":[{"type":"video","url":"https://example.com/a.mp4"}]}
    {"kind":"audio","attachments":[{"type":"audio","url":"https://example.com/a.ogg"}]}
    {"kind":"document","attachments":[{"caption":"May","filename":"bill.pdf","type":"document","url":"https://example.com/b.pdf"}]}
    {"kind":"location","location":{"latitude":-52.5,"longitude":13.4,"name":"The shop","address":"High Street 1"}}
    {"kind":"button_reply","text":"Yes","payload":"confirm"}
    {"kind":"list_reply","text":"Large","payload":"size-l"}
    {"kind":"reaction","reaction":{"emoji":"👍"}}
    {"kind":"other","attachments":[{"type":"sticker","url":"https://example.com/a.webp"}]}
    "#);
    let known = serde_json::to_value(ContentKind::schema()).unwrap()["enum"].clone();
    let known: BTreeSet<String> = serde_json::from_value(known).unwrap();
    assert_eq!(BTreeSet::from(KINDS.map(|(kind, _)| kind.to_owned())), known);
}

#[tokio::test]
async fn every_type_of_event_can_be_sent() {
    for (name, line) in TYPES {
        assert_eq!(EventType::of(&signed(line).await.kind).as_str(), name);
        assert_eq!(EventType::of(&beside_emulator(line, false).await.kind).as_str(), name);
    }
    let names: BTreeSet<_> = TYPES.iter().map(|(name, _)| *name).chain(["message.received"]).collect();
    assert_eq!(names, BTreeSet::from(EventType::ALL.map(EventType::as_str)));
}

#[tokio::test]
async fn what_answers_a_message_names_it_in_either_spelling() {
    for kind in [&["--text", "this one"][..], &["--button", "Yes"], &["--list", "Large"], &["--reaction", ""]]
    {
        for spelling in [MESSAGE, "01980000-0000-0000-0000-000000000001"] {
            let line = inbound(&[kind, &["--to-message", spelling]].concat());
            for decoded in [signed(&line).await, beside_emulator(&line, true).await] {
                assert_eq!(decoded.in_reply_to.unwrap().to_string(), MESSAGE, "{line:?}");
            }
        }
    }
}

#[tokio::test]
async fn callback_data_of_ones_own_goes_past_the_emulator() {
    let line = inbound(&["--button", "Yes", "--callback", r#"{"order": 1}"#]);
    let decoded = beside_emulator(&line, false).await;
    assert_eq!(decoded.callback_data.as_deref(), Some(r#"{"order":1}"#));
    let decoded = signed(&["echo", "--text", "hi", "--callback", "null"]).await;
    assert_eq!(decoded.callback_data.as_deref(), Some("null"));
}

#[tokio::test]
async fn a_customer_can_be_known_by_a_user_id() {
    let (alone, both) = (["--user-id", "US.1349"], ["--user-id", "US.1349", "--from", "+1 555 010 0009"]);
    for (who, phone) in [(&alone[..], None), (&both, Some("+15550100009"))] {
        let line = inbound(&[&["--text", "hi", "--name", "Eva"], who].concat());
        for decoded in [signed(&line).await, beside_emulator(&line, true).await] {
            let customer = decoded.customer.unwrap();
            assert_eq!((customer.phone.as_deref(), customer.user_id.as_deref()), (phone, Some("US.1349")));
            assert_eq!(customer.name.as_deref(), Some("Eva"));
        }
    }
    for line in [&["echo", "--text", "hi"][..], &["status", "--id", MESSAGE, "--status", "read"]] {
        let customer = signed(&[line, &alone].concat()).await.customer.unwrap();
        assert_eq!((customer.phone, customer.user_id.as_deref()), (None, Some("US.1349")));
    }
}

#[tokio::test]
async fn an_echo_is_from_the_business_to_the_customer() {
    let line =
        ["echo", "--image", "https://example.com/a.jpg", "--from", "+15550100003", "--to", "+15550100009"];
    let echo = signed(&line).await;
    assert_eq!(EventType::of(&echo.kind), EventType::MessageEcho);
    assert_eq!(content(&echo).kind, ContentKind::Image);
    assert_eq!(echo.business.unwrap().id, "+15550100003");
    assert_eq!(echo.customer.unwrap().phone.as_deref(), Some("+15550100009"));
}

#[tokio::test]
async fn a_failure_says_why() {
    let error = ["--code", "ERROR_CODE_X", "--type", "ERROR_TYPE_X", "--message", "no", "--trace-id", "7"];
    let line = ["status", "--id", MESSAGE, "--status", "failed", "--campaign", "spring"];
    let decoded = signed(&[&line[..], &error].concat()).await;
    assert_eq!(decoded.campaign.as_deref(), Some("spring"));
    let Kind::Status(update) = decoded.kind else { panic!("{:?}", decoded.kind) };
    let reasons = update.error.map(|error| (error.code, error.error_type, error.message, error.trace_id));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(reasons, Some((text("ERROR_CODE_X"), text("ERROR_TYPE_X"), text("no"), text("7"))));
}

#[test]
fn wrong_usage_names_the_flag() {
    for (line, flag) in [
        (&["inbound"][..], "--text"),
        (&["inbound", "--text", "hi", "--image", "https://example.com/a.jpg"], "--image"),
        (&["inbound", "--button", "Yes", "--reaction", "👍"], "--reaction"),
        (&["inbound", "--location", "52.5"], "--location"),
        (&["inbound", "--image", "a.jpg"], "--image"),
        (&["inbound", "--reaction", "👍", "--to-message", "x"], "--to-message"),
        (&["inbound", "--button", "Yes", "--referral", "https://fb.example/x"], "--referral"),
        (&["inbound", "--text", "hi", "--from", "Ana"], "--from"),
        (&["inbound", "--text", "hi", "--user-id", "1349"], "--user-id"),
        (&["inbound", "--text", "hi", "--callback", "{"], "--callback"),
        (&["echo"], "--text"),
        (&["echo", "--text", "hi", "--to", "Ana"], "--to"),
        (&["report", "--url", "x"], "--url"),
        (&["status", "--id", "x", "--status", "read", "--callback", "{"], "--callback"),
    ] {
        let error = parse(line).err().unwrap().to_string();
        assert!(error.contains(flag), "{line:?}: {error}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_kind_is_refused() {
    for (line, says) in [
        (["--text", "hi", "--caption", "x"], "--caption goes with --image, --video and --document only"),
        (
            ["--audio", "https://example.com/a.ogg", "--caption", "x"],
            "--caption goes with --image, --video and --document only",
        ),
        (["--image", "https://example.com/a.jpg", "--filename", "x"], "--filename goes with --document only"),
        (["--text", "hi", "--place", "x"], "--place goes with --location only"),
        (["--text", "hi", "--address", "x"], "--address goes with --location only"),
        (["--reaction", "👍", "--payload", "x"], "--payload goes with --button and --list only"),
    ] {
        let error = webhook().await.simulate(&inbound(&line)).await.err().unwrap();
        assert_eq!(error.to_string(), says);
        assert!(error.is::<Usage>());
    }
    let line = ["echo", "--text", "hi", "--caption", "x"];
    assert!(webhook().await.simulate(&line).await.err().unwrap().is::<Usage>());
}
