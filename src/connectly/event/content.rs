//! What a customer (or, in an echo, the business) wrote.

use serde::Serialize;
use serde_json::Value;

use super::json::Object;
use crate::connectly::ids::ProviderMessageId;

/// What kind of message it is, by what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// Plain text, quoted or not.
    Text,
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A sound or voice message.
    Audio,
    /// A file.
    Document,
    /// A place.
    Location,
    /// A tap on a reply button.
    ButtonReply,
    /// A pick from a list.
    ListReply,
    /// A reaction to a message.
    Reaction,
    /// Anything else.
    Other,
}

/// The content as our JSON shows it: the kind, what is common, and what came beside it as it came.
#[derive(Clone, PartialEq, Serialize)]
pub struct Content {
    /// The kind.
    pub kind: ContentKind,
    /// The text, or the label of the button or row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The developer's id of the button or row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Media, as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Value>,
    /// The place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The advertisement that led here, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referral: Option<Value>,
    /// A reaction, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reaction: Option<Value>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Content({:?}, ..)", self.kind)
    }
}

/// A place. Its numbers come as numbers or as texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// The place's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A message with what the envelope needs beside its content.
pub(super) struct Inbound {
    pub(super) content: Content,
    pub(super) id: Option<ProviderMessageId>,
    pub(super) is_echo: bool,
}

/// Button answers first, since the newer shapes have no `message` at all.
pub(super) fn read(envelope: &Object<'_>) -> Option<Inbound> {
    let button = envelope.object(&["buttonResponse", "button_response"]);
    let list = envelope.object(&["listResponse", "list_response", "listReply", "list_reply"]);
    let message = envelope.object(&["message"]);
    let picked = match (button, list) {
        (Some(button), _) => Some((ContentKind::ButtonReply, button)),
        (None, Some(list)) => Some((ContentKind::ListReply, list)),
        (None, None) => None,
    };
    if let Some((kind, response)) = picked {
        return Some(picked_from(kind, &response, message.as_ref()));
    }
    let reaction = envelope.value(&["reaction"]);
    if message.is_none() && reaction.is_none() {
        return None;
    }
    let empty = Object::parse("{}")?;
    Some(written(envelope, message.as_ref().unwrap_or(&empty), reaction))
}

/// `buttonResponse.id` is the id of this message, not of the button: its time is the event's.
fn picked_from(kind: ContentKind, response: &Object<'_>, message: Option<&Object<'_>>) -> Inbound {
    let id = response.filled(&["id"]).or_else(|| message?.filled(&["id"]));
    let mut content = Content::empty(kind);
    content.text = response
        .text(&["text", "title"])
        .or_else(|| message?.text(&["text"]));
    content.payload = response.text(&["payload"]);
    Inbound {
        content,
        id: id.and_then(|id| ProviderMessageId::parse(&id)),
        is_echo: false,
    }
}

fn written(envelope: &Object<'_>, message: &Object<'_>, reaction: Option<Value>) -> Inbound {
    // One page of the second generation shows attachments and location beside the message, all others inside it.
    let attachments = [message, envelope].iter().find_map(|place| attachments(place));
    let location = message
        .object(&["location"])
        .or_else(|| envelope.object(&["location"]));
    let mut content = Content::empty(ContentKind::Other);
    content.text = message.text(&["text"]).filter(|text| !text.is_empty());
    content.attachments = attachments;
    content.location = location.as_ref().and_then(read_location);
    content.referral = message.value(&["referral"]);
    content.reaction = reaction.or_else(|| message.value(&["reaction"]));
    let tapped = message.flag(&["isButtonResponse", "is_button_response"]);
    content.kind = kind_of(&content, tapped);
    let id = message
        .filled(&["id"])
        .and_then(|id| ProviderMessageId::parse(&id));
    Inbound {
        content,
        id,
        is_echo: message.flag(&["isEcho", "is_echo"]),
    }
}

fn kind_of(content: &Content, tapped: bool) -> ContentKind {
    if tapped {
        return ContentKind::ButtonReply;
    }
    if content.reaction.is_some() {
        return ContentKind::Reaction;
    }
    let attached = content
        .attachments
        .as_ref()
        .and_then(|list| list.get(0)?.get("type")?.as_str());
    match attached {
        Some("image") => ContentKind::Image,
        Some("video") => ContentKind::Video,
        Some("audio") => ContentKind::Audio,
        Some("document") => ContentKind::Document,
        _ if content.attachments.is_some() => ContentKind::Other,
        _ if content.location.is_some() => ContentKind::Location,
        _ if content.text.is_some() => ContentKind::Text,
        _ => ContentKind::Other,
    }
}

/// Live traffic has `attachments: []` on every text, which is none.
fn attachments(place: &Object<'_>) -> Option<Value> {
    place
        .value(&["attachments"])
        .filter(|value| value.as_array().is_some_and(|list| !list.is_empty()))
}

fn read_location(location: &Object<'_>) -> Option<Location> {
    Some(Location {
        latitude: location.number(&["latitude"])?,
        longitude: location.number(&["longitude"])?,
        name: location.filled(&["name"]),
        address: location.filled(&["address"]),
    })
}

impl Content {
    /// A content of which only the kind is known.
    pub fn empty(kind: ContentKind) -> Self {
        Self {
            kind,
            text: None,
            payload: None,
            attachments: None,
            location: None,
            referral: None,
            reaction: None,
        }
    }
}
