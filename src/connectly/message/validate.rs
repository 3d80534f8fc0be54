//! The rules of a message: one kind of content, and every part within WhatsApp's limits.

use std::collections::HashSet;

use super::findings::Findings;
use super::{
    Attachment, AttachmentKind, Footer, Header, Invalid, ListMessage, Location, Message, MultiProductMessage,
    Problem, ReplyButtonMessage, SingleProductMessage, Text, limits,
};

/// Everything wrong with a message.
pub(super) fn problems(message: &Message) -> Vec<Invalid> {
    let mut found = Findings::default();
    one_kind(&mut found, message);
    if let Some(first) = message.attachments.first() {
        found.size("message.attachments", message.attachments.len(), limits::ATTACHMENTS);
        attachment(&mut found, "message.attachments[0]", first);
    }
    if let Some(pin) = &message.location {
        location(&mut found, "message.location", pin);
    }
    if let Some(list) = &message.list_message {
        list_message(&mut found, "message.listMessage", list);
    }
    if let Some(buttons) = &message.reply_button_message {
        reply_buttons(&mut found, "message.replyButtonMessage", buttons);
    }
    if let Some(product) = &message.single_product_message {
        single_product(&mut found, "message.singleProductMessage", product);
    }
    if let Some(products) = &message.multi_product_message {
        multi_product(&mut found, "message.multiProductMessage", products);
    }
    found.into_problems()
}

/// `text` is a kind by itself, the body of the interactive kinds, and out of place beside media and pins.
fn one_kind(found: &mut Findings, message: &Message) {
    const TEXT: &str = "message.text";
    let text = message.text.as_ref();
    match kinds(message)[..] {
        [] => match text {
            Some(text) => found.required(TEXT, text, limits::TEXT),
            None => found.add("message", Problem::Kinds { found: Vec::new() }),
        },
        // Connectly's own sample of a list comes without a body, WhatsApp's pages ask for one: Connectly decides.
        ["listMessage"] => found.optional(TEXT, text, limits::LIST_BODY),
        ["singleProductMessage"] => found.optional(TEXT, text, limits::PRODUCT_BODY),
        ["replyButtonMessage"] => found.body(TEXT, text, limits::BUTTONS_BODY),
        ["multiProductMessage"] => found.body(TEXT, text, limits::PRODUCT_BODY),
        ["attachments"] if has_words(text) => found.rule(TEXT, "cannot stand beside media: use the caption"),
        ["location"] if has_words(text) => found.rule(TEXT, "cannot stand beside a location"),
        [_] => {}
        [..] => found.add("message", Problem::Kinds { found: kinds(message) }),
    }
}

fn has_words(text: Option<&Text>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

/// The keys of the content, `text` aside.
fn kinds(message: &Message) -> Vec<&'static str> {
    let present = [
        ("attachments", !message.attachments.is_empty()),
        ("location", message.location.is_some()),
        ("listMessage", message.list_message.is_some()),
        ("replyButtonMessage", message.reply_button_message.is_some()),
        ("singleProductMessage", message.single_product_message.is_some()),
        ("multiProductMessage", message.multi_product_message.is_some()),
    ];
    present.into_iter().filter_map(|(key, there)| there.then_some(key)).collect()
}

fn attachment(found: &mut Findings, path: &str, attachment: &Attachment) {
    found.url(&format!("{path}.url"), &attachment.url);
    found.optional(&format!("{path}.caption"), attachment.caption.as_ref(), limits::CAPTION);
    if attachment.kind == AttachmentKind::Audio && has_words(attachment.caption.as_ref()) {
        found.whatsapp_rule(&format!("{path}.caption"), "is not shown with audio");
    }
    if attachment.kind != AttachmentKind::Document && has_words(attachment.filename.as_ref()) {
        found.rule(&format!("{path}.filename"), "is for documents only");
    }
}

fn location(found: &mut Findings, path: &str, location: &Location) {
    if !(-90.0..=90.0).contains(&location.latitude) {
        found.rule(&format!("{path}.latitude"), "must be between -90 and 90");
    }
    if !(-180.0..=180.0).contains(&location.longitude) {
        found.rule(&format!("{path}.longitude"), "must be between -180 and 180");
    }
}

