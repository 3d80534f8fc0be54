//! What every decoding can show for itself, whatever was done to the body: it is what the body says, and what the body
//! says is in it.

use serde_json::Value;

use super::super::content::{Content, ContentKind};
use super::super::json::Object;
use super::super::status::Status;
use super::super::{Decoded, Kind, decode};
use crate::connectly::mark;

/// Decodes a body, and compares the result to the body.
pub(super) fn decode_checked(body: &[u8]) -> Decoded {
    let decoded = decode(body);
    let Some(envelope) = std::str::from_utf8(body).ok().and_then(Object::parse) else {
        assert!(decoded == Decoded::unknown(), "read from what is no object");
        return decoded;
    };
    assert_eq!(name_of(&decoded.kind), expected(&envelope));
    callback_data_is_kept(&envelope, &decoded);
    if let Kind::Received(content) | Kind::Echo(content) = &decoded.kind {
        content_is_kept(&envelope, content);
    }
    decoded
}

fn name_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Received(_) => "received",
        Kind::Echo(_) => "echo",
        Kind::Status(update) => update.status.as_str(),
        Kind::Report(_) => "report",
        Kind::Unknown => "unknown",
    }
}

/// The kind by the contract's order: report, status, message, unknown; and unknown for a topic that is not in it.
fn expected(envelope: &Object<'_>) -> &'static str {
    let topic = envelope.get(&["topic"]).map(|_| envelope.text(&["topic"]).unwrap_or("{}".into()));
    let topic = topic.unwrap_or_default().trim().to_ascii_lowercase();
    let unstated = matches!(topic.as_str(), "" | "topic_unspecified");
    if !unstated && !matches!(topic.as_str(), "messages" | "delivery_status" | "report") {
        return "unknown";
    }
    let report = envelope.object(&["report"]);
    if topic == "report" || unstated && report.is_some() {
        return report.filter(is_finished).map_or("unknown", |_| "report");
    }
    if let Some(update) = envelope.object(&["statusUpdate", "status_update"]) {
        let status = update.text(&["status"]).and_then(|status| Status::parse(&status));
        return status.map_or("unknown", Status::as_str);
    }
    let message = envelope.object(&["message"]);
    let wrote = message.is_some() || picks(envelope) || something(envelope.value(&["reaction"]).as_ref());
    let mut places = [Some(envelope), message.as_ref()].into_iter().flatten();
    match places.any(|place| place.flag(&["isEcho", "is_echo"])) {
        _ if topic == "delivery_status" || !wrote => "unknown",
        true => "echo",
        false => "received",
    }
}

fn is_finished(report: &Object<'_>) -> bool {
    let run = report.object(&["last_run", "lastRun"]);
    let status = run.and_then(|run| run.filled(&["status"]));
    status.is_none_or(|status| status.trim().eq_ignore_ascii_case("completed"))
}

fn picks(place: &Object<'_>) -> bool {
    let button: &[&str] = &["buttonResponse", "button_response"];
    let list: &[&str] = &["listResponse", "list_response", "listReply", "list_reply"];
    let read = ["text", "title", "payload", "id"];
    let says = |pick: Object<'_>| read.iter().any(|name| pick.filled(&[name]).is_some());
    [button, list].into_iter().any(|names| place.object(names).is_some_and(says))
}

fn something(value: Option<&Value>) -> bool {
    let nothing = [Value::Null, "".into(), Value::Array(vec![]), Value::Object(serde_json::Map::default())];
    value.is_some_and(|value| !nothing.contains(value))
}

/// To the letter, but for our mark.
fn callback_data_is_kept(envelope: &Object<'_>, decoded: &Decoded) {
    let given = envelope.raw("callbackData").or_else(|| envelope.raw("callback_data"));
    let (rest, message) = given.map_or((None, None), mark::strip);
    assert!(decoded.callback_data.as_deref() == rest.as_deref(), "callback data was changed");
    assert_eq!(decoded.mark, message);
    assert!(rest.is_some() || message.is_some() || given.is_none(), "callback data was lost");
}

/// Text and what is shown as it came; and the whole message when there is nothing of either.
fn content_is_kept(envelope: &Object<'_>, content: &Content) {
    let Some(message) = envelope.object(&["message"]) else {
        return;
    };
    let shown = [
        ("attachments", &content.attachments),
        ("referral", &content.referral),
        ("reaction", &content.reaction),
    ];
    for (name, kept) in shown {
        let given = message.value(&[name]).filter(|value| something(Some(value)));
        assert!(given.is_none() || *kept == given, "{name} changed");
    }
    let text = message.filled(&["text"]);
    let picked = matches!(content.kind, ContentKind::ButtonReply | ContentKind::ListReply);
    assert!(picked || text.is_none() || content.text == text, "the text changed");
    let bare = content.kind == ContentKind::Other && content.attachments.is_none();
    let whole = envelope.value(&["message"]).filter(|value| bare && something(Some(value)));
    assert!(content.message == whole, "a message of no known kind is kept whole, and only that");
}
