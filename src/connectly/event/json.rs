//! Reading JSON that may be strange: any depth, any number, repeated keys, lone surrogates.
//!
//! A whole-document parse into a tree would refuse all of these. Here every value stays the text it came as
//! ([`RawValue`]) until somebody asks for a part of it, so one strange part does not hide its neighbours.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::tree;

/// An object's members in the order they came, their values unread.
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// The members of a JSON object, or `None` when the text is anything else.
    pub fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of the first of these names that is there and not null: Connectly uses null and absent alike.
    ///
    /// A name that stands twice with different values is ambiguous, and counts as absent.
    pub fn get(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.raw(name).filter(|text| *text != "null"))
    }

    /// The same for one name, null included: only `callbackData` tells null from absent.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let mut values = self.members.iter().filter(|(key, _)| key == name).map(|(_, value)| value.get());
        let first = values.next()?;
        values.all(|other| other == first).then_some(first)
    }

    /// A member that is an object.
    pub fn object(&self, names: &[&str]) -> Option<Object<'a>> {
        Object::parse(self.get(names)?)
    }

    /// A member that is a text, lone surrogates replaced; a number counts as its digits, since Connectly prints some
    /// numbers as text.
    pub fn text(&self, names: &[&str]) -> Option<String> {
        read_text(self.get(names)?)
    }

    /// The first of these members that is a text with something in it: Connectly leaves what is not known empty.
    pub fn filled(&self, names: &[&str]) -> Option<String> {
        names.iter().filter_map(|name| self.text(&[*name])).find(|text| !text.trim().is_empty())
    }

    /// A member that is a number, or a text that holds one.
    pub fn number(&self, names: &[&str]) -> Option<f64> {
        self.text(names)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Whether a member is true.
    pub fn flag(&self, names: &[&str]) -> bool {
        self.get(names).is_some_and(|text| text == "true" || text == "\"true\"")
    }

    /// A member as it came, with only what a tree cannot hold mended.
    pub fn value(&self, names: &[&str]) -> Option<serde_json::Value> {
        self.get(names).map(tree::read)
    }

    /// Every member with its text, in the order they came.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(key, value)| (key.as_ref(), value.get()))
    }

    /// This object's text without one of its members; `None` when nothing is left.
    pub fn without(&self, name: &str) -> Option<String> {
        let kept: Vec<String> = self
            .members
            .iter()
            .filter(|(key, _)| key != name)
            .map(|(key, value)| format!("{}:{}", serde_json::Value::from(key.as_ref()), value.get()))
            .collect();
        (!kept.is_empty()).then(|| format!("{{{}}}", kept.join(",")))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
        while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            members.push((key.0, value));
        }
        Ok(Object { members })
    }
}

/// A key, borrowed unless it has escapes. (`Cow` alone always copies.)
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
}

/// A JSON text or number as text.
pub fn read_text(raw: &str) -> Option<String> {
    if !raw.starts_with('"') {
        let digits = raw.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        return digits.then(|| raw.to_owned());
    }
    serde_json::from_str::<String>(raw).ok().or_else(|| lossy(raw))
}

/// A text with lone surrogates, which are no characters: each becomes U+FFFD. (`serde_json` refuses them as text, but
/// hands them out as bytes.)
fn lossy(raw: &str) -> Option<String> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = String;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a text")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            let mut bytes = bytes.to_vec();
            // A surrogate's three bytes, which no character has, become the three of U+FFFD.
            for at in 0..bytes.len().saturating_sub(2) {
                if bytes[at] == 0xed && bytes[at + 1] >= 0xa0 {
                    bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
                }
            }
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
    serde_json::Deserializer::from_str(raw).deserialize_bytes(Bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_parts_do_not_hide_their_neighbours() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let text =
            format!(r#"{{"deep":{deep},"huge":1e999999,"lone":"a\ud800b","nul":"a\u0000b","ok":"yes"}}"#);
        let object = Object::parse(&text).unwrap();
        assert_eq!(object.text(&["ok"]).as_deref(), Some("yes"));
        assert_eq!(object.text(&["huge"]).as_deref(), Some("1e999999"));
        assert_eq!(object.number(&["huge"]), None);
        assert_eq!(object.text(&["lone"]).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(object.text(&["nul"]).as_deref(), Some("a\0b"));
        assert!(object.value(&["deep"]).is_some());
    }

    #[test]
    fn a_key_that_stands_twice_counts_only_when_both_agree() {
        let object = Object::parse(r#"{"a":1,"a":2,"b":1,"b":1,"c":null}"#).unwrap();
        assert_eq!(object.get(&["a"]), None);
        assert_eq!(object.get(&["b"]), Some("1"));
        assert_eq!(object.get(&["c"]), None);
        assert_eq!(object.raw("c"), Some("null"));
        assert_eq!(object.without("a").unwrap(), r#"{"b":1,"b":1,"c":null}"#);
    }

    #[test]
    fn an_empty_text_gives_way_to_the_next_name() {
        let object = Object::parse(r#"{"id":" ","phoneNumber":"+15550100001"}"#).unwrap();
        assert_eq!(object.filled(&["id", "phoneNumber"]).as_deref(), Some("+15550100001"));
        assert_eq!(object.filled(&["id"]), None);
    }
}
