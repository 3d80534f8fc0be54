//! The content of a session message: exactly one kind, in order.

use super::field::optional;
use super::{interactive, is_reachable, product};
use crate::emulator::errors::Refusal;
use crate::emulator::wire::{
    Attachment, Content, ListMessage, Location, MultiProductMessage, ReplyButtonMessage, SingleProductMessage,
};

/// The most characters in a text that stands alone.
const TEXT: usize = 4_096;
/// The kinds of attachment that Connectly documents.
const ATTACHMENT_TYPES: [&str; 4] = ["image", "video", "audio", "document"];

/// One kind of content besides a text. A text is a kind of its own, never beside a file or a pin, and the body of
/// everything interactive.
enum Part<'a> {
    Attachments(&'a [Attachment]),
    Location(&'a Location),
    List(&'a ListMessage),
    ReplyButtons(&'a ReplyButtonMessage),
    SingleProduct(&'a SingleProductMessage),
    MultiProduct(&'a MultiProductMessage),
}

/// Checks that there is exactly one kind of content, and answers it in a few words.
pub(super) fn check(content: &Content) -> Result<String, Refusal> {
    // In protobuf's JSON an empty text is the same as none.
    let text = content.text.as_deref().filter(|text| !text.is_empty());
    match (parts(content).as_slice(), text) {
        ([], Some(text)) if !text.trim().is_empty() => {
            optional(Some(text), TEXT, "message.text")?;
            Ok(text.to_owned())
        }
        ([], _) => Err(Refusal::TextEmpty),
        ([part], text) => {
            part.check(text)?;
            Ok(text.map_or_else(|| part.words().to_owned(), |text| format!("{text} {}", part.words())))
        }
        _ => Err(Refusal::Ambiguous),
    }
}

fn parts(content: &Content) -> Vec<Part<'_>> {
    let attachments = content.attachments.as_deref().filter(|attachments| !attachments.is_empty());
    let parts = [
        attachments.map(Part::Attachments),
        content.location.as_ref().map(Part::Location),
        content.list_message.as_ref().map(Part::List),
        content.reply_button_message.as_ref().map(Part::ReplyButtons),
        content.single_product_message.as_ref().map(Part::SingleProduct),
        content.multi_product_message.as_ref().map(Part::MultiProduct),
    ];
    parts.into_iter().flatten().collect()
}

impl Part<'_> {
    /// Checks it with the text beside it.
    fn check(&self, text: Option<&str>) -> Result<(), Refusal> {
        match self {
            Self::Attachments(_) | Self::Location(_) if text.is_some() => Err(Refusal::Ambiguous),
            Self::Attachments([attachment]) => file(attachment, &ATTACHMENT_TYPES),
            Self::Attachments(_) => Err(Refusal::AttachmentsNumber),
            Self::Location(location) => pin(location),
            Self::List(message) => interactive::list(message, text),
            Self::ReplyButtons(message) => interactive::reply_buttons(message, text),
            Self::SingleProduct(message) => product::single(message, text),
            Self::MultiProduct(message) => product::multi(message, text),
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Attachments(_) => "[attachment]",
            Self::Location(_) => "[location]",
            Self::List(_) => "[list]",
            Self::ReplyButtons(_) => "[buttons]",
            Self::SingleProduct(_) => "[product]",
            Self::MultiProduct(_) => "[products]",
        }
    }
}

/// Checks a file, which must be of one of these types. Only a document has a name.
pub(super) fn file(attachment: &Attachment, types: &[&str]) -> Result<(), Refusal> {
    if attachment.url.trim().is_empty() {
        return Err(Refusal::AttachmentEmpty);
    }
    let kind = attachment.kind.as_str();
    let is_named = attachment.filename.as_deref().is_some_and(|name| !name.is_empty());
    let in_order =
        is_reachable(&attachment.url) && types.contains(&kind) && (!is_named || kind == "document");
    in_order.then_some(()).ok_or(Refusal::AttachmentInvalid)
}

fn pin(location: &Location) -> Result<(), Refusal> {
    let on_earth = location.latitude.abs() <= 90.0 && location.longitude.abs() <= 180.0;
    on_earth.then_some(()).ok_or(Refusal::Invalid("message.location"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn content(message: &Value) -> Result<String, Refusal> {
        check(&serde_json::from_value(message.clone()).unwrap())
    }

    fn attachment(kind: &str, url: &str) -> Value {
        json!({"attachments": [{"type": kind, "url": url}]})
    }

    fn list() -> Value {
        json!({"button": {"text": "Select"}, "sections": [{"rows": [{"id": "1", "text": "Row"}]}]})
    }

    fn product() -> Value {
        json!({"catalogId": "7", "productItem": {"productRetailerId": "8"}})
    }

    #[test]
    fn each_kind_of_content_is_accepted_alone() {
        let pin = json!({"latitude": 37.7, "longitude": -122.4, "name": "HQ", "address": "Main St"});
        let buttons = json!({"buttons": [{"id": "yes", "text": "Yes"}]});
        let section = json!({"productItems": [{"productRetailerId": "8"}]});
        let products = json!({"header": {"text": "New"}, "catalogId": "7", "sections": [section]});
        for (message, words) in [
            (json!({"text": "hi"}), "hi"),
            (attachment("image", "https://example.com/a.jpg"), "[attachment]"),
            (json!({"location": pin, "attachments": [], "text": ""}), "[location]"),
            (json!({"listMessage": list()}), "[list]"),
            (json!({"text": "Which?", "listMessage": list()}), "Which? [list]"),
            (json!({"text": "Yes?", "replyButtonMessage": buttons}), "Yes? [buttons]"),
            (json!({"replyButtonMessage": buttons}), "[buttons]"),
            (json!({"singleProductMessage": product()}), "[product]"),
            (json!({"text": "Look", "multiProductMessage": products}), "Look [products]"),
        ] {
            assert_eq!(content(&message).as_deref(), Ok(words), "{message}");
        }
    }

    #[test]
    fn what_only_connectly_sets_is_tolerated() {
        let message = json!({"id": "01FPW47QF69Y5JZH24605VAKQB", "text": "hi", "isEcho": true,
            "referral": {"sourceType": "ad"}});
        assert_eq!(content(&message).as_deref(), Ok("hi"));
    }

    #[test]
    fn content_that_is_wrong_is_refused_by_its_code() {
        let image = json!({"type": "image", "url": "https://example.com/a.jpg"});
        let pin = json!({"latitude": 37.7, "longitude": -122.4});
        for (message, refusal) in [
            (json!({}), Refusal::TextEmpty),
            (json!({"text": "  "}), Refusal::TextEmpty),
            (json!({"sticker": {}}), Refusal::TextEmpty),
            (json!({"text": "hi", "attachments": [image]}), Refusal::Ambiguous),
            (json!({"text": "hi", "location": pin}), Refusal::Ambiguous),
            (json!({"location": pin, "attachments": [image]}), Refusal::Ambiguous),
            (json!({"listMessage": list(), "singleProductMessage": product()}), Refusal::Ambiguous),
            (json!({"attachments": [image, image]}), Refusal::AttachmentsNumber),
            (attachment("image", ""), Refusal::AttachmentEmpty),
            (attachment("image", "nowhere"), Refusal::AttachmentInvalid),
            (attachment("sticker", "https://example.com/a"), Refusal::AttachmentInvalid),
            (json!({"listMessage": {}}), Refusal::Missing("message.listMessage.button.text")),
            (json!({"replyButtonMessage": {}}), Refusal::Invalid("message.replyButtonMessage.buttons")),
            (json!({"singleProductMessage": {}}), Refusal::Missing("message.singleProductMessage.catalogId")),
            (json!({"multiProductMessage": {}}), Refusal::TextEmpty),
        ] {
            assert_eq!(content(&message), Err(refusal), "{message}");
        }
    }

    #[test]
    fn a_text_has_a_limit() {
        let text = |length: usize| content(&json!({"text": "é".repeat(length)}));
        assert!(text(4_096).is_ok());
        assert_eq!(text(4_097), Err(Refusal::Invalid("message.text")));
    }

    #[test]
    fn only_a_document_has_a_name() {
        let named = |kind: &str| {
            let file = json!({"type": kind, "url": "https://example.com/a", "filename": "a"});
            content(&json!({"attachments": [file]}))
        };
        assert!(named("document").is_ok());
        assert_eq!(named("image"), Err(Refusal::AttachmentInvalid));
    }

    #[test]
    fn a_pin_is_on_earth() {
        let pin = |latitude: f64, longitude: f64| {
            content(&json!({"location": {"latitude": latitude, "longitude": longitude}})).is_ok()
        };
        assert!(pin(90.0, 180.0) && pin(-90.0, -180.0));
        assert!(!pin(90.1, 0.0) && !pin(-90.1, 0.0) && !pin(0.0, 180.1) && !pin(0.0, -180.1));
    }
}
