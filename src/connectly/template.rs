//! Templates: messages approved beforehand, which may leave when the 24-hour window is closed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message::{Field, Invalid, Problem, Shape, Text, check, null_as_default};

/// A template with what fills its gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The name it was approved under. A fallback is written with the key `template` in its place; both are read.
    #[serde(alias = "template")]
    pub name: String,
    /// The code of the approved translation, as in `en` or `pt_BR`.
    pub language: String,
    /// What fills the gaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub parameters: Vec<Parameter>,
}

/// What fills one gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Connectly's name of the gap: `body_1`, `header_image`, `button_1_url_suffix`, `card.0.body.1`.
    pub name: String,
    /// The words, or the URL of the media.
    pub value: Text,
    /// The name a document is shown with, for `header_document`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<Text>,
}

impl Template {
    /// A template without gaps.
    pub fn new(name: impl Into<String>, language: impl Into<String>) -> Self {
        Self { name: name.into(), language: language.into(), parameters: Vec::new() }
    }

    /// The same with one more gap filled.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Text>) -> Self {
        self.parameters.push(Parameter { name: name.into(), value: value.into(), filename: None });
        self
    }

    /// The template that a person or a program wrote at `path`; an unknown key or a wrong type is an error that names
    /// the field.
    pub fn from_value(value: &Value, path: &str) -> Result<Self, Invalid> {
        let by_template = value.get("template").is_some();
        check(value, if by_template { &FALLBACK } else { &TEMPLATE }, path)?;
        let template = Self::deserialize(value).map_err(|_| Invalid::new(path, Problem::Unreadable))?;
        template.validate(path)?;
        Ok(template)
    }

    /// Whether it names itself, its language, and each gap once; `path` begins the name of the field at fault.
    pub fn validate(&self, path: &str) -> Result<(), Invalid> {
        let missing = |field: &str| Err(Invalid::new(format!("{path}.{field}"), Problem::Missing));
        if self.name.trim().is_empty() {
            return missing("name");
        }
        if self.language.trim().is_empty() {
            return missing("language");
        }
        for (index, parameter) in self.parameters.iter().enumerate() {
            let field = format!("parameters[{index}].name");
            if parameter.name.trim().is_empty() {
                return missing(&field);
            }
            if self.parameters[..index].iter().any(|earlier| earlier.name == parameter.name) {
                return Err(Invalid::new(format!("{path}.{field}"), Problem::Rule("is there twice")));
            }
        }
        Ok(())
    }
}

static TEMPLATE: Shape = Shape::Object(&[
    Field::required("name", Shape::Text),
    Field::required("language", Shape::Text),
    Field::optional("parameters", Shape::List(&PARAMETER)),
]);

static FALLBACK: Shape = Shape::Object(&[
    Field::required("template", Shape::Text),
    Field::required("language", Shape::Text),
    Field::optional("parameters", Shape::List(&PARAMETER)),
]);

const PARAMETER: Shape = Shape::Object(&[
    Field::required("name", Shape::Text),
    Field::required("value", Shape::Text),
    Field::optional("filename", Shape::Text),
]);

#[cfg(test)]
mod tests {
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
        assert_eq!(problem(&json!({"language": "en"})), "fallback.name is required");
        assert_eq!(problem(&json!({"name": "a", "language": " "})), "fallback.language is required");
        assert_eq!(
            problem(&json!({"name": "a", "language": "en", "params": []})),
            "fallback.params is not a known key"
        );
        assert_eq!(
            problem(&json!({"name": "a", "language": "en", "parameters": [{"name": "", "value": "x"}]})),
            "fallback.parameters[0].name is required"
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
}
