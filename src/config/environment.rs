//! The environment as a value: read from the process once, or made up by a test.

use std::collections::{BTreeMap, BTreeSet};

/// Names that do not follow the pattern `SWITCHBOARD_<SECTION>__<KEY>`, each beside the key that it sets. Where both
/// are given, the pattern wins, since `DATABASE_URL` may be meant for other programs as well.
const ALIASES: &[(&str, &str)] = &[
    ("admin.token", "SWITCHBOARD_ADMIN_TOKEN"),
    ("store.url", "DATABASE_URL"),
    ("accounts.default.business_id", "CONNECTLY_BUSINESS_ID"),
    ("accounts.default.api_key", "CONNECTLY_API_KEY"),
    ("accounts.default.webhook_secrets", WEBHOOK_SECRET),
    ("accounts.default.base_url", "CONNECTLY_BASE_URL"),
];

/// The webhook secret of account `default`.
pub(super) const WEBHOOK_SECRET: &str = "CONNECTLY_WEBHOOK_SECRET";
/// The webhook secret of account `default` that is being rotated out.
pub(super) const WEBHOOK_SECRET_PREVIOUS: &str = "CONNECTLY_WEBHOOK_SECRET_PREVIOUS";

/// The variables of one process. Its `Debug` output shows names only, since values may be secrets.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Names whose values are not Unicode.
    unreadable: BTreeSet<String>,
}

impl Environment {
    /// The variables of this process, as they are now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub fn from_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => environment.values.insert(name, value).is_none(),
                Err(_) => environment.unreadable.insert(name),
            };
        }
        environment
    }

    /// The value of a variable exactly as it was given, if it was.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether a variable is set to something that is not Unicode.
    pub(super) fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().chain(&self.unreadable).map(String::as_str)
    }
}

impl<Name: Into<String>, Value: Into<String>> FromIterator<(Name, Value)> for Environment {
    fn from_iter<Pairs: IntoIterator<Item = (Name, Value)>>(pairs: Pairs) -> Self {
        let pairs = pairs.into_iter();
        Self {
            values: pairs.map(|(name, value)| (name.into(), value.into())).collect(),
            unreadable: BTreeSet::new(),
        }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

/// The short name that also sets the key with this dotted path.
pub(super) fn alias(path: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(key, _)| *key == path).map(|(_, variable)| *variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_environment_is_read() {
        assert!(Environment::from_process().get("PATH").is_some());
    }

    #[test]
    fn a_value_that_is_not_unicode_is_a_problem_where_it_is_read() {
        let unreadable = ["CONNECTLY_API_KEY", "LS_COLORS"].map(str::to_owned).into();
        let environment = Environment { values: BTreeMap::new(), unreadable };
        let problems = super::super::Config::from_toml("", &environment).unwrap_err();
        assert_eq!(problems.to_string(), "CONNECTLY_API_KEY: the value is not Unicode text");
    }

    #[test]
    fn debug_output_shows_names_only() {
        let environment = Environment::from_iter([("CONNECTLY_API_KEY", "hunter2")]);
        assert_eq!(format!("{environment:?}"), r#"{"CONNECTLY_API_KEY"}"#);
    }
}
