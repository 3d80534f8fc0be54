//! What a customer writes or presses.

use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

use super::{BUSINESS, CUSTOMER, endpoint};

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  switchboard simulate inbound --text hi
  switchboard simulate inbound --button Yes --payload confirm";

/// What the business is called.
const BUSINESS_NAME: &str = "Shop";

/// An inbound message.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the customer writes
    #[arg(long, required_unless_present = "button", conflicts_with = "button")]
    text: Option<String>,
    /// The label of the button that the customer presses
    #[arg(long, value_name = "TEXT")]
    button: Option<String>,
    /// The developer's own id of that button
    #[arg(long, requires = "button")]
    payload: Option<String>,
    /// The customer's number
    #[arg(long, value_name = "NUMBER", default_value = CUSTOMER)]
    from: String,
    /// The business's number
    #[arg(long, value_name = "NUMBER", default_value = BUSINESS)]
    to: String,
    /// The customer's name
    #[arg(long, default_value = "Ana")]
    name: String,
}

impl Args {
    /// The body that Connectly would send: as seen live, with ids and empty fields that its samples leave out, and for a
    /// button without a `message`.
    pub fn body(&self, now: Timestamp, id: Ulid) -> Value {
        let mut body = json!({
            "timestamp": now.as_second().to_string(),
            "sender": endpoint(&self.from, Some(&self.name)),
            "recipient": endpoint(&self.to, Some(BUSINESS_NAME)),
        });
        let id = id.to_string();
        match &self.button {
            Some(label) => body["buttonResponse"] = with_payload(json!({"id": id, "text": label}), self),
            None => {
                body["message"] = json!({"id": id, "text": self.text, "attachments": [], "location": null});
            }
        }
        body
    }

    /// What the emulator is asked to make a customer do.
    pub fn request(&self) -> Value {
        let mut request = json!({"from": self.from, "to": self.to, "name": self.name});
        match &self.button {
            Some(label) => request["button"] = with_payload(json!({"text": label}), self),
            None => request["text"] = json!(self.text),
        }
        request
    }
}

fn with_payload(mut button: Value, args: &Args) -> Value {
    if let Some(payload) = &args.payload {
        button["payload"] = json!(payload);
    }
    button
}
