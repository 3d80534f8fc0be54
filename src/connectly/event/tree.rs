//! A value that is kept as it came, as a tree.
//!
//! A tree refuses a whole value for one strange part of it: half a character, a number beyond all bounds, great depth.
//! Here that part alone is mended, so that a failure keeps its code whatever stands in its words.

use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{Object, read_text};

/// Levels that a strange value is followed down; what lies deeper stays the text it came as. Nobody reads that deep, and
/// each level costs one more pass over the text.
const DEEPEST: u8 = 16;

/// The tree of a JSON text.
pub(super) fn read(raw: &str) -> Value {
    serde_json::from_str(raw).unwrap_or_else(|_| mended(raw, DEEPEST))
}

fn mended(raw: &str, levels: u8) -> Value {
    let whole = || read_text(raw).unwrap_or_else(|| raw.to_owned()).into();
    let Some(below) = levels.checked_sub(1) else {
        return whole();
    };
    let part = |raw: &str| serde_json::from_str(raw).unwrap_or_else(|_| mended(raw, below));
    if let Some(object) = Object::parse(raw) {
        return object.members().map(|(key, value)| (key.to_owned(), part(value))).collect();
    }
    match serde_json::from_str::<Vec<&RawValue>>(raw) {
        Ok(list) => list.into_iter().map(|value| part(value.get())).collect(),
        Err(_) => whole(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ordinary_value_is_its_tree() {
        assert_eq!(read(r#"{"a":[1,"b",null,true,{}]}"#), json!({"a": [1, "b", null, true, {}]}));
    }

    #[test]
    fn a_strange_part_is_mended_where_it_stands() {
        let read = read(r#"{"code":"C","words":"cut \ud83d","list":[1e999,{"a":"\udc00"}],"n":7}"#);
        let list = json!(["1e999", {"a": "\u{fffd}"}]);
        assert_eq!(read, json!({"code": "C", "words": "cut \u{fffd}", "list": list, "n": 7}));
    }

    #[test]
    fn what_lies_too_deep_stays_text() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let value = read(&format!(r#"{{"code":"C","deep":{deep}}}"#));
        assert_eq!(value["code"], "C");
        let bottom = value.pointer(&format!("/deep{}", "/0".repeat(usize::from(DEEPEST) - 1))).unwrap();
        assert!(bottom.as_str().unwrap().starts_with("[["));
    }
}
