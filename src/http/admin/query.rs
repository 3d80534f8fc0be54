//! Reading a query: every parameter is known, stands once and has a value it takes, or the answer says which does not.

use axum::http::Uri;
use jiff::Timestamp;

use crate::connectly::ids::ProviderMessageId;
use crate::connectly::phone;
use crate::connectly::text::bounded;
use crate::http::problem::Problem;

/// A query's parameters. They are asked for one by one; [`Query::finish`] refuses what nobody asked for.
#[derive(Debug)]
pub(super) struct Query {
    given: Vec<(String, String)>,
    asked: Vec<&'static str>,
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
        Ok(Self { given, asked: Vec::new() })
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
        parse(value).map(Some).ok_or_else(|| Problem::parameter(name, takes))
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

    /// Refuses parameters that were never asked for.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let unknown = self.given.iter().find(|(name, _)| !self.asked.contains(&name.as_str()));
        unknown.map_or(Ok(()), |(name, _)| Err(Problem::unknown_parameter(name, &self.asked)))
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
    fn the_unknown_and_the_repeated_are_named() {
        assert_eq!(query("a=1&a=1").unwrap_err(), Problem::repeated_parameter("a"));
        let mut read = query("a=1&b=2").unwrap();
        read.text("a").unwrap();
        assert_eq!(read.finish(), Err(Problem::unknown_parameter("b", &["a"])));
    }
}