fn list_message(found: &mut Findings, path: &str, list: &ListMessage) {
    words_header(found, &format!("{path}.header"), list.header.as_ref());
    footer(found, path, list.footer.as_ref());
    found.required(&format!("{path}.button.text"), &list.button.text, limits::BUTTON_TEXT);
    let titles: Vec<_> = list.sections.iter().map(|section| section.title.as_ref()).collect();
    sections(found, path, &titles);
    let rows = list.sections.iter().map(|section| section.rows.len()).sum();
    found.size(&format!("{path}.sections[].rows"), rows, limits::ROWS);
    let mut ids = HashSet::new();
    for (section, content) in list.sections.iter().enumerate() {
        for (row, content) in content.rows.iter().enumerate() {
            let path = format!("{path}.sections[{section}].rows[{row}]");
            found.required(&format!("{path}.id"), &content.id, limits::ROW_ID);
            found.unique(&format!("{path}.id"), &content.id, &mut ids);
            found.required(&format!("{path}.text"), &content.text, limits::ROW_TEXT);
            let description = content.description.as_ref();
            found.optional(&format!("{path}.description"), description, limits::ROW_DESCRIPTION);
        }
    }
}

fn reply_buttons(found: &mut Findings, path: &str, message: &ReplyButtonMessage) {
    if let Some(header) = &message.header {
        media_header(found, &format!("{path}.header"), header);
    }
    footer(found, path, message.footer.as_ref());
    found.size(&format!("{path}.buttons"), message.buttons.len(), limits::BUTTONS);
    let (mut ids, mut texts) = (HashSet::new(), HashSet::new());
    for (index, button) in message.buttons.iter().enumerate() {
        let (id, text) = (format!("{path}.buttons[{index}].id"), format!("{path}.buttons[{index}].text"));
        found.required(&id, &button.id, limits::BUTTON_ID);
        if button.id.trim() != &*button.id {
            found.whatsapp_rule(&id, "must not begin or end with a space");
        }
        found.unique(&id, &button.id, &mut ids);
        found.required(&text, &button.text, limits::BUTTON_TEXT);
        found.unique(&text, &button.text, &mut texts);
    }
}

fn single_product(found: &mut Findings, path: &str, message: &SingleProductMessage) {
    footer(found, path, message.footer.as_ref());
    found.present(&format!("{path}.catalogId"), &message.catalog_id);
    let id = &message.product_item.product_retailer_id;
    found.present(&format!("{path}.productItem.productRetailerId"), id);
}

fn multi_product(found: &mut Findings, path: &str, message: &MultiProductMessage) {
    match &message.header {
        Some(header) => words_header(found, &format!("{path}.header"), Some(header)),
        None => found.add(&format!("{path}.header"), Problem::Missing),
    }
    footer(found, path, message.footer.as_ref());
    found.present(&format!("{path}.catalogId"), &message.catalog_id);
    let titles: Vec<_> = message.sections.iter().map(|section| section.title.as_ref()).collect();
    sections(found, path, &titles);
    let items = message.sections.iter().map(|section| section.product_items.len()).sum();
    found.size(&format!("{path}.sections[].productItems"), items, limits::PRODUCTS);
    for (section, content) in message.sections.iter().enumerate() {
        for (item, content) in content.product_items.iter().enumerate() {
            let path = format!("{path}.sections[{section}].productItems[{item}].productRetailerId");
            found.present(&path, &content.product_retailer_id);
        }
    }
}

fn sections(found: &mut Findings, path: &str, titles: &[Option<&Text>]) {
    found.size(&format!("{path}.sections"), titles.len(), limits::SECTIONS);
    for (index, title) in titles.iter().enumerate() {
        let path = format!("{path}.sections[{index}].title");
        found.optional(&path, *title, limits::SECTION_TITLE);
        if titles.len() > 1 && !has_words(*title) {
            found.whatsapp_rule(&path, "is required when there is more than one section");
        }
    }
}

/// A header where WhatsApp takes words only, against Connectly's page, which shows media on lists too.
fn words_header(found: &mut Findings, path: &str, header: Option<&Header>) {
    let Some(header) = header else { return };
    if header.attachment.is_some() {
        found.whatsapp_rule(
            &format!("{path}.attachment"),
            "is not shown here: WhatsApp takes a header of text only",
        );
    } else {
        found.body(&format!("{path}.text"), header.text.as_ref(), limits::HEADER);
    }
}

fn media_header(found: &mut Findings, path: &str, header: &Header) {
    match (&header.text, &header.attachment) {
        (Some(text), None) => found.required(&format!("{path}.text"), text, limits::HEADER),
        (None, Some(media)) if media.kind == AttachmentKind::Audio => {
            found.whatsapp_rule(&format!("{path}.attachment.type"), "must be image, video or document");
        }
        (None, Some(media)) => attachment(found, &format!("{path}.attachment"), media),
        (None, None) | (Some(_), Some(_)) => found.rule(path, "must hold either text or an attachment"),
    }
}

fn footer(found: &mut Findings, path: &str, footer: Option<&Footer>) {
    if let Some(footer) = footer {
        found.required(&format!("{path}.footer.text"), &footer.text, limits::FOOTER);
    }
}
