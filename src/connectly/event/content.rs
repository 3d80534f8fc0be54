//! What a customer (or, in an echo, the business) wrote.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What kind of message it is, by what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Clone, PartialEq, Serialize, ToSchema)]
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
    /// The whole message as it came, when it holds nothing of the above: what it is then is for its reader to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Content({:?}, ..)", self.kind)
    }
}

/// A place. Its numbers come as numbers or as texts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
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
            message: None,
        }
    }
}
