//! The checks of the endpoint for session messages.

use super::{Kind, Outbound, callback, is_reachable, looks_like_bsuid};
use crate::emulator::errors::Refusal;
use crate::emulator::wire::{Attachment, Content, Endpoint, SendRequest, WHATSAPP, is_e164};

/// The most quick-reply buttons on a message.
const BUTTONS: usize = 3;
/// The kinds of attachment that Connectly documents.
const ATTACHMENT_TYPES: [&str; 4] = ["image", "video", "audio", "document"];

impl Outbound {
    /// Checks a session message's body as Connectly documents it.
    pub(in crate::emulator) fn session(body: &[u8]) -> Result<Self, Refusal> {
        let request: SendRequest = serde_json::from_slice(body)?;
        let recipient = request.recipient.ok_or(Refusal::Missing("recipient"))?;
        let number = customer(&recipient)?;
        let sender = request.sender.map(|sender| business(&sender)).transpose()?;
        let content = request.message.ok_or(Refusal::Missing("message"))?;
        let summary = check(&content)?;
        callback::check(request.callback_data.as_deref())?;
        Ok(Self {
            kind: Kind::Session,
            sender,
            recipient: number,
            recipient_name: recipient.name,
            summary,
            callback_data: request.callback_data,
            campaign_name: request.campaign_name,
        })
    }
}

fn customer(recipient: &Endpoint) -> Result<String, Refusal> {
    let id = recipient.id.as_deref().unwrap_or_default();
    let user_id = recipient.user_id.as_deref().unwrap_or_default();
    if id.is_empty() && user_id.is_empty() {
        return Err(Refusal::Missing("recipient.id"));
    }
    whatsapp(recipient, "recipient.channelType")?;
    if is_e164(id) {
        Ok(id.to_owned())
    } else if id.is_empty() || looks_like_bsuid(id) {
        Err(Refusal::Phoneless)
    } else {
        Err(Refusal::NumberFormat)
    }
}

fn business(sender: &Endpoint) -> Result<String, Refusal> {
    let id = sender.id.as_deref().unwrap_or_default();
    if id.is_empty() {
        return Err(Refusal::Sender);
    }
    // Unlike the recipient's, the sender's channel is not required: there is only one it can be.
    if sender.channel_type.is_some() {
        whatsapp(sender, "sender.channelType")?;
    }
    Ok(id.to_owned())
}

fn whatsapp(endpoint: &Endpoint, field: &'static str) -> Result<(), Refusal> {
    match endpoint.channel_type.as_deref().unwrap_or_default() {
        WHATSAPP => Ok(()),
        "" => Err(Refusal::Missing(field)),
        _ => Err(Refusal::Channel),
    }
}

/// Checks that there is exactly one kind of content, and answers it in a few words. A text is a kind of its own beside
/// an attachment or a location, and the body of everything interactive.
fn check(content: &Content) -> Result<String, Refusal> {
    // In protobuf's JSON an empty list and an empty text are the same as none.
    let attachments = content.attachments.as_deref().unwrap_or_default();
    let text = content.text.as_deref().filter(|text| !text.is_empty());
    let mut kinds = Vec::new();
    if !attachments.is_empty() {
        kinds.push(attachment(attachments)?);
    }
    if let Some(location) = &content.location {
        let degrees = location.latitude.abs() <= 90.0 && location.longitude.abs() <= 180.0;
        kinds.push(degrees.then_some("[location]").ok_or(Refusal::Invalid("message.location"))?);
    }
    let standalone = kinds.len();
    kinds.extend(interactive(content)?);
    match (kinds.as_slice(), text) {
        ([], Some(text)) if !text.trim().is_empty() => Ok(text.to_owned()),
        ([], _) => Err(Refusal::TextEmpty),
        ([kind], None) => Ok((*kind).to_owned()),
        ([kind], Some(text)) if standalone == 0 => Ok(format!("{text} {kind}")),
        _ => Err(Refusal::Ambiguous),
    }
}

fn attachment(attachments: &[Attachment]) -> Result<&'static str, Refusal> {
    let [attachment] = attachments else {
        return Err(Refusal::AttachmentsNumber);
    };
    if attachment.url.trim().is_empty() {
        return Err(Refusal::AttachmentEmpty);
    }
    if !is_reachable(&attachment.url) || !ATTACHMENT_TYPES.contains(&attachment.kind.as_str()) {
        return Err(Refusal::AttachmentInvalid);
    }
    Ok("[attachment]")
}

