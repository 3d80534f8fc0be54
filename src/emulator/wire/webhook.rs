//! The bodies of the webhooks. A field that is `None` is not on the wire; where Connectly prints a null, the type holds one.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Attachment, Location, WHATSAPP};
use crate::emulator::errors::ErrorBody;

/// One end of a conversation, as a webhook names it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct Party {
    id: String,
    channel_type: &'static str,
    /// Absent in the oldest generation, null when not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Value>,
    /// The customer's BSUID, where the number has them enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Beside a BSUID only: empty when the customer shows no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<String>,
}

impl Party {
    /// A party with its name, or with null for one that is not known.
    pub(in crate::emulator) fn named(id: &str, name: Option<&str>) -> Self {
        Self { name: Some(name.map_or(Value::Null, Value::from)), ..Self::nameless(id) }
    }

    /// A party as the oldest generation shows it, without the key `name`.
    pub(in crate::emulator) fn nameless(id: &str) -> Self {
        Self { id: id.to_owned(), channel_type: WHATSAPP, name: None, user_id: None, phone_number: None }
    }

    /// The same party with its BSUID, which is its id as well when it shows no number.
    pub(in crate::emulator) fn with_user_id(self, user_id: &str) -> Self {
        let number = if self.id == user_id { String::new() } else { self.id.clone() };
        Self { user_id: Some(user_id.to_owned()), phone_number: Some(number), ..self }
    }
}

/// A delivery status: from the business's number to the customer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct StatusWebhook<'a> {
    pub(in crate::emulator) topic: &'static str,
    pub(in crate::emulator) timestamp: String,
    pub(in crate::emulator) sender: Party,
    pub(in crate::emulator) recipient: Party,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) callback_data: Option<&'a RawValue>,
    pub(in crate::emulator) status_update: StatusUpdate,
}

/// What became of a message.
#[derive(Serialize)]
pub(in crate::emulator) struct StatusUpdate {
    pub(in crate::emulator) id: String,
    pub(in crate::emulator) status: &'static str,
    pub(in crate::emulator) error: Option<ErrorBody>,
    /// `{"campaignName": ...}`, where the message had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) metadata: Option<Value>,
}

/// Something that a customer sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct InboundWebhook<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) topic: Option<&'static str>,
    pub(in crate::emulator) timestamp: String,
    pub(in crate::emulator) sender: Party,
    pub(in crate::emulator) recipient: Party,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) callback_data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) context: Option<Quoted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) message: Option<InboundMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) button_response: Option<TapResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) list_response: Option<TapResponse>,
}

/// The message that is answered, in the UUID spelling of its ULID.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct Quoted {
    pub(in crate::emulator) reply_to_id: String,
}

/// The message object: all keys of live traffic, or the two of the oldest button replies.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::emulator) enum InboundMessage {
    /// As live traffic has it, `attachments` and `location` included when they are empty.
    Live {
        id: String,
        text: String,
        attachments: Vec<Attachment>,
        location: Option<Location>,
        #[serde(skip_serializing_if = "Option::is_none")]
        referral: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reaction: Option<Reaction>,
    },
    /// A button reply that is marked by a flag.
    #[serde(rename_all = "camelCase")]
    Button { text: String, is_button_response: bool },
}

/// An emoji on a message.
#[derive(Serialize)]
pub(in crate::emulator) struct Reaction {
    pub(in crate::emulator) emoji: String,
}

/// A reply by a tap, on a button or on a row, in its own object.
#[derive(Serialize)]
pub(in crate::emulator) struct TapResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) id: Option<String>,
    pub(in crate::emulator) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) payload: Option<String>,
}
