//! Reading a query: every parameter is known, stands once and has a value it takes, or the answer says which does not.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::connectly::ids::ProviderMessageId;
use crate::connectly::phone;
use crate::connectly::text::bounded;
use crate::http::problem::Problem;
use crate::model::callback::CallbackKey;

/// How the parameters that look into callback data are called.
const CALLBACK_DATA: &str = "callback_data.<path>";
/// What they take.
const CALLBACK_TAKES: &str = "a path of at most 256 bytes in its name, and a value of at most 1,024 bytes";
/// The longest path, in bytes.
const LONGEST_PATH: usize = 256;
/// The longest value, in bytes: Connectly's limit for the whole of it.
pub(super) const LONGEST_VALUE: usize = 1024;

/// The path that a parameter's name ends with, if it is one that looks into callback data.
fn callback_path(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("callback_data")?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('.').filter(|path| !path.is_empty()) }
}

/// A query's parameters. They are asked for one by one; [`Query::finish`] refuses what nobody asked for.
#[derive(Debug)]
pub(super) struct Query {
    given: Vec<(String, String)>,
    asked: Vec<&'static str>,
    source: Source,
}

/// The query of a path that takes no parameters.
#[derive(Debug)]
pub(super) struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Query::read(&parts.uri)?.finish()?;
        Ok(Self)
    }
}

/// Where parameters came from: it decides how they are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The query of the address.
    Address,
    /// The fields of a JSON body.
    Body,
}

impl Source {
    fn invalid(self, name: &str, takes: &str) -> Problem {
        match self {
            Self::Address => Problem::parameter(name, takes),
            Self::Body => Problem::field(name, takes),
        }
    }

    fn unknown(self, name: &str, known: &[&str]) -> Problem {
        match self {
            Self::Address => Problem::unknown_parameter(name, known),
            Self::Body => Problem::unknown_field(name, known),
        }
    }
}