fn interactive(content: &Content) -> Result<Vec<&'static str>, Refusal> {
    let mut kinds = Vec::new();
    if let Some(list) = &content.list_message {
        let filled = !list.sections.is_empty();
        kinds.push(filled.then_some("[list]").ok_or(Refusal::Invalid("message.listMessage.sections"))?);
    }
    if let Some(message) = &content.reply_button_message {
        let counted = (1..=BUTTONS).contains(&message.buttons.len());
        let invalid = Refusal::Invalid("message.replyButtonMessage.buttons");
        kinds.push(counted.then_some("[buttons]").ok_or(invalid)?);
    }
    if content.single_product_message.is_some() {
        kinds.push("[product]");
    }
    if content.multi_product_message.is_some() {
        if content.text.as_deref().unwrap_or_default().trim().is_empty() {
            return Err(Refusal::TextEmpty);
        }
        kinds.push("[products]");
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn to(recipient: &Value, message: &Value) -> Result<Outbound, Refusal> {
        Outbound::session(json!({"recipient": recipient, "message": message}).to_string().as_bytes())
    }

    fn content(message: &Value) -> Result<String, Refusal> {
        let ana = json!({"id": "+15550100001", "channelType": "whatsapp"});
        to(&ana, message).map(|outbound| outbound.summary)
    }

    fn recipient(recipient: &Value) -> Result<String, Refusal> {
        to(recipient, &json!({"text": "hi"})).map(|outbound| outbound.recipient)
    }

    #[test]
    fn each_kind_of_content_is_accepted_alone() {
        let image = json!([{"type": "image", "url": "https://example.com/a.jpg"}]);
        let pin = json!({"latitude": 37.7, "longitude": -122.4, "name": "HQ", "address": "Main St"});
        assert_eq!(content(&json!({"text": "hi"})), Ok("hi".into()));
        assert_eq!(content(&json!({"attachments": image})), Ok("[attachment]".into()));
        assert_eq!(content(&json!({"location": pin, "attachments": []})), Ok("[location]".into()));
        assert_eq!(content(&json!({"listMessage": {"sections": [{}]}})), Ok("[list]".into()));
        assert_eq!(
            content(&json!({"text": "Yes?", "replyButtonMessage": {"buttons": [{}]}})),
            Ok("Yes? [buttons]".into())
        );
        assert_eq!(content(&json!({"singleProductMessage": {}})), Ok("[product]".into()));
    }

    #[test]
    fn content_that_is_wrong_is_refused_by_its_code() {
        let image = json!({"type": "image", "url": "https://example.com/a.jpg"});
        let attachment = |kind: &str, url: &str| json!({"attachments": [{"type": kind, "url": url}]});
        for (message, refusal) in [
            (json!({}), Refusal::TextEmpty),
            (json!({"text": "  "}), Refusal::TextEmpty),
            (json!({"sticker": {}}), Refusal::TextEmpty),
            (json!({"multiProductMessage": {}}), Refusal::TextEmpty),
            (json!({"text": "hi", "attachments": [image]}), Refusal::Ambiguous),
            (json!({"listMessage": {"sections": [1]}, "singleProductMessage": {}}), Refusal::Ambiguous),
            (json!({"attachments": [image, image]}), Refusal::AttachmentsNumber),
            (attachment("image", ""), Refusal::AttachmentEmpty),
            (attachment("image", "nowhere"), Refusal::AttachmentInvalid),
            (attachment("sticker", "https://example.com/a"), Refusal::AttachmentInvalid),
            (json!({"listMessage": {}}), Refusal::Invalid("message.listMessage.sections")),
            (
                json!({"replyButtonMessage": {"buttons": [1, 2, 3, 4]}}),
                Refusal::Invalid("message.replyButtonMessage.buttons"),
            ),
        ] {
            assert_eq!(content(&message), Err(refusal), "{message}");
        }
    }

    #[test]
    fn recipients_are_phone_numbers_on_whatsapp() {
        let whatsapp = |id: &str| json!({"id": id, "channelType": "whatsapp"});
        assert_eq!(recipient(&whatsapp("+15550100001")), Ok("+15550100001".into()));
        assert_eq!(recipient(&whatsapp("5550100001")), Err(Refusal::NumberFormat));
        assert_eq!(recipient(&whatsapp("US.13491208655302741918")), Err(Refusal::Phoneless));
        assert_eq!(
            recipient(&json!({"userId": "US.1349", "channelType": "whatsapp"})),
            Err(Refusal::Phoneless)
        );
        assert_eq!(recipient(&whatsapp("")), Err(Refusal::Missing("recipient.id")));
        assert_eq!(recipient(&json!({"id": "+15550100001"})), Err(Refusal::Missing("recipient.channelType")));
        assert_eq!(recipient(&json!({"id": "+15550100001", "channelType": "sms"})), Err(Refusal::Channel));
    }

    #[test]
    fn required_fields_are_named_and_other_json_is_malformed() {
        let refusal = |body: &str| Outbound::session(body.as_bytes()).err();
        assert_eq!(refusal("{}"), Some(Refusal::Missing("recipient")));
        let no_message = r#"{"recipient":{"id":"+15550100001","channelType":"whatsapp"}}"#;
        assert_eq!(refusal(no_message), Some(Refusal::Missing("message")));
        assert!(matches!(refusal("[1"), Some(Refusal::Malformed { .. })));
        assert!(matches!(refusal(r#"{"message":{"text":1}}"#), Some(Refusal::Malformed { .. })));
    }
}
