//! What somebody writes, customer or business: words, a file, a place.

use serde_json::{Value, json};
use ulid::Ulid;

use super::flag::{goes_with, url, with};
use super::place::Coordinates;
use crate::cli::Usage;

/// Words, a file or a place. Each stands in the group `said`, of which whoever flattens this takes exactly one.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Written {
    /// Plain words
    #[arg(long, group = "said")]
    text: Option<String>,
    /// The address of a picture
    #[arg(long, value_name = "URL", group = "said", value_parser = url)]
    image: Option<String>,
    /// The address of a film
    #[arg(long, value_name = "URL", group = "said", value_parser = url)]
    video: Option<String>,
    /// The address of a sound or a voice message
    #[arg(long, value_name = "URL", group = "said", value_parser = url)]
    audio: Option<String>,
    /// The address of a file of any other type
    #[arg(long, value_name = "URL", group = "said", value_parser = url)]
    document: Option<String>,
    /// The address of a sticker: a kind that Connectly does not document, so its `content.kind` is `other`
    #[arg(long, value_name = "URL", group = "said", value_parser = url)]
    sticker: Option<String>,
    /// A place, in degrees north and east
    #[arg(long, value_name = "LATITUDE,LONGITUDE", group = "said", allow_hyphen_values = true)]
    location: Option<Coordinates>,
    /// The words below a picture, a film or a document
    #[arg(long, value_name = "TEXT")]
    caption: Option<String>,
    /// The document's name
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
    /// What there is at the location
    #[arg(long, value_name = "NAME")]
    place: Option<String>,
    /// The location's address
    #[arg(long)]
    address: Option<String>,
}

impl Written {
    /// Refuses what goes with another kind. Clap's `requires` gives way where the flag that is missing excludes one that
    /// was given, and here each excludes each.
    pub fn check(&self) -> Result<(), Usage> {
        let captioned = self.image.is_some() || self.video.is_some() || self.document.is_some();
        let (named, placed) = (self.document.is_some(), self.location.is_some());
        goes_with("--caption", self.caption.as_ref(), captioned, "--image, --video and --document")?;
        goes_with("--filename", self.filename.as_ref(), named, "--document")?;
        goes_with("--place", self.place.as_ref(), placed, "--location")?;
        goes_with("--address", self.address.as_ref(), placed, "--location")
    }

    /// The message object as live traffic has it, empty fields included.
    pub fn message(&self, id: Ulid) -> Value {
        json!({
            "id": id.to_string(),
            "text": self.text.as_deref().unwrap_or_default(),
            "attachments": self.attachment().map_or_else(|| json!([]), |attachment| json!([attachment])),
            "location": self.location(),
        })
    }

    /// The member of a request to the emulator that has it.
    pub fn request(&self) -> (&'static str, Value) {
        if let Some(attachment) = self.attachment() {
            return ("attachment", attachment);
        }
        match self.location() {
            Some(location) => ("location", location),
            None => ("text", json!(self.text)),
        }
    }

    fn attachment(&self) -> Option<Value> {
        let files = [
            ("image", &self.image),
            ("video", &self.video),
            ("audio", &self.audio),
            ("document", &self.document),
            ("sticker", &self.sticker),
        ];
        let (kind, url) = files.into_iter().find_map(|(kind, url)| Some((kind, url.as_deref()?)))?;
        let attachment = json!({"type": kind, "url": url});
        Some(with(attachment, &[("caption", &self.caption), ("filename", &self.filename)]))
    }

    fn location(&self) -> Option<Value> {
        let Coordinates { latitude, longitude } = self.location?;
        let location = json!({"latitude": latitude, "longitude": longitude});
        Some(with(location, &[("name", &self.place), ("address", &self.address)]))
    }
}
