//! Lists and reply buttons, as Connectly documents them and within WhatsApp's limits.
//!
//! WhatsApp wants a body with both, and a header of words on lists; Connectly's page shows a list without the one and
//! with a picture for the other. Here Connectly's page holds.

use std::collections::BTreeSet;

use super::content::file;
use super::field::{counted, optional, required, titles};
use crate::emulator::errors::Refusal;
use crate::emulator::wire::{Header, ListMessage, ReplyButtonMessage, Words};

/// The most characters in a list's body, and in that of a message with buttons.
const LIST_BODY: usize = 4_096;
const BUTTONS_BODY: usize = 1_024;
/// The most characters in a header of words, and in a footer.
const HEADER: usize = 60;
const FOOTER: usize = 60;
/// The most characters on a button, also on the one that opens a list.
const BUTTON_TEXT: usize = 20;
const BUTTON_ID: usize = 256;
/// The quick-reply buttons on a message.
const BUTTONS: std::ops::RangeInclusive<usize> = 1..=3;
/// The groups of a list, and its rows over all groups together.
const SECTIONS: std::ops::RangeInclusive<usize> = 1..=10;
const ROWS: std::ops::RangeInclusive<usize> = 1..=10;
/// The most characters in the parts of a list.
const SECTION_TITLE: usize = 24;
const ROW_ID: usize = 200;
const ROW_TEXT: usize = 24;
const ROW_DESCRIPTION: usize = 72;
/// The kinds of file that a header may hold.
const HEADER_TYPES: [&str; 3] = ["image", "video", "document"];

/// Checks a menu and the text that is its body.
pub(super) fn list(list: &ListMessage, body: Option<&str>) -> Result<(), Refusal> {
    optional(body, LIST_BODY, "message.text")?;
    header(list.header.as_ref(), "message.listMessage.header")?;
    footer(list.footer.as_ref(), "message.listMessage.footer.text")?;
    let button = list.button.as_ref().and_then(|button| button.text.as_deref());
    required(button, BUTTON_TEXT, "message.listMessage.button.text")?;
    let sections = list.sections.as_deref().unwrap_or_default();
    counted(sections.len(), SECTIONS, "message.listMessage.sections")?;
    let headings: Vec<_> = sections.iter().map(|section| section.title.as_deref()).collect();
    titles(&headings, SECTION_TITLE, "message.listMessage.sections.title")?;
    let rows: Vec<_> = sections.iter().filter_map(|section| section.rows.as_deref()).flatten().collect();
    counted(rows.len(), ROWS, "message.listMessage.sections.rows")?;
    for row in rows {
        required(row.id.as_deref(), ROW_ID, "message.listMessage.sections.rows.id")?;
        required(row.text.as_deref(), ROW_TEXT, "message.listMessage.sections.rows.text")?;
        let description = row.description.as_deref();
        optional(description, ROW_DESCRIPTION, "message.listMessage.sections.rows.description")?;
    }
    Ok(())
}

/// Checks quick-reply buttons and the text that is their body.
pub(super) fn reply_buttons(message: &ReplyButtonMessage, body: Option<&str>) -> Result<(), Refusal> {
    const ID: &str = "message.replyButtonMessage.buttons.id";
    const TEXT: &str = "message.replyButtonMessage.buttons.text";
    optional(body, BUTTONS_BODY, "message.text")?;
    header(message.header.as_ref(), "message.replyButtonMessage.header")?;
    footer(message.footer.as_ref(), "message.replyButtonMessage.footer.text")?;
    let buttons = message.buttons.as_deref().unwrap_or_default();
    counted(buttons.len(), BUTTONS, "message.replyButtonMessage.buttons")?;
    let mut labels = BTreeSet::new();
    for button in buttons {
        let id = button.id.as_deref();
        required(id, BUTTON_ID, ID)?;
        if id.is_some_and(|id| id.trim() != id) {
            return Err(Refusal::Invalid(ID));
        }
        required(button.text.as_deref(), BUTTON_TEXT, TEXT)?;
        if !labels.insert(button.text.as_deref()) {
            return Err(Refusal::Invalid(TEXT));
        }
    }
    Ok(())
}

