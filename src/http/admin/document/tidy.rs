//! The rules of the house that derived schemas do not know.

use serde_json::{Map, Value};

/// Everywhere in a document: a field that may be missing is never null, and a paragraph is one line.
pub(super) fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            absent_is_not_null(members);
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" || name == "summary" => {
                        *text = unwrapped(text);
                    }
                    _ => tidy(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Absent means absent: only what is always there can be null.
fn absent_is_not_null(schema: &mut Map<String, Value>) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required =
        |name: &str| required.as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        not_null(property);
    }
}

fn not_null(schema: &mut Value) {
    let is_null = |kind: &Value| kind == "null" || kind["type"] == "null";
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| !is_null(kind));
        if types.len() == 1 {
            schema["type"] = types.remove(0);
        }
    }
    if let Some(Value::Array(options)) = schema.get_mut("oneOf") {
        options.retain(|option| !is_null(option));
        if let [Value::Object(_)] = options.as_slice() {
            let only = options.remove(0);
            merge(schema, only);
        }
    }
}

/// The only option that is left takes the place of the choice; what is said of the choice stays.
fn merge(schema: &mut Value, only: Value) {
    let (Value::Object(schema), Value::Object(mut only)) = (schema, only) else { return };
    schema.remove("oneOf");
    only.append(schema);
    *schema = only;
}

fn unwrapped(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_always_there_can_be_null() {
        let mut schema = json!({
            "required": ["b"],
            "properties": {
                "a": { "type": ["string", "null"] },
                "b": { "type": ["string", "null"] },
                "c": { "oneOf": [{ "type": "null" }, { "$ref": "#/x", "description": "theirs" }], "description": "ours" },
                "d": { "oneOf": [{ "type": "string" }, { "type": "number" }] },
            }
        });
        tidy(&mut schema);
        let expected = json!({
            "a": { "type": "string" },
            "b": { "type": ["string", "null"] },
            "c": { "$ref": "#/x", "description": "ours" },
            "d": { "oneOf": [{ "type": "string" }, { "type": "number" }] },
        });
        assert_eq!(schema["properties"], expected);
    }

    #[test]
    fn a_paragraph_is_one_line() {
        let mut schema =
            json!({ "description": "One\nline.\n\nAnother\none.", "properties": { "description": {} } });
        tidy(&mut schema);
        assert_eq!(schema["description"], "One line.\n\nAnother one.");
    }
}
