//! Messages the customer answers with a tap: a list of rows, or up to three buttons.
//!
//! Their body is the `text` of the message around them.

use serde::{Deserialize, Serialize};

use super::text::null_as_default;
use super::{Attachment, Text};

/// What stands above the body: words or media, not both. Connectly documents media for lists as well, where WhatsApp
/// takes words only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// An image, a video or a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
}

/// Small print below the body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// The words.
    #[serde(default)]
    pub text: Text,
}

/// A menu that opens on a tap and lets the customer pick one row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListMessage {
    /// Words above the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// Small print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<Footer>,
    /// What opens the menu.
    #[serde(deserialize_with = "null_as_default")]
    pub button: ListButton,
    /// The rows, in groups.
    #[serde(deserialize_with = "null_as_default")]
    pub sections: Vec<Section>,
}

/// The button that opens a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListButton {
    /// Ours to choose; it never comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// Its label.
    pub text: Text,
}

/// A group of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// Its heading; needed when there is more than one group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// What can be picked.
    #[serde(deserialize_with = "null_as_default")]
    pub rows: Vec<Row>,
}

/// One choice of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Comes back when the row is picked.
    pub id: Text,
    /// Its label.
    pub text: Text,
    /// A second line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// Up to three buttons below the body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplyButtonMessage {
    /// Words or media above the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// Small print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<Footer>,
    /// The buttons, in order.
    #[serde(deserialize_with = "null_as_default")]
    pub buttons: Vec<ReplyButton>,
}

/// One button.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplyButton {
    /// Comes back when the button is tapped.
    pub id: Text,
    /// Its label.
    pub text: Text,
}

impl Header {
    /// A header of words.
    pub fn text(text: impl Into<Text>) -> Self {
        Self { text: Some(text.into()), attachment: None }
    }
}

impl From<Attachment> for Header {
    fn from(attachment: Attachment) -> Self {
        Self { text: None, attachment: Some(attachment) }
    }
}

impl<T: Into<Text>> From<T> for Footer {
    fn from(text: T) -> Self {
        Self { text: text.into() }
    }
}

impl ListMessage {
    /// An empty list, opened by a button with this label.
    pub fn new(button: impl Into<Text>) -> Self {
        Self { button: ListButton { id: None, text: button.into() }, ..Self::default() }
    }

    /// The same with one more group of rows.
    #[must_use]
    pub fn section(mut self, title: impl Into<Text>, rows: impl IntoIterator<Item = Row>) -> Self {
        self.sections.push(Section { title: Some(title.into()), rows: rows.into_iter().collect() });
        self
    }

    /// The same with words above the body.
    #[must_use]
    pub fn header(self, text: impl Into<Text>) -> Self {
        Self { header: Some(Header::text(text)), ..self }
    }

    /// The same with small print.
    #[must_use]
    pub fn footer(self, text: impl Into<Text>) -> Self {
        Self { footer: Some(Footer::from(text)), ..self }
    }
}

impl Row {
    /// A choice without a second line.
    pub fn new(id: impl Into<Text>, text: impl Into<Text>) -> Self {
        Self { id: id.into(), text: text.into(), description: None }
    }

    /// The same with a second line.
    #[must_use]
    pub fn description(self, description: impl Into<Text>) -> Self {
        Self { description: Some(description.into()), ..self }
    }
}

impl ReplyButtonMessage {
    /// No buttons yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more button.
    #[must_use]
    pub fn button(mut self, id: impl Into<Text>, text: impl Into<Text>) -> Self {
        self.buttons.push(ReplyButton { id: id.into(), text: text.into() });
        self
    }

    /// The same with a header.
    #[must_use]
    pub fn header(self, header: Header) -> Self {
        Self { header: Some(header), ..self }
    }

    /// The same with small print.
    #[must_use]
    pub fn footer(self, text: impl Into<Text>) -> Self {
        Self { footer: Some(Footer::from(text)), ..self }
    }
}
