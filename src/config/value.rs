//! The kinds of values that a section hands out, and what each accepts.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Value;

use super::reader::Reader;
use super::section::{Section, describe};
use super::units::{parse_duration, parse_size, show_duration, show_size};

/// The most letters of a wrong value that a problem repeats; enough to recognise it.
const SHOWN_LETTERS: usize = 60;

/// A value as it was written, and the variable that it came from, if it did not come from the file.
pub(super) struct Raw {
    value: Value,
    variable: Option<String>,
}

impl Raw {
    fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// The text of a variable, which stands for numbers, booleans and lists as well.
    fn variable_text(&self) -> Option<&str> {
        self.variable.as_ref().and(self.value.as_str())
    }

    fn integer(&self) -> Option<i64> {
        let from_variable = || self.variable_text()?.parse().ok();
        self.value.as_integer().or_else(from_variable)
    }

    fn shown(&self) -> String {
        let mut shown = match &self.value {
            Value::String(text) => cut(text, |text| format!("{text:?}")),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => self.value.to_string(),
            Value::Array(_) => cut(&self.value.to_string(), str::to_owned),
            Value::Datetime(_) | Value::Table(_) => describe(&self.value).to_owned(),
        };
        if let Some(variable) = &self.variable {
            shown.push_str(" in ");
            shown.push_str(variable);
        }
        shown
    }
}

/// The beginning of a text, with dots if there is more.
fn cut(text: &str, show: impl Fn(&str) -> String) -> String {
    match text.char_indices().nth(SHOWN_LETTERS) {
        Some((end, _)) => format!("{}...", show(&text[..end])),
        None => show(text),
    }
}

impl Section<'_> {
    /// A text, exactly as written, that is not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, "a non-empty string in quotes", |text| (!text.is_empty()).then(|| text.to_owned()))
    }

    /// A text that `parse` makes something of; `expected` says what that takes.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read(key, expected, |raw| parse(raw.text()?))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.parsed(key, &words.join(" or "), |text| {
            let (_, value) = choices.iter().find(|(word, _)| *word == text)?;
            Some(*value)
        })
    }

    /// A whole number within a range.
    pub(super) fn integer<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(key, &expected, |raw| {
            let number = raw.integer().filter(|number| range.contains(number))?;
            T::try_from(number).ok()
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", |raw| {
            let from_variable = || raw.variable_text()?.parse().ok();
            raw.value.as_bool().or_else(from_variable)
        })
    }

    /// A duration within a range.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
        let expected = format!("a duration from \"{from}\" to \"{to}\"");
        self.parsed(key, &expected, |text| parse_duration(text).filter(|duration| range.contains(duration)))
    }

    /// A number of bytes within a range.
    pub(super) fn size(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<usize> {
        let (from, to) = (show_size(*range.start()), show_size(*range.end()));
        let expected = format!("a size from \"{from}\" to \"{to}\", or a number of bytes");
        self.read(key, &expected, |raw| {
            let bytes = match raw.text() {
                Some(text) => parse_size(text)?,
                None => u64::try_from(raw.integer()?).ok()?,
            };
            usize::try_from(Some(bytes).filter(|bytes| range.contains(bytes))?).ok()
        })
    }

    /// An address to listen on, with its port.
    pub(super) fn address(&mut self, key: &'static str) -> Option<SocketAddr> {
        let expected = "an IP address with a port, such as \"127.0.0.1:8080\"";
        self.parsed(key, expected, |text| text.parse().ok())
    }

    /// A list of texts that are not empty; from a variable, separated by commas.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let non_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.read(key, "a list of non-empty strings", |raw| {
            if let Some(text) = raw.variable_text() {
                return text.split(',').map(|item| non_empty(item.trim())).collect();
            }
            let items = raw.value.as_array()?;
            items.iter().map(|item| item.as_str().and_then(non_empty)).collect()
        })
    }

    /// An `http://` or `https://` URL with a host and without credentials, a trailing slash cut.
    pub(super) fn http_url(&mut self, key: &'static str) -> Option<String> {
        let url = self.endpoint(key)?;
        Some(url.strip_suffix('/').unwrap_or(&url).to_owned())
    }

    /// The same, to the letter: there are servers to whom a slash at the end makes another path.
    pub(super) fn endpoint(&mut self, key: &'static str) -> Option<String> {
        let raw = self.raw(key)?;
        match raw.text().map(http_url) {
            Some(Some(url)) => Some(url),
            // A password may stand in front of an `@`, so this one is not repeated.
            Some(None) if raw.text().is_some_and(|text| text.contains('@')) => {
                self.problem(key, "expected a URL without user name and password");
                None
            }
            _ => {
                let found = raw.shown();
                self.problem(key, format!("found {found}, expected a URL with https:// or http://"));
                None
            }
        }
    }

    /// The same, without query and fragment: paths are put behind it.
    pub(super) fn public_url(&mut self, key: &'static str) -> Option<String> {
        let url = self.http_url(key)?;
        if url.contains(['?', '#']) {
            self.problem(key, "expected a URL without ? and #, such as \"https://hooks.example.com\"");
            return None;
        }
        Some(url)
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl FnOnce(&Raw) -> Option<T>,
    ) -> Option<T> {
        let raw = self.raw(key)?;
        let value = convert(&raw);
        if value.is_none() {
            self.problem(key, format!("found {}, expected {expected}", raw.shown()));
        }
        value
    }

    /// The value that wins: a variable's before the file's.
    fn raw(&mut self, key: &'static str) -> Option<Raw> {
        let in_file = self.in_file(key);
        match self.set_variable(key, Reader::knows) {
            Some(variable) => {
                let text = self.reader.environment.get(&variable)?;
                Some(Raw { value: Value::from(text), variable: Some(variable) })
            }
            None => in_file.map(|value| Raw { value, variable: None }),
        }
    }
}

/// A name that may stand in a URL's path and in a log line: `[a-z0-9-_]{1,64}`.
pub(super) fn is_name(text: &str) -> bool {
    let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(letter)
}

/// What [`is_name`] accepts, for people.
pub(super) const NAME: &str = "1 to 64 of the letters a-z, 0-9, - and _";

fn http_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host_is_plain = !authority.is_empty() && !authority.starts_with(':') && !authority.contains('@');
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    (host_is_plain && clean).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "front-desk_2", &"a".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "A", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn urls() {
        let accepted = |text| http_url(text);
        assert_eq!(accepted("https://a.example/b/"), Some("https://a.example/b/".to_owned()));
        assert_eq!(accepted("http://[::1]:80"), Some("http://[::1]:80".to_owned()));
        assert!(accepted("https://a/?q=@").is_some(), "an @ behind the host is no password");
        for text in
            ["", "a.example", "ftp://a", "https://", "https://:80", "https://u:p@a", "https://a b", "//a"]
        {
            assert_eq!(accepted(text), None, "{text}");
        }
    }

    #[test]
    fn long_values_are_cut_at_a_letter() {
        let raw = |text: String| Raw { value: Value::from(text), variable: None };
        assert_eq!(raw("é".repeat(60)).shown(), format!("\"{}\"", "é".repeat(60)));
        assert_eq!(raw("é".repeat(61)).shown(), format!("\"{}\"...", "é".repeat(60)));
    }
}
