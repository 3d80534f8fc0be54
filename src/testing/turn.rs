//! What one event led to.

use serde_json::Value;

use crate::model::outcome::{HandlerError, HandlerResult, Outcome, Reply};

/// What one event led to, for assertions.
#[derive(Debug)]
pub struct Turn {
    result: HandlerResult,
}

impl Turn {
    pub(super) const fn new(result: HandlerResult) -> Self {
        Self { result }
    }

    /// What the handler handed back, less what the service would have dropped.
    ///
    /// # Panics
    ///
    /// When the handler failed, or the service would have refused a reply or the state; the reason is told.
    pub fn outcome(&self) -> &Outcome {
        match &self.result {
            Ok(outcome) => outcome,
            Err(error) => panic!("the handler failed: {error}"),
        }
    }

    /// Why it failed, or why the service would have refused what it handed back; `None` when all is well.
    pub fn error(&self) -> Option<&HandlerError> {
        self.result.as_ref().err()
    }

    /// The replies.
    ///
    /// # Panics
    ///
    /// As [`Turn::outcome`].
    pub fn replies(&self) -> &[Reply] {
        &self.outcome().replies
    }

    /// The text of each reply; nothing for one that has none.
    ///
    /// # Panics
    ///
    /// As [`Turn::outcome`].
    pub fn texts(&self) -> Vec<&str> {
        let replies = self.replies().iter();
        replies.filter_map(|reply| reply.message.get("text").and_then(Value::as_str)).collect()
    }

    /// The text of the only reply.
    ///
    /// # Panics
    ///
    /// As [`Turn::outcome`], and unless there is exactly one reply with a text.
    pub fn text(&self) -> &str {
        match self.texts()[..] {
            [text] => text,
            ref texts => panic!("expected one reply with a text, found {}", texts.len()),
        }
    }

    /// Whether nothing was said.
    ///
    /// # Panics
    ///
    /// As [`Turn::outcome`].
    pub fn is_silent(&self) -> bool {
        self.replies().is_empty()
    }

    /// The payloads of the buttons, or of a list's rows, that the replies offer.
    ///
    /// # Panics
    ///
    /// As [`Turn::outcome`].
    pub fn choices(&self) -> Vec<&str> {
        let mut choices = Vec::new();
        for reply in self.replies() {
            if let Some(buttons) = reply.message.pointer("/replyButtonMessage/buttons") {
                choices.extend(ids(buttons));
            }
            let sections = reply.message.pointer("/listMessage/sections").and_then(Value::as_array);
            for rows in sections.into_iter().flatten().filter_map(|section| section.get("rows")) {
                choices.extend(ids(rows));
            }
        }
        choices
    }
}

/// The ids of buttons or rows.
fn ids(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(|choice| choice.get("id")?.as_str())
}