impl Query {
    /// Splits the query, and refuses repeated parameters.
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        let given = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let given = given.map_err(|_unreadable| Problem::unknown_parameter("", &[]))?.0;
        for (position, (name, _)) in given.iter().enumerate() {
            if given[..position].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::repeated_parameter(name));
            }
        }
        Ok(Self { given, asked: Vec::new(), source: Source::Address })
    }

    /// Takes the fields of a body for parameters: each has to be a plain value.
    pub(super) fn of_fields(fields: Map<String, Value>) -> Result<Self, Problem> {
        let mut given = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let value = match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err(Problem::plain_field(&name));
                }
            };
            given.push((name, value));
        }
        Ok(Self { given, asked: Vec::new(), source: Source::Body })
    }

    /// One parameter, read by `parse`; `takes` completes the sentence "it takes ..." of the problem.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        takes: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.asked.push(name);
        let Some((_, value)) = self.given.iter().find(|(given, _)| given == name) else {
            return Ok(None);
        };
        parse(value).map(Some).ok_or_else(|| self.source.invalid(name, takes))
    }

    /// A name or id, cut like the stored ones that it is compared with.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.parsed(name, "a text that is not empty", |value| {
            (!value.trim().is_empty()).then(|| bounded(value.trim()))
        })
    }

    /// A phone number in any spelling, or another id. A `+` that was not escaped arrives as a space, which is no loss.
    pub(super) fn party(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let text = self.text(name)?;
        Ok(text.map(|text| phone::normalize(&text).unwrap_or(text)))
    }

    /// Connectly's message id in either spelling, as the store prints it.
    pub(super) fn provider_message_id(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let parse = |value: &str| ProviderMessageId::parse(value).map(|id| id.to_string());
        self.parsed(name, "a message id of Connectly's", parse)
    }

    /// One of a few names.
    pub(super) fn one_of<T>(
        &mut self,
        name: &'static str,
        names: &[&str],
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.parsed(name, &format!("one of {}", names.join(", ")), parse)
    }

    /// A time in RFC 3339.
    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        // The `+` of an offset, not escaped, arrives as a space.
        let parse = |value: &str| value.parse().or_else(|_| value.replace(' ', "+").parse()).ok();
        self.parsed(name, "a time in RFC 3339, such as 2026-01-01T00:00:00Z", parse)
    }

    /// Values in callback data: `callback_data.order_id=12345`, or `callback_data=order-7` where the data is a plain value.
    pub(super) fn callback_data(&mut self) -> Result<Vec<CallbackKey>, Problem> {
        self.asked.push(CALLBACK_DATA);
        let named = self.given.iter().filter_map(|(name, value)| Some((callback_path(name)?, value)));
        let key = |(path, value): (&str, &String)| {
            let fits = path.len() <= LONGEST_PATH && !path.contains('\0') && value.len() <= LONGEST_VALUE;
            fits.then(|| CallbackKey::of(path, value))
                .ok_or_else(|| self.source.invalid(CALLBACK_DATA, CALLBACK_TAKES))
        };
        named.map(key).collect()
    }

    /// Refuses parameters that were never asked for.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let is_known = |name: &str| {
            self.asked.contains(&name)
                || (self.asked.contains(&CALLBACK_DATA) && callback_path(name).is_some())
        };
        let unknown = self.given.iter().find(|(name, _)| !is_known(name));
        unknown.map_or(Ok(()), |(name, _)| Err(self.source.unknown(name, &self.asked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Query, Problem> {
        Query::read(&format!("/?{text}").parse().unwrap())
    }

    #[test]
    fn phone_numbers_and_times_survive_a_plus_that_was_not_escaped() {
        let mut read = query("a=+15550100001&b=%2B1%20(555)%20010-0001&c=2026-01-01T01:00:00+01:00").unwrap();
        assert_eq!(read.party("a").unwrap().as_deref(), Some("+15550100001"));
        assert_eq!(read.party("b").unwrap().as_deref(), Some("+15550100001"));
        assert_eq!(read.time("c").unwrap().unwrap().to_string(), "2026-01-01T00:00:00Z");
        read.finish().unwrap();
    }

    #[test]
    fn other_ids_stay_as_they_came() {
        let mut read = query("a=US.1349&b=01K00000000000000000000001").unwrap();
        assert_eq!(read.party("a").unwrap().as_deref(), Some("US.1349"));
        assert_eq!(read.party("b").unwrap().as_deref(), Some("01K00000000000000000000001"));
    }

    #[test]
    fn what_is_not_there_is_nothing_and_what_is_empty_is_refused() {
        assert_eq!(query("").unwrap().text("a"), Ok(None));
        assert_eq!(query("a=").unwrap().text("a"), Err(Problem::parameter("a", "a text that is not empty")));
    }

    #[test]
    fn callback_data_is_asked_for_by_path() {
        let mut read = query("callback_data.order.id=7&callback_data=x&callback_data.=y").unwrap();
        assert_eq!(
            read.callback_data(),
            Ok(vec![CallbackKey::of("order.id", "7"), CallbackKey::of("", "x")])
        );
        assert_eq!(read.finish(), Err(Problem::unknown_parameter("callback_data.", &[CALLBACK_DATA])));
        let long = format!("callback_data.a={}", "x".repeat(1025));
        assert_eq!(
            query(&long).unwrap().callback_data(),
            Err(Problem::parameter(CALLBACK_DATA, CALLBACK_TAKES))
        );
        let unasked = query("callback_data.a=1").unwrap();
        assert_eq!(unasked.finish(), Err(Problem::unknown_parameter("callback_data.a", &[])));
    }

    #[test]
    fn the_unknown_and_the_repeated_are_named() {
        assert_eq!(query("a=1&a=1").unwrap_err(), Problem::repeated_parameter("a"));
        let mut read = query("a=1&b=2").unwrap();
        read.text("a").unwrap();
        assert_eq!(read.finish(), Err(Problem::unknown_parameter("b", &["a"])));
    }
}
