//! Media that a message carries, by its public URL.

use serde::{Deserialize, Serialize};

use super::Text;

/// One media file: Connectly fetches it from `url`, which must be public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What WhatsApp shows it as.
    #[serde(rename = "type")]
    pub kind: AttachmentKind,
    /// Where it is fetched from, by http or https.
    #[serde(default)]
    pub url: Text,
    /// The words below it; audio has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<Text>,
    /// The name shown, documents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<Text>,
}

/// The kinds of media that Connectly sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachmentKind {
    /// JPEG or PNG, up to 5 MB.
    Image,
    /// MP4 or 3GPP, up to 16 MB.
    Video,
    /// AAC, AMR, MP3, M4A or OGG with Opus, up to 16 MB.
    Audio,
    /// Anything else, up to 100 MB.
    Document,
}

impl Attachment {
    /// An attachment without caption.
    pub fn new(kind: AttachmentKind, url: impl Into<Text>) -> Self {
        Self { kind, url: url.into(), caption: None, filename: None }
    }

    /// An image.
    pub fn image(url: impl Into<Text>) -> Self {
        Self::new(AttachmentKind::Image, url)
    }

    /// A video.
    pub fn video(url: impl Into<Text>) -> Self {
        Self::new(AttachmentKind::Video, url)
    }

    /// A sound.
    pub fn audio(url: impl Into<Text>) -> Self {
        Self::new(AttachmentKind::Audio, url)
    }

    /// A document, with the name the customer sees.
    pub fn document(url: impl Into<Text>, filename: impl Into<Text>) -> Self {
        Self { filename: Some(filename.into()), ..Self::new(AttachmentKind::Document, url) }
    }

    /// The same with words below it.
    #[must_use]
    pub fn caption(self, caption: impl Into<Text>) -> Self {
        Self { caption: Some(caption.into()), ..self }
    }
}
