//! The body of `POST /v1/businesses/{businessId}/send/messages`. Both spellings of protobuf's JSON are read.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A send as it came. Everything is optional here; what must be there is checked afterwards, with Connectly's codes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct SendRequest {
    pub(in crate::emulator) sender: Option<Endpoint>,
    pub(in crate::emulator) recipient: Option<Endpoint>,
    pub(in crate::emulator) message: Option<Content>,
    /// Byte for byte; `Some` of `null` when it was null.
    #[serde(default, alias = "callback_data", deserialize_with = "present")]
    pub(in crate::emulator) callback_data: Option<Box<RawValue>>,
    #[serde(alias = "campaign_name")]
    pub(in crate::emulator) campaign_name: Option<String>,
}

/// One end of a conversation, as a request names it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct Endpoint {
    pub(in crate::emulator) id: Option<String>,
    #[serde(alias = "channel_type")]
    pub(in crate::emulator) channel_type: Option<String>,
    pub(in crate::emulator) name: Option<String>,
    #[serde(alias = "user_id")]
    pub(in crate::emulator) user_id: Option<String>,
}

/// The message object: one kind of content, with a text beside the interactive kinds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct Content {
    pub(in crate::emulator) text: Option<String>,
    pub(in crate::emulator) attachments: Option<Vec<Attachment>>,
    pub(in crate::emulator) location: Option<Location>,
    #[serde(alias = "list_message")]
    pub(in crate::emulator) list_message: Option<ListMessage>,
    #[serde(alias = "reply_button_message")]
    pub(in crate::emulator) reply_button_message: Option<ReplyButtonMessage>,
    #[serde(alias = "single_product_message")]
    pub(in crate::emulator) single_product_message: Option<Value>,
    #[serde(alias = "multi_product_message")]
    pub(in crate::emulator) multi_product_message: Option<Value>,
}

/// A file, inbound and outbound.
#[derive(Clone, Deserialize, Serialize)]
pub struct Attachment {
    /// `image`, `video`, `audio` or `document`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Where it can be fetched.
    #[serde(default)]
    pub url: String,
    /// The text under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// The name of a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// A pin on the map, inbound and outbound.
#[derive(Clone, Deserialize, Serialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A menu; only what is counted is read.
#[derive(Deserialize)]
pub(in crate::emulator) struct ListMessage {
    #[serde(default)]
    pub(in crate::emulator) sections: Vec<Value>,
}

/// Quick-reply buttons; only what is counted is read.
#[derive(Deserialize)]
pub(in crate::emulator) struct ReplyButtonMessage {
    #[serde(default)]
    pub(in crate::emulator) buttons: Vec<Value>,
}

/// Tells a null from an absent field, which an `Option` alone does not.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(body: &str) -> Option<String> {
        let request: SendRequest = serde_json::from_str(body).unwrap();
        request.callback_data.map(|data| data.get().to_owned())
    }

    #[test]
    fn callback_data_is_kept_byte_for_byte() {
        assert_eq!(callback("{}"), None);
        assert_eq!(callback(r#"{"callbackData": null}"#).as_deref(), Some("null"));
        assert_eq!(
            callback(r#"{"callbackData": {"b": 1.10, "a":  2}}"#).as_deref(),
            Some(r#"{"b": 1.10, "a":  2}"#)
        );
    }

    #[test]
    fn snake_case_is_read_too() {
        let request: SendRequest = serde_json::from_str(
            r#"{"recipient":{"id":"+1","channel_type":"whatsapp"},"message":{"list_message":{"sections":[1]}}}"#,
        )
        .unwrap();
        assert_eq!(request.recipient.unwrap().channel_type.as_deref(), Some("whatsapp"));
        assert_eq!(request.message.unwrap().list_message.unwrap().sections.len(), 1);
    }
}
