//! What a message says, in one line.

use serde_json::Value;

use super::list::text;

/// What content says: its text, a template and what fills it, or what kind of thing it is.
pub fn gist(content: &Value) -> String {
    let said = text(content, "/text");
    if !said.is_empty() {
        return said;
    }
    if let Some(template) = content.get("template") {
        return template_gist(template);
    }
    let kind = content.get("kind").and_then(Value::as_str);
    let named = kind.or_else(|| content.as_object()?.keys().next().map(String::as_str));
    named.map(|kind| format!("[{kind}]")).unwrap_or_default()
}

/// A template and what fills it, as in `[order_update] Ana, 12345`. A fallback has its name under `template`.
pub fn template_gist(template: &Value) -> String {
    let name = [text(template, "/name"), text(template, "/template")].concat();
    let shown = |parameter| [text(parameter, "/filename"), text(parameter, "/value")];
    let parameters = template["parameters"].as_array().into_iter().flatten();
    let values: Vec<String> = parameters
        .filter_map(|parameter| shown(parameter).into_iter().find(|text| !text.is_empty()))
        .collect();
    format!("[{name}] {}", values.join(", ")).trim_end().to_owned()
}

/// What the customer gets to read of a message: what it says, or the template that left in its place.
pub fn message_gist(message: &Value) -> String {
    let said = gist(&message["content"]);
    instead(message).map_or_else(|| said.clone(), |template| format!("{template}, instead of: {said}"))
}

/// The template that takes the place of a message whose window was closed, if one does.
pub fn instead(message: &Value) -> Option<String> {
    let is_template = message["kind"] == "template";
    let fell_back = is_template && message["content"].get("template").is_none();
    message.get("fallback").filter(|_| fell_back).map(template_gist)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn content_is_told_by_its_words_or_its_kind() {
        let document =
            json!({"name": "header_document", "value": "https://a.example/1", "filename": "invoice.pdf"});
        let ana = json!({"name": "body_1", "value": "Ana"});
        for (content, told) in [
            (json!({"text": "hi", "listMessage": {}}), "hi"),
            (json!({"template": {"name": "reopen", "language": "en"}}), "[reopen]"),
            (
                json!({"template": {"name": "invoice", "parameters": [document, ana]}}),
                "[invoice] invoice.pdf, Ana",
            ),
            (json!({"kind": "image", "text": ""}), "[image]"),
            (json!({"attachments": []}), "[attachments]"),
            (json!({}), ""),
            (Value::Null, ""),
        ] {
            assert_eq!(gist(&content), told, "{content}");
        }
    }

    #[test]
    fn a_template_that_left_instead_is_told_before_the_words() {
        let fallback = json!({"template": "reopen", "parameters": [{"name": "body_1", "value": "Ana"}]});
        let message = |kind: &str| json!({"kind": kind, "content": {"text": "hi"}, "fallback": fallback});
        assert_eq!(message_gist(&message("session")), "hi");
        assert_eq!(message_gist(&message("template")), "[reopen] Ana, instead of: hi");
        let template = json!({"kind": "template", "content": {"template": {"name": "welcome"}}});
        assert_eq!(message_gist(&template), "[welcome]");
    }
}
