//! Callback data as people search it: by a path and the value that stands there, `order_id` and `12345`.
//!
//! Each value of the data makes one key, a digest that both databases can index whatever the data looks like. A question
//! makes the same key from its path and text, so `"12345"` and `12345` are found alike, and nobody has to know which it was.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// The most values of one callback data that can be searched: Connectly takes 1,024 bytes, which seldom hold as many.
const MOST_KEYS: usize = 64;
/// The deepest value that can be searched, in steps from the top.
const DEEPEST: usize = 8;
/// Between the steps of a path. A dot in a name reads like a step.
const STEP: char = '.';

/// What a value and its path are found by: 128 bits of their SHA-256, far more than collide by chance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallbackKey([u8; 16]);

impl CallbackKey {
    /// The key of a value at a path. A text stands for itself, anything else for its JSON: `true`, `12.50`, `null`.
    pub fn of(path: &str, value: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(path.as_bytes());
        // No path holds a NUL.
        digest.update([0]);
        digest.update(value.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&digest.finalize()[..16]);
        Self(key)
    }

    /// The keys of every value that is no object and no array, each once. An array's elements stand at the array's own path,
    /// so a question finds any of them. Data that is no object has its value at the empty path.
    ///
    /// `data` is JSON text.
    pub fn all_of(data: &str) -> Vec<Self> {
        let mut keys = Vec::new();
        if let Ok(raw) = serde_json::from_str(data) {
            collect(raw, "", DEEPEST, &mut keys);
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for CallbackKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CallbackKey(..)")
    }
}

fn collect(raw: &RawValue, path: &str, depth: usize, keys: &mut Vec<CallbackKey>) {
    if keys.len() >= MOST_KEYS {
        return;
    }
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') if depth == 0 => {}
        Some(b'{') => {
            for (name, value) in serde_json::from_str::<BTreeMap<String, &RawValue>>(text).unwrap_or_default()
            {
                let name = name.replace('\0', "\u{fffd}");
                let path = if path.is_empty() { name } else { format!("{path}{STEP}{name}") };
                collect(value, &path, depth - 1, keys);
            }
        }
        Some(b'[') => {
            for value in serde_json::from_str::<Vec<&RawValue>>(text).unwrap_or_default() {
                collect(value, path, depth - 1, keys);
            }
        }
        Some(b'"') => {
            keys.extend(serde_json::from_str::<String>(text).ok().map(|text| CallbackKey::of(path, &text)));
        }
        _ => keys.push(CallbackKey::of(path, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finds(data: &str, path: &str, value: &str) -> bool {
        CallbackKey::all_of(data).contains(&CallbackKey::of(path, value))
    }

    #[test]
    fn a_value_is_found_by_its_path_whatever_its_type() {
        let data =
            r#"{"order_id": "12345", "n": 12345, "price": 12.50, "paid": true, "note": null, "big": 1e400}"#;
        for (path, value) in [
            ("order_id", "12345"),
            ("n", "12345"),
            ("price", "12.50"),
            ("paid", "true"),
            ("note", "null"),
            ("big", "1e400"),
        ] {
            assert!(finds(data, path, value), "{path}");
        }
        assert!(!finds(data, "order_id", "1234"));
        assert!(!finds(data, "order", "_id12345"), "where the path ends matters");
    }

    #[test]
    fn paths_lead_into_objects_and_past_the_places_of_arrays() {
        let data = r#"{"order": {"id": 7, "items": [{"sku": "a"}, {"sku": "b"}]}, "tags": ["vip", "new"]}"#;
        for (path, value) in [("order.id", "7"), ("order.items.sku", "b"), ("tags", "new")] {
            assert!(finds(data, path, value), "{path}");
        }
    }

    #[test]
    fn data_that_is_no_object_stands_at_the_empty_path() {
        assert!(finds(r#""order-7""#, "", "order-7"));
        assert!(finds("7", "", "7"));
        assert!(finds(r#"["a", "b"]"#, "", "b"));
    }

    #[test]
    fn strange_data_is_searched_as_far_as_it_goes() {
        let surrogate = r#"{"a": "\ud800", "b": "kept"}"#;
        assert!(finds(surrogate, "b", "kept"));
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let wide = format!("[{}]", (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        for (data, most) in [(deep, 0), (wide, MOST_KEYS)] {
            assert_eq!(CallbackKey::all_of(&data).len(), most);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn every_text_in_an_object_is_found(name in "[a-z_ é.\"\\\\]{1,8}", value in any::<String>()) {
            let data = serde_json::json!({ &name: &value, "other": [1, 2] }).to_string();
            prop_assert!(finds(&data, &name, &value));
        }
    }
}
