//! The fields of an answer, read as protobuf's JSON is: in `camelCase` or `snake_case`, null like absent, anything else left aside.

use serde_json::{Map, Value};

/// An object of an answer.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The fields of a value that is an object.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// A field by its camelCase name.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        let value = self.0.get(name).or_else(|| self.0.get(&snake_case(name)));
        value.filter(|value| !value.is_null())
    }

    /// A field that is an object.
    pub(super) fn object(self, name: &str) -> Option<Self> {
        self.get(name).and_then(Self::of)
    }

    /// A text that is not empty; a number as it prints.
    pub(super) fn text(self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The items of a list; none of anything else.
    pub(super) fn list(self, name: &str) -> &'a [Value] {
        self.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// All of it, as it came.
    pub(super) fn to_map(self) -> Map<String, Value> {
        self.0.clone()
    }

    /// Whether a field is true; a text that says so counts.
    pub(super) fn is_true(self, name: &str) -> bool {
        self.get(name).is_some_and(|value| *value == Value::Bool(true) || *value == "true")
    }
}

/// A name as protobuf's JSON may spell it as well.
pub(super) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A member of an open enum as a word: `MESSAGE_TEMPLATE_STATUS_APPROVED` without its prefix is `approved`.
pub(super) fn word(text: &str, prefix: &str) -> String {
    text.strip_prefix(prefix).unwrap_or(text).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_are_read_and_null_is_absent() {
        let value =
            json!({"echo": "true", "channel_types": ["a"], "wabaId": 7, "address": null, "name": " "});
        let fields = Fields::of(&value).unwrap();
        assert!(fields.is_true("echo"));
        assert_eq!(fields.list("channelTypes"), [json!("a")]);
        assert_eq!(fields.text("wabaId").as_deref(), Some("7"));
        assert_eq!((fields.get("address"), fields.text("name")), (None, None));
        assert!(fields.list("echo").is_empty() && fields.object("echo").is_none());
    }

    #[test]
    fn an_open_enum_keeps_what_nobody_knows() {
        assert_eq!(word("MESSAGE_TEMPLATE_STATUS_APPROVED", "MESSAGE_TEMPLATE_STATUS_"), "approved");
        assert_eq!(word("PAUSED", "MESSAGE_TEMPLATE_STATUS_"), "paused");
    }
}
