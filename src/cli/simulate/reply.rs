//! What a customer answers with a tap: a button, a row of a list, a reaction.

use serde_json::{Value, json};
use ulid::Ulid;

use super::flag::{goes_with, with};
use crate::cli::Usage;

/// A tap. Each kind stands in the group `said`, like what is written.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Reply {
    /// The label of the button that the customer presses
    #[arg(long, value_name = "TEXT", group = "said")]
    button: Option<String>,
    /// The title of the row that the customer picks from a list
    #[arg(long, value_name = "TITLE", group = "said")]
    list: Option<String>,
    /// The developer's own id of that button or row
    #[arg(long, value_name = "ID")]
    payload: Option<String>,
    /// The emoji that the customer puts on a message; an empty one takes it back
    #[arg(long, value_name = "EMOJI", group = "said")]
    reaction: Option<String>,
}

impl Reply {
    /// Refuses an id of nothing.
    pub fn check(&self) -> Result<(), Usage> {
        let picked = self.button.is_some() || self.list.is_some();
        goes_with("--payload", self.payload.as_ref(), picked, "--button and --list")
    }

    /// The member of the body that holds it, if it is one. A pick has no `message`. Connectly shows no pick from a list and
    /// no reaction: these are the shapes that fit the rest best.
    pub fn member(&self, id: Ulid) -> Option<(&'static str, Value)> {
        let id = id.to_string();
        if let Some(title) = &self.button {
            return Some(("buttonResponse", self.with_payload(json!({"id": id, "text": title}))));
        }
        if let Some(title) = &self.list {
            return Some(("listResponse", self.with_payload(json!({"id": id, "text": title}))));
        }
        let reaction = json!({"emoji": self.reaction.as_ref()?});
        let message =
            json!({"id": id, "text": "", "attachments": [], "location": null, "reaction": reaction});
        Some(("message", message))
    }

    /// The member of a request to the emulator that has it, if it is one.
    pub fn request(&self) -> Option<(&'static str, Value)> {
        if let Some(title) = &self.button {
            return Some(("button", self.with_payload(json!({"text": title}))));
        }
        if let Some(title) = &self.list {
            return Some(("list", self.with_payload(json!({"text": title, "shape": "list"}))));
        }
        self.reaction.as_ref().map(|emoji| ("reaction", json!(emoji)))
    }

    fn with_payload(&self, pick: Value) -> Value {
        with(pick, &[("payload", &self.payload)])
    }
}
