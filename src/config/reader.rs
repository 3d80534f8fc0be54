//! Reading settings out of TOML and the environment without stopping at the first mistake.

use std::cell::RefCell;
use std::collections::BTreeSet;

use toml::Table;

use super::environment::Environment;
use super::problem::Problems;
use super::section::Section;
use super::suggest::nearest;

/// What all variables that follow the pattern begin with.
const PREFIX: &str = "SWITCHBOARD_";
/// Variables of the test scripts, which are no settings.
const TEST_PREFIX: &str = "SWITCHBOARD_TEST_";

/// Collects what is wrong while sections are read.
pub(super) struct Reader<'a> {
    pub(super) environment: &'a Environment,
    problems: RefCell<Problems>,
    warnings: RefCell<Vec<String>>,
    /// Every variable that some key would have been read from.
    known_variables: RefCell<BTreeSet<String>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            known_variables: RefCell::default(),
        }
    }

    /// Reads a whole document, and reports the keys in it that nobody asked for.
    pub(super) fn document<T>(&self, table: Table, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let mut root = Section::document(self, table, PREFIX);
        let value = read(&mut root);
        root.finish();
        value
    }

    /// Whether a variable is set; from now on it counts as known.
    pub(super) fn knows(&self, variable: &str) -> bool {
        self.known_variables.borrow_mut().insert(variable.to_owned());
        self.environment.get(variable).is_some()
    }

    /// Whether a secret's variable, or the one with the path to it, is set; from now on both count as known.
    pub(super) fn knows_secret(&self, variable: &str) -> bool {
        self.knows(variable) | self.knows(&format!("{variable}_FILE"))
    }

    /// Notes that the setting at a dotted path is wrong.
    pub(super) fn problem(&self, key: impl Into<String>, message: impl Into<String>) {
        self.problems.borrow_mut().add(key, message);
    }

    /// Notes something that should be known, but need not stop anybody.
    pub(super) fn warn(&self, key: &str, message: &str) {
        self.warnings.borrow_mut().push(format!("{key}: {message}"));
    }

    /// Everything that was found, once the variables that nobody asked for are reported as well.
    pub(super) fn finish(self) -> (Problems, Vec<String>) {
        let known = self.known_variables.borrow().clone();
        for name in self.environment.names().filter(|name| name.starts_with(PREFIX)) {
            if !known.contains(name) && !name.starts_with(TEST_PREFIX) {
                self.unknown_variable(name, &known);
            }
        }
        for name in known.iter().filter(|name| self.environment.is_unreadable(name)) {
            self.problem(name, "the value is not Unicode text");
        }
        (self.problems.into_inner(), self.warnings.into_inner())
    }

    /// Only names with the double underscore can be meant for us: orchestrators invent others, such as
    /// `SWITCHBOARD_SERVICE_HOST`. Of those, a name that only lacks an underscore is worth a warning.
    fn unknown_variable(&self, name: &str, known: &BTreeSet<String>) {
        if name.contains("__") {
            let hint = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    "variables reach single settings of fixed sections and of account `default`".to_owned()
                }
            };
            self.problem(name, format!("unknown variable; {hint}"));
        } else if let Some(near) = known.iter().find(|known| known.replace("__", "_") == name) {
            self.warn(name, &format!("this variable is not read; did you mean {near}?"));
        }
    }
}
