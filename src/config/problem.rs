//! What is wrong with a configuration: everything at once, each thing under its key.

use std::fmt;

/// One thing that is wrong, and where. Neither part ever holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The dotted path of the setting, such as `accounts.default.webhook_secrets`.
    pub key: String,
    /// What was found and what is accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.key, self.message)
    }
}

/// Everything that is wrong with a configuration; it is shown as one problem a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    file: Option<String>,
}

impl Problems {
    /// No problem so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what is wrong with the setting at a dotted path.
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let (key, message) = (key.into(), message.into());
        self.list.push(Problem { key, message });
    }

    /// The same, of a file: whoever is told may have several.
    #[must_use]
    pub(super) fn of_file(self, name: &str) -> Self {
        Self { file: Some(name.to_owned()), ..self }
    }

    /// The configuration file that was read, if one was.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// Takes over the problems of a later check, except those about a setting that was already found wrong: what
    /// stood in for it is not the reader's business.
    pub(super) fn follow_up(&mut self, later: Problems) {
        for problem in later.list {
            if !self.list.iter().any(|known| covers(&problem.key, &known.key)) {
                self.list.push(problem);
            }
        }
    }
}

/// Whether `inner` is the setting at `outer`, a part of it, or its `_file` spelling.
fn covers(outer: &str, inner: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest == "_file" || rest.starts_with(['.', '[']))
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Extend<Problem> for Problems {
    fn extend<Found: IntoIterator<Item = Problem>>(&mut self, found: Found) {
        self.list.extend(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_a_line() {
        let mut problems = Problems::new();
        assert!(problems.is_empty());
        problems.add("a.b", "found 1, expected 2");
        problems.add("c", "missing");
        assert_eq!(problems.to_string(), "a.b: found 1, expected 2\nc: missing");
        assert_eq!(problems.iter().count(), 2);
    }

    #[test]
    fn a_later_check_does_not_repeat_what_is_known() {
        let mut problems = Problems::new();
        problems.add("accounts.default.webhook_secrets[0]", "empty");
        problems.add("admin.token_file", "unreadable");
        let mut later = Problems::new();
        later.add("accounts.default.webhook_secrets", "missing");
        later.add("admin.token", "missing");
        later.add("accounts.default", "not covered by name alone, yet its part is known");
        later.add("store.url", "missing");
        problems.follow_up(later);
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["accounts.default.webhook_secrets[0]", "admin.token_file", "store.url"]);
    }
}
