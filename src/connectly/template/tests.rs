//! Reading, building and checking templates.

use serde_json::json;

use super::*;

fn problem(value: &Value) -> String {
    Template::from_value(value, "fallback").unwrap_err().to_string()
}

#[test]
fn both_spellings_of_the_name_are_read() {
    let template = Template::new("reopen", "en").parameter("body_1", "Ana");
    let parameters = json!([{"name": "body_1", "value": "Ana"}]);
    for key in ["name", "template"] {
        let value = json!({key: "reopen", "language": "en", "parameters": parameters});
        assert_eq!(Template::from_value(&value, "fallback").unwrap(), template);
    }
    let written = serde_json::to_value(&template).unwrap();
    assert_eq!(written, json!({"name": "reopen", "language": "en", "parameters": parameters}));
    let bare = json!({"name": "reopen", "language": "en", "parameters": null});
    assert_eq!(Template::from_value(&bare, "fallback").unwrap(), Template::new("reopen", "en"));
}

#[test]
fn what_is_missing_misspelt_or_doubled_is_named() {
    assert_eq!(problem(&json!({"language": "en"})), "fallback.template is required");
    let nameless = Template::from_value(&json!({"language": "en"}), "template").unwrap_err();
    assert_eq!(nameless.to_string(), "template.name is required");
    assert_eq!(problem(&json!({"name": "a", "language": " "})), "fallback.language is required");
    assert_eq!(
        problem(&json!({"name": "a", "language": "en", "params": []})),
        "fallback.params is not a known key"
    );
    assert_eq!(
        problem(&json!({"name": "a", "language": "en", "parameters": [{"name": "", "value": "x"}]})),
        format!("fallback.parameters[0].name {NAMES}")
    );
    assert_eq!(
        problem(&json!({"name": "a", "language": "en", "parameters":
            [{"name": "body_1", "value": "x"}, {"name": "body_1", "value": "y"}]})),
        "fallback.parameters[1].name is there twice"
    );
}

#[test]
fn debug_output_shows_no_values() {
    let template = Template::new("reopen", "en").parameter("body_1", "Ana");
    assert!(!format!("{template:?}").contains("Ana"));
}

#[test]
fn what_fills_a_gap_is_checked_by_what_the_gap_is() {
    let problem = |name: &str, value: &str, filename: Option<&str>| {
        let parameter = json!({"name": name, "value": value, "filename": filename});
        let template = json!({"name": "a", "language": "en", "parameters": [parameter]});
        Template::from_value(&template, "template").err().map(|problem| problem.to_string())
    };
    let path = "template.parameters[0]";
    assert_eq!(problem("body_1", &"x".repeat(1024), None), None);
    assert_eq!(
        problem("body_1", &"x".repeat(1025), None),
        Some(format!("{path}.value has 1025 characters, at most 1024 are allowed"))
    );
    assert_eq!(problem("header_text", &"x".repeat(60), None), None);
    assert_eq!(
        problem("header_text", &"x".repeat(61), None),
        Some(format!("{path}.value has 61 characters, at most 60 are allowed"))
    );
    assert_eq!(problem("body_1", " ", None), Some(format!("{path}.value is empty")));
    assert_eq!(problem("header_image", "https://example.com/i.jpg", None), None);
    assert!(problem("card.0.header.image", "i.jpg", None).is_some_and(|told| told.contains("public URL")));
    assert_eq!(problem("button_1_url_suffix", "", None), Some(format!("{path}.value is required")));
    assert_eq!(problem("header_document", "https://example.com/i.pdf", Some("i.pdf")), None);
    assert_eq!(
        problem("header_image", "https://example.com/i.jpg", Some("i.jpg")),
        Some(format!("{path}.filename is for header_document only"))
    );
}

#[test]
fn a_template_has_one_header() {
    let template = Template::new("a", "en")
        .parameter("header_text", "Hello")
        .document("https://example.com/i.pdf", "i.pdf");
    assert_eq!(
        template.validate("template").unwrap_err().to_string(),
        "template.parameters[1].name is a second header, and a template has one"
    );
}
