//! Secrets: given as they are or as the path of a file, never shown.

use std::collections::BTreeMap;
use std::fs;

use axum::http::{HeaderName, HeaderValue};
use secrecy::SecretString;
use toml::{Table, Value};

use super::reader::Reader;
use super::section::{Section, describe};

impl Section<'_> {
    /// A secret, exactly as written: from its variable, or the file that `<VARIABLE>_FILE` names, else from `key` or
    /// the file that `key_file` names. An empty one is a problem.
    pub(super) fn secret(&mut self, key: &'static str, key_file: &'static str) -> Option<SecretString> {
        let in_file = self.in_file_or_path(key, key_file);
        if let Some(variable) = self.set_variable(key, Reader::knows_secret) {
            return self.secret_variable(key, &variable);
        }
        match in_file? {
            Given::Path(path) => self.not_empty(key, &path, self.read_secret_file(key_file, &path)?),
            Given::Value(Value::String(text)) => self.not_empty(key, "", text),
            Given::Value(other) => {
                let found = describe(&other);
                self.problem(key, format!("found {found}, expected a non-empty string in quotes"));
                None
            }
        }
    }

    /// The secret in a variable, or in the file that `<variable>_FILE` names, as the value of `key`.
    pub(super) fn secret_variable(&self, key: &str, variable: &str) -> Option<SecretString> {
        self.reader.knows_secret(variable);
        let file_variable = format!("{variable}_FILE");
        let environment = self.reader.environment;
        match (environment.get(variable), environment.get(&file_variable)) {
            (Some(_), Some(_)) => {
                self.problem(key, format!("given by both {variable} and {file_variable}; keep one"));
                None
            }
            (Some(text), None) => self.not_empty(key, variable, text.to_owned()),
            (None, Some(path)) => self.not_empty(key, path, self.read_secret_file(key, path)?),
            (None, None) => None,
        }
    }

    /// Several secrets: a list under `key`, or one a line in the file that `key_file` names.
    pub(super) fn secrets(&mut self, key: &'static str, key_file: &'static str) -> Option<Vec<SecretString>> {
        match self.in_file_or_path(key, key_file)? {
            Given::Path(path) => {
                let text = self.read_secret_file(key_file, &path)?;
                let lines = text.lines().filter(|line| !line.is_empty());
                let secrets: Vec<_> = lines.map(SecretString::from).collect();
                if secrets.is_empty() {
                    self.problem(key_file, format!("{path} is empty, expected one secret a line"));
                }
                Some(secrets)
            }
            Given::Value(Value::Array(items)) => {
                if items.is_empty() {
                    self.problem(key, "found an empty list, expected at least one secret");
                }
                let items = items.into_iter().enumerate();
                Some(items.filter_map(|(index, item)| self.list_item(key, index, item)).collect())
            }
            Given::Value(other) => {
                let found = describe(&other);
                self.problem(key, format!("found {found}, expected a list of non-empty strings"));
                None
            }
        }
    }

    /// The headers of a request with their values, which may authorise it.
    pub(super) fn headers(&mut self, key: &'static str) -> BTreeMap<String, SecretString> {
        let table = match self.in_file(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.problem(key, format!("found {}, expected a table", describe(&other)));
                Table::new()
            }
        };
        let header = |(name, value): (String, Value)| {
            let valid_name = HeaderName::try_from(&name).is_ok();
            let text = value.as_str().filter(|text| valid_name && HeaderValue::try_from(*text).is_ok());
            if text.is_none() {
                self.problem(
                    &format!("{key}.{name}"),
                    "expected a header's name and a string that it can hold",
                );
            }
            Some((name, SecretString::from(text?)))
        };
        table.into_iter().filter_map(header).collect()
    }

    fn list_item(&self, key: &str, index: usize, item: Value) -> Option<SecretString> {
        match item {
            Value::String(text) => self.not_empty(&format!("{key}[{index}]"), "", text),
            other => {
                let found = describe(&other);
                self.problem(
                    &format!("{key}[{index}]"),
                    format!("found {found}, expected a non-empty string in quotes"),
                );
                None
            }
        }
    }

    fn in_file_or_path(&mut self, key: &'static str, key_file: &'static str) -> Option<Given> {
        match (self.in_file(key), self.in_file(key_file)) {
            (Some(_), Some(_)) => {
                self.problem(key, format!("given by both `{key}` and `{key_file}`; keep one"));
                None
            }
            (None, Some(Value::String(path))) => Some(Given::Path(path)),
            (None, Some(other)) => {
                let found = describe(&other);
                self.problem(key_file, format!("found {found}, expected the path of a file"));
                None
            }
            (Some(value), None) => Some(Given::Value(value)),
            (None, None) => None,
        }
    }

    /// A file's text, one newline at its end cut.
    fn read_secret_file(&self, key: &str, path: &str) -> Option<String> {
        match fs::read_to_string(path) {
            Ok(mut text) => {
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                Some(text)
            }
            Err(error) => {
                self.problem(key, format!("cannot read {path:?}: {error}"));
                None
            }
        }
    }

    fn not_empty(&self, key: &str, place: &str, text: String) -> Option<SecretString> {
        if text.is_empty() {
            let place = if place.is_empty() { String::new() } else { format!(" in {place}") };
            self.problem(key, format!("the secret{place} is empty"));
            return None;
        }
        Some(SecretString::from(text))
    }
}

/// How the file gives a secret: as it is, or as the path of another file.
enum Given {
    Value(Value),
    Path(String),
}
