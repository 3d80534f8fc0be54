//! Templates: messages approved beforehand, which may leave when the 24-hour window is closed.

mod gap;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message::{Field, Findings, Invalid, Problem, Shape, Text, check, null_as_default};
use gap::{Filling, Gap, NAMES};

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

    /// The same with a document as its header, under the name the customer sees.
    #[must_use]
    pub fn document(mut self, url: impl Into<Text>, filename: impl Into<Text>) -> Self {
        let (name, filename) = ("header_document".to_owned(), Some(filename.into()));
        self.parameters.push(Parameter { name, value: url.into(), filename });
        self
    }

    /// The template that a person or a program wrote at `path`; an unknown key or a wrong type is an error that names
    /// the field.
    pub fn from_value(value: &Value, path: &str) -> Result<Self, Invalid> {
        let template = Self::parse(value, path)?;
        template.validate(path)?;
        Ok(template)
    }

    /// The same, whatever fills its gaps: only its keys and their types are looked at.
    pub fn parse(value: &Value, path: &str) -> Result<Self, Invalid> {
        // Each is written with a key of its own for the name; what has neither is told the one of its place.
        let is_fallback = path == "fallback" && value.get("name").is_none();
        let shape = if is_fallback || value.get("template").is_some() { &FALLBACK } else { &TEMPLATE };
        check(value, shape, path)?;
        Self::deserialize(value).map_err(|_| Invalid::new(path, Problem::Unreadable))
    }

    /// Whether it names itself, its language, and known gaps once each, with what may fill them. The first problem is
    /// reported; [`Template::problems`] has them all.
    pub fn validate(&self, path: &str) -> Result<(), Invalid> {
        self.problems(path).into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that Connectly or WhatsApp would not take; `path` begins the name of each field at fault.
    pub fn problems(&self, path: &str) -> Vec<Invalid> {
        let mut found = Findings::default();
        for (field, text) in [("name", &self.name), ("language", &self.language)] {
            if text.trim().is_empty() {
                found.add(&format!("{path}.{field}"), Problem::Missing);
            }
        }
        let (mut names, mut header) = (HashSet::new(), false);
        for (index, parameter) in self.parameters.iter().enumerate() {
            let path = format!("{path}.parameters[{index}]");
            if !names.insert(&parameter.name) {
                found.rule(&format!("{path}.name"), "is there twice");
            } else if let Some(gap) = Gap::parse(&parameter.name) {
                parameter.check(&mut found, &path, gap);
                if gap.is_header() && std::mem::replace(&mut header, true) {
                    found.rule(&format!("{path}.name"), "is a second header, and a template has one");
                }
            } else {
                found.rule(&format!("{path}.name"), NAMES);
            }
        }
        found.into_problems()
    }
}

impl Parameter {
    fn check(&self, found: &mut Findings, path: &str, gap: Gap) {
        let value = format!("{path}.value");
        match gap.filling() {
            Filling::Words(limit) => found.required(&value, &self.value, limit),
            Filling::Url => found.url(&value, &self.value),
            Filling::UrlSuffix => found.present(&value, &self.value),
        }
        let named = self.filename.as_ref().is_some_and(|name| !name.trim().is_empty());
        if named && gap != Gap::HeaderDocument {
            found.rule(&format!("{path}.filename"), "is for header_document only");
        }
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