/// Words or a file, never both.
fn header(header: Option<&Header>, name: &'static str) -> Result<(), Refusal> {
    let Some(Header { text, attachment }) = header else { return Ok(()) };
    let text = text.as_deref().filter(|text| !text.is_empty());
    match (text, attachment) {
        (None, Some(attachment)) => file(attachment, &HEADER_TYPES),
        (text, None) => required(text, HEADER, name),
        (Some(_), Some(_)) => Err(Refusal::Invalid(name)),
    }
}

/// A header that takes words only, and must be there.
pub(super) fn words_header(header: Option<&Header>, name: &'static str) -> Result<(), Refusal> {
    let header = header.ok_or(Refusal::Missing(name))?;
    if header.attachment.is_some() {
        return Err(Refusal::Invalid(name));
    }
    required(header.text.as_deref(), HEADER, name)
}

/// Small print, which has words when it is there.
pub(super) fn footer(footer: Option<&Words>, name: &'static str) -> Result<(), Refusal> {
    footer.map_or(Ok(()), |footer| required(footer.text.as_deref(), FOOTER, name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    type Check = fn(&Value, Option<&str>) -> Result<(), Refusal>;

    fn of(characters: usize) -> String {
        "é".repeat(characters)
    }

    fn rows(count: usize) -> Value {
        (0..count).map(|row| json!({"id": row.to_string(), "text": "Row"})).collect()
    }

    /// A small list with these keys in place of its own.
    fn checked_list(changes: &Value, body: Option<&str>) -> Result<(), Refusal> {
        let mut message = json!({"button": {"text": "Select"}, "sections": [{"rows": rows(1)}]});
        message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        list(&serde_json::from_value(message).unwrap(), body)
    }

    fn list_with(changes: &Value) -> Result<(), Refusal> {
        checked_list(changes, None)
    }

    fn row_with(key: &str, value: &str) -> Result<(), Refusal> {
        let mut row = json!({"id": "1", "text": "Row"});
        row[key] = json!(value);
        list_with(&json!({"sections": [{"rows": [row]}]}))
    }

    /// Two buttons with these keys in place of the message's own.
    fn checked_buttons(changes: &Value, body: Option<&str>) -> Result<(), Refusal> {
        let mut message = json!({"buttons": buttons(2)});
        message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        reply_buttons(&serde_json::from_value(message).unwrap(), body)
    }

    fn buttons(count: usize) -> Value {
        (0..count)
            .map(|button| json!({"id": button.to_string(), "text": format!("Button {button}")}))
            .collect()
    }

    fn button_with(key: &str, value: &str) -> Result<(), Refusal> {
        let mut button = json!({"id": "1", "text": "Yes"});
        button[key] = json!(value);
        checked_buttons(&json!({"buttons": [button, {"id": "2", "text": "No"}]}), None)
    }

    fn invalid(name: &'static str) -> Result<(), Refusal> {
        Err(Refusal::Invalid(name))
    }

    fn missing(name: &'static str) -> Result<(), Refusal> {
        Err(Refusal::Missing(name))
    }

    #[test]
    fn the_parts_of_a_list_are_required() {
        assert_eq!(list_with(&json!({})), Ok(()));
        assert_eq!(list_with(&json!({"button": null})), missing("message.listMessage.button.text"));
        assert_eq!(list_with(&json!({"button": {"text": ""}})), missing("message.listMessage.button.text"));
        assert_eq!(list_with(&json!({"sections": null})), invalid("message.listMessage.sections"));
        assert_eq!(list_with(&json!({"sections": []})), invalid("message.listMessage.sections"));
        assert_eq!(list_with(&json!({"sections": [{}]})), invalid("message.listMessage.sections.rows"));
        assert_eq!(row_with("id", " "), missing("message.listMessage.sections.rows.id"));
        assert_eq!(row_with("text", ""), missing("message.listMessage.sections.rows.text"));
    }

    #[test]
    fn the_words_of_a_list_have_limits() {
        assert_eq!(checked_list(&json!({}), Some(&of(4_096))), Ok(()));
        assert_eq!(checked_list(&json!({}), Some(&of(4_097))), invalid("message.text"));
        let opener = |length: usize| list_with(&json!({"button": {"text": of(length)}}));
        assert_eq!((opener(20), opener(21)), (Ok(()), invalid("message.listMessage.button.text")));
        let title = |length: usize| list_with(&json!({"sections": [{"title": of(length), "rows": rows(1)}]}));
        assert_eq!((title(24), title(25)), (Ok(()), invalid("message.listMessage.sections.title")));
        for (key, most, name) in [
            ("id", 200, "message.listMessage.sections.rows.id"),
            ("text", 24, "message.listMessage.sections.rows.text"),
            ("description", 72, "message.listMessage.sections.rows.description"),
        ] {
            assert_eq!(row_with(key, &of(most)), Ok(()), "{name}");
            assert_eq!(row_with(key, &of(most + 1)), invalid(name));
        }
    }

    #[test]
    fn sections_and_rows_are_counted() {
        let sections = |count: usize, rows_each: usize| {
            let section = json!({"title": "Section", "rows": rows(rows_each)});
            list_with(&json!({"sections": vec![section; count]}))
        };
        assert_eq!(sections(10, 1), Ok(()));
        assert_eq!(sections(11, 1), invalid("message.listMessage.sections"));
        assert_eq!(sections(1, 10), Ok(()));
        assert_eq!(sections(1, 11), invalid("message.listMessage.sections.rows"));
        assert_eq!(sections(2, 5), Ok(()));
        assert_eq!(sections(2, 6), invalid("message.listMessage.sections.rows"), "all rows together");
    }

    #[test]
    fn several_sections_need_titles_and_one_does_not() {
        let sections = json!([{"title": "A", "rows": rows(1)}, {"rows": rows(1)}]);
        let untitled = list_with(&json!({"sections": sections}));
        assert_eq!(untitled, missing("message.listMessage.sections.title"));
    }

    #[test]
    fn buttons_are_one_to_three_with_words_and_ids() {
        let count = |count: usize| checked_buttons(&json!({"buttons": buttons(count)}), None);
        let counted = invalid("message.replyButtonMessage.buttons");
        assert_eq!([count(0), count(1), count(3), count(4)], [counted, Ok(()), Ok(()), counted]);
        let (id, text) = ("message.replyButtonMessage.buttons.id", "message.replyButtonMessage.buttons.text");
        assert_eq!((button_with("id", ""), button_with("text", "")), (missing(id), missing(text)));
        assert_eq!((button_with("id", &of(256)), button_with("id", &of(257))), (Ok(()), invalid(id)));
        assert_eq!((button_with("text", &of(20)), button_with("text", &of(21))), (Ok(()), invalid(text)));
        assert_eq!((button_with("id", " yes"), button_with("id", "yes ")), (invalid(id), invalid(id)));
        assert_eq!(button_with("text", "No"), invalid(text), "the same words twice");
        assert_eq!(checked_buttons(&json!({}), Some(&of(1_024))), Ok(()));
        assert_eq!(checked_buttons(&json!({}), Some(&of(1_025))), invalid("message.text"));
    }

    #[test]
    fn headers_are_words_or_a_file_and_footers_are_words() {
        let file = |kind: &str| json!({"attachment": {"type": kind, "url": "https://example.com/a"}});
        let text = |length: usize| json!({"text": of(length)});
        let both = json!({"text": "A", "attachment": file("image")["attachment"]});
        let kinds: [(Check, [&'static str; 2]); 2] = [
            (checked_list, ["message.listMessage.header", "message.listMessage.footer.text"]),
            (
                checked_buttons,
                ["message.replyButtonMessage.header", "message.replyButtonMessage.footer.text"],
            ),
        ];
        for (check, [header, footer]) in kinds {
            let with = |key: &str, value: &Value| check(&json!({key: value}), None);
            assert_eq!((with("header", &text(60)), with("header", &text(61))), (Ok(()), invalid(header)));
            assert_eq!((with("footer", &text(60)), with("footer", &text(61))), (Ok(()), invalid(footer)));
            assert_eq!(with("header", &json!({})), missing(header));
            assert_eq!(with("footer", &json!({})), missing(footer));
            assert_eq!(with("header", &both), invalid(header));
            assert_eq!(with("header", &file("video")), Ok(()));
            assert_eq!(with("header", &file("audio")), Err(Refusal::AttachmentInvalid));
        }
    }
}
