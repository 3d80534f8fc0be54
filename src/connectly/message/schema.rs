//! The keys that may be written in a message, and the JSON type of each.
//!
//! Reading what Connectly sends ignores unknown keys; this table is for what people write, where an unknown key is a
//! slip that would silently change the message.

use serde_json::{Map, Value};

use super::{Invalid, Problem};

/// The JSON type that belongs somewhere.
pub(crate) enum Shape {
    /// A string.
    Text,
    /// A number, or a string that reads as one.
    Number,
    /// One of these strings.
    Word(&'static [&'static str], &'static str),
    /// An array, all of one shape.
    List(&'static Shape),
    /// An object with these keys and no others.
    Object(&'static [Field]),
}

/// A key of an object.
pub(crate) struct Field {
    key: &'static str,
    required: bool,
    shape: Shape,
}

impl Field {
    /// A key that may be absent or null.
    pub(crate) const fn optional(key: &'static str, shape: Shape) -> Self {
        Self { key, required: false, shape }
    }

    /// A key that must be there.
    pub(crate) const fn required(key: &'static str, shape: Shape) -> Self {
        Self { key, required: true, shape }
    }
}

/// Connectly's `message` object, without the keys that only it sets (`referral`, `isEcho`).
pub(super) static MESSAGE: Shape = Shape::Object(&[
    Field::optional("id", Shape::Text),
    Field::optional("text", Shape::Text),
    Field::optional("attachments", Shape::List(&ATTACHMENT)),
    Field::optional("location", LOCATION),
    Field::optional("listMessage", LIST),
    Field::optional("replyButtonMessage", REPLY_BUTTONS),
    Field::optional("singleProductMessage", PRODUCT),
    Field::optional("multiProductMessage", PRODUCTS),
]);

const ATTACHMENT: Shape = Shape::Object(&[
    Field::required(
        "type",
        Shape::Word(&["image", "video", "audio", "document"], "must be one of image, video, audio, document"),
    ),
    Field::required("url", Shape::Text),
    Field::optional("caption", Shape::Text),
    Field::optional("filename", Shape::Text),
]);

const LOCATION: Shape = Shape::Object(&[
    Field::required("latitude", Shape::Number),
    Field::required("longitude", Shape::Number),
    Field::optional("name", Shape::Text),
    Field::optional("address", Shape::Text),
]);

const HEADER: Shape =
    Shape::Object(&[Field::optional("text", Shape::Text), Field::optional("attachment", ATTACHMENT)]);

const FOOTER: Shape = Shape::Object(&[Field::required("text", Shape::Text)]);

const LIST: Shape = Shape::Object(&[
    Field::optional("header", HEADER),
    Field::optional("footer", FOOTER),
    Field::required("button", LIST_BUTTON),
    Field::required("sections", Shape::List(&SECTION)),
]);

const LIST_BUTTON: Shape =
    Shape::Object(&[Field::optional("id", Shape::Text), Field::required("text", Shape::Text)]);

const SECTION: Shape =
    Shape::Object(&[Field::optional("title", Shape::Text), Field::required("rows", Shape::List(&ROW))]);

const ROW: Shape = Shape::Object(&[
    Field::required("id", Shape::Text),
    Field::required("text", Shape::Text),
    Field::optional("description", Shape::Text),
]);

const REPLY_BUTTONS: Shape = Shape::Object(&[
    Field::optional("header", HEADER),
    Field::optional("footer", FOOTER),
    Field::required("buttons", Shape::List(&REPLY_BUTTON)),
]);

const REPLY_BUTTON: Shape =
    Shape::Object(&[Field::required("id", Shape::Text), Field::required("text", Shape::Text)]);

const PRODUCT: Shape = Shape::Object(&[
    Field::optional("footer", FOOTER),
    Field::required("catalogId", Shape::Text),
    Field::required("productItem", PRODUCT_ITEM),
]);

const PRODUCTS: Shape = Shape::Object(&[
    Field::required("header", HEADER),
    Field::optional("footer", FOOTER),
    Field::required("catalogId", Shape::Text),
    Field::required("sections", Shape::List(&PRODUCT_SECTION)),
]);

const PRODUCT_SECTION: Shape = Shape::Object(&[
    Field::optional("title", Shape::Text),
    Field::required("productItems", Shape::List(&PRODUCT_ITEM)),
]);

const PRODUCT_ITEM: Shape = Shape::Object(&[Field::required("productRetailerId", Shape::Text)]);

/// Checks a written value against its shape; the first slip is reported, with the path to it.
pub(crate) fn check(value: &Value, shape: &Shape, path: &str) -> Result<(), Invalid> {
    match (shape, value) {
        (Shape::Text, Value::String(_)) | (Shape::Number, Value::Number(_)) => Ok(()),
        (Shape::Number, Value::String(text)) if text.trim().parse::<f64>().is_ok() => Ok(()),
        (Shape::Word(words, _), Value::String(text)) if words.contains(&text.as_str()) => Ok(()),
        (Shape::Word(_, rule), Value::String(_)) => Err(Invalid::new(path, Problem::Rule(rule))),
        (Shape::List(element), Value::Array(values)) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| check(value, element, &format!("{path}[{index}]"))),
        (Shape::Object(fields), Value::Object(object)) => check_object(object, fields, path),
        _ => Err(Invalid::new(path, Problem::WrongType { expected: shape.name(), found: type_of(value) })),
    }
}

/// Unknown keys are reported before missing ones: a misspelt key is both, and its own name says more.
fn check_object(object: &Map<String, Value>, fields: &[Field], path: &str) -> Result<(), Invalid> {
    for key in object.keys() {
        if !fields.iter().any(|field| field.key == key) {
            let suggestion = fields.iter().map(|field| field.key).find(|known| looks_like(key, known));
            return Err(Invalid::new(
                format!("{path}.{}", printable(key)),
                Problem::UnknownKey { suggestion },
            ));
        }
    }
    for field in fields {
        let path = format!("{path}.{}", field.key);
        match object.get(field.key) {
            None | Some(Value::Null) if field.required => return Err(Invalid::new(path, Problem::Missing)),
            None | Some(Value::Null) => {}
            Some(value) => check(value, &field.shape, &path)?,
        }
    }
    Ok(())
}

impl Shape {
    fn name(&self) -> &'static str {
        match self {
            Self::Text | Self::Word(..) => "text",
            Self::Number => "a number",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A key as it may be shown: one line, and no longer than a key would be.
fn printable(key: &str) -> String {
    const LONGEST: usize = 40;
    key.chars().take(LONGEST).flat_map(char::escape_debug).collect()
}

/// Whether a key was probably meant to be the known one: another case or underscores, or up to two slips of the finger.
fn looks_like(key: &str, known: &str) -> bool {
    const SLIPS: usize = 2;
    const LONGEST: usize = 40;
    if key.len() > LONGEST {
        return false;
    }
    let plain = |text: &str| text.replace(['_', '-'], "").to_ascii_lowercase();
    let (key, known) = (plain(key), plain(known));
    key == known || (known.len() > SLIPS * 2 && edits(&key, &known) <= SLIPS)
}

/// The Levenshtein distance.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
