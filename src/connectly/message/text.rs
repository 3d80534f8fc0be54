//! Words meant for a customer, kept out of logs.

use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize};

/// A piece of a message. It reads as a `str`; its `Debug` output tells only how long it is, so that no message text
/// reaches a log line or a panic message.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// How many characters WhatsApp's limits count: Unicode scalar values, as Meta names no other unit.
    pub fn characters(&self) -> usize {
        self.0.chars().count()
    }
}

/// Null reads as no words, as protobuf's JSON has it.
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        null_as_default(deserializer).map(Self)
    }
}

/// Reads null like an absent key, since Connectly uses the two interchangeably.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl std::fmt::Debug for Text {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "({} characters)", self.characters())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_tells_only_the_length() {
        assert_eq!(format!("{:?}", Text::from("olá")), "(3 characters)");
    }
}
