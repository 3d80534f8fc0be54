//! What a customer answers with a tap: a button, a row of a list.

use serde::Deserialize;

/// The tap on a button.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// The button's label.
    pub text: String,
    /// The id that the business gave the button.
    pub payload: Option<String>,
    /// Which of the documented shapes the webhook has.
    #[serde(default)]
    pub shape: Shape,
}

/// The four shapes in which Connectly has documented a button reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `message.isButtonResponse`, no names, the business as bare digits; no id and no payload.
    Flag,
    /// The same flag with names and `context.replyToId`; no id and no payload.
    Context,
    /// `context.replyToId` and `buttonResponse`; no `message` and no id.
    #[default]
    Response,
    /// `topic` and a `buttonResponse` with the id of this inbound message.
    Topic,
}

/// The pick of a row from a list.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPick {
    /// The row's label.
    pub text: String,
    /// The id that the business gave the row; not in the shape of a text.
    pub payload: Option<String>,
    /// Which shape the webhook has.
    #[serde(default)]
    pub shape: ListShape,
}

/// The shapes that the pick of a row may have. Connectly documents that there is such a reply and shows none; the first
/// and the last are what working integrations can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListShape {
    /// `buttonResponse`, like a button.
    #[default]
    Button,
    /// `listResponse` with the same keys.
    List,
    /// A quoted text with the row's label.
    Text,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_shape_is_written_in_one_word() {
        let button: Button = serde_json::from_value(json!({"text": "Yes", "shape": "topic"})).unwrap();
        assert_eq!(button.shape, Shape::Topic);
        let button: Button = serde_json::from_value(json!({"text": "Yes"})).unwrap();
        assert_eq!(button.shape, Shape::Response);
        let pick: ListPick = serde_json::from_value(json!({"text": "Large", "shape": "list"})).unwrap();
        assert_eq!(pick.shape, ListShape::List);
    }
}
