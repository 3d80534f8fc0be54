//! Reads what a customer (or, in an echo, the business) wrote, in all the shapes that it comes in.

use serde_json::Value;

use super::content::{Content, ContentKind, Location};
use super::json::Object;
use crate::connectly::ids::ProviderMessageId;

/// A message with what the envelope needs beside its content.
pub(super) struct Inbound {
    pub(super) content: Content,
    pub(super) id: Option<ProviderMessageId>,
    pub(super) is_echo: bool,
}

/// Picks first, since the newer shapes have no `message` at all. `None` when nothing says that somebody wrote.
pub(super) fn read(envelope: &Object<'_>) -> Option<Inbound> {
    let message = envelope.object(&["message"]);
    // One page of the second generation shows attachments and location beside the message, all others inside it.
    let places: Vec<&Object<'_>> = message.iter().chain([envelope]).collect();
    let pick = places.iter().find_map(|place| pick(place));
    let common = common(&places, message.as_ref());
    if message.is_none() && pick.is_none() && common.reaction.is_none() {
        return None;
    }
    let (content, id) = match pick {
        Some((kind, response)) => picked(kind, &response, common),
        None => (written(common, envelope, message.as_ref()), None),
    };
    let id = id.or_else(|| message.as_ref()?.filled(&["id"]));
    Some(Inbound {
        content,
        id: id.and_then(|id| ProviderMessageId::parse(&id)),
        is_echo: places.iter().any(|place| place.flag(&["isEcho", "is_echo"])),
    })
}

/// The answer to a button or to a list, when it has anything that can be read.
fn pick<'a>(place: &Object<'a>) -> Option<(ContentKind, Object<'a>)> {
    let response = |names| {
        let response: Object<'a> = place.object(names)?;
        response.filled(&["text", "title", "payload", "id"]).map(|_| response)
    };
    let button = response(&["buttonResponse", "button_response"]);
    let list = || response(&["listResponse", "list_response", "listReply", "list_reply"]);
    button
        .map(|response| (ContentKind::ButtonReply, response))
        .or_else(|| Some((ContentKind::ListReply, list()?)))
}

/// What every kind of message can hold.
fn common(places: &[&Object<'_>], message: Option<&Object<'_>>) -> Content {
    let text = message.and_then(|message| message.text(&["text"]));
    let as_it_came = |name| places.iter().find_map(|place| as_it_came(place, name));
    Content {
        text: text.filter(|text| !text.is_empty()),
        // Live traffic has `attachments: []` on every text, which is none.
        attachments: as_it_came("attachments"),
        location: places.iter().find_map(|place| location(place)),
        referral: as_it_came("referral"),
        reaction: as_it_came("reaction"),
        ..Content::empty(ContentKind::Other)
    }
}

/// The content of a pick, and the message's id. `buttonResponse.id` is the id of this message, not of the button: its
/// time is the event's. A list's answer is not documented, and the agent API's has the row's id under that name. Taken
/// for the message's, it would make the second pick of a row a repeat of the first, so it is that only beside a payload.
fn picked(kind: ContentKind, response: &Object<'_>, common: Content) -> (Content, Option<String>) {
    let (payload, id) = (response.filled(&["payload"]), response.filled(&["id"]));
    let names_row = kind == ContentKind::ListReply && payload.is_none();
    let (payload, id) = if names_row { (id, None) } else { (payload, id) };
    let text = response.filled(&["text", "title"]).or(common.text);
    (Content { kind, text, payload, ..common }, id)
}

fn written(common: Content, envelope: &Object<'_>, message: Option<&Object<'_>>) -> Content {
    let tapped = message.is_some_and(|message| message.flag(&["isButtonResponse", "is_button_response"]));
    let kind = if tapped { ContentKind::ButtonReply } else { kind_of(&common) };
    let bare = kind == ContentKind::Other && common.attachments.is_none();
    let message = bare.then(|| as_it_came(envelope, "message")).flatten();
    Content { kind, message, ..common }
}

fn kind_of(content: &Content) -> ContentKind {
    if content.reaction.is_some() {
        return ContentKind::Reaction;
    }
    let attached = content.attachments.as_ref().and_then(Value::as_array);
    match attached.and_then(|list| list.first()?.get("type")?.as_str()) {
        Some("image") => ContentKind::Image,
        Some("video") => ContentKind::Video,
        Some("audio") => ContentKind::Audio,
        Some("document") => ContentKind::Document,
        _ if attached.is_some() => ContentKind::Other,
        _ if content.location.is_some() => ContentKind::Location,
        _ if content.text.is_some() => ContentKind::Text,
        _ => ContentKind::Other,
    }
}

/// A member that is kept whole. Nothing in it is the same as its absence.
fn as_it_came(place: &Object<'_>, name: &str) -> Option<Value> {
    place.value(&[name]).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    })
}

fn location(place: &Object<'_>) -> Option<Location> {
    let location = place.object(&["location"])?;
    Some(Location {
        latitude: location.number(&["latitude"])?,
        longitude: location.number(&["longitude"])?,
        name: location.filled(&["name"]),
        address: location.filled(&["address"]),
    })
}
