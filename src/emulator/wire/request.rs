//! The body of `POST /v1/businesses/{businessId}/send/messages`. Both spellings of protobuf's JSON are read.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::interactive::{ListMessage, MultiProductMessage, ReplyButtonMessage, SingleProductMessage};

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
    pub(in crate::emulator) order: Option<Order>,
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

/// The message object: one kind of content, with a text beside the interactive kinds. `referral`, which only Connectly
/// sets, is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct Content {
    #[expect(dead_code, reason = "read for its type alone: what it is for is not documented")]
    pub(in crate::emulator) id: Option<String>,
    #[expect(dead_code, reason = "read for its type alone")]
    #[serde(alias = "is_echo")]
    pub(in crate::emulator) is_echo: Option<bool>,
    pub(in crate::emulator) text: Option<String>,
    pub(in crate::emulator) attachments: Option<Vec<Attachment>>,
    pub(in crate::emulator) location: Option<Location>,
    #[serde(alias = "list_message")]
    pub(in crate::emulator) list_message: Option<ListMessage>,
    #[serde(alias = "reply_button_message")]
    pub(in crate::emulator) reply_button_message: Option<ReplyButtonMessage>,
    #[serde(alias = "single_product_message")]
    pub(in crate::emulator) single_product_message: Option<SingleProductMessage>,
    #[serde(alias = "multi_product_message")]
    pub(in crate::emulator) multi_product_message: Option<MultiProductMessage>,
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

/// When the message is dispatched, relative to another one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct Order {
    #[expect(dead_code, reason = "read for its type alone: what waits for what is not documented")]
    #[serde(alias = "parent_id")]
    pub(in crate::emulator) parent_id: Option<String>,
    pub(in crate::emulator) strategy: Option<String>,
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
        let message = r#"{
            "list_message": {"sections": [{}]}, "reply_button_message": {}, "multi_product_message": {},
            "single_product_message": {"catalog_id": "7", "product_item": {"product_retailer_id": "8"}}
        }"#;
        let body = format!(
            r#"{{"recipient": {{"id": "+1", "channel_type": "whatsapp", "user_id": "US.1"}}, "message": {message}}}"#
        );
        let request: SendRequest = serde_json::from_str(&body).unwrap();
        let recipient = request.recipient.unwrap();
        assert_eq!(recipient.channel_type.as_deref(), Some("whatsapp"));
        assert_eq!(recipient.user_id.as_deref(), Some("US.1"));
        let message = request.message.unwrap();
        assert_eq!(message.list_message.unwrap().sections.unwrap().len(), 1);
        assert!(message.reply_button_message.is_some() && message.multi_product_message.is_some());
        let product = message.single_product_message.unwrap();
        assert_eq!(product.catalog_id.as_deref(), Some("7"));
        assert_eq!(product.product_item.unwrap().product_retailer_id.as_deref(), Some("8"));
    }
}
