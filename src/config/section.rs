//! One table of settings, and the variables that reach into it.
//!
//! A [`Section`] is asked for each of its keys by name and kind. It answers `None` when a setting is absent, and also
//! when it is wrong, after noting the problem; the caller then goes on with a default. Whatever nobody asked for is
//! unknown, and is reported when the section is finished.

use toml::{Table, Value};

use super::environment::alias;
use super::reader::Reader;
use super::suggest::nearest;

/// One table of settings that is being read.
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader<'a>,
    /// The dotted path, empty for the document.
    key: String,
    /// What nobody has asked for yet.
    table: Table,
    /// The keys that were asked for.
    known: Vec<&'static str>,
    /// What the names of this section's variables begin with; none where the environment does not reach.
    variables: Option<String>,
}

impl<'a> Section<'a> {
    /// The outermost section. Variables that begin with `prefix` reach it.
    pub(super) fn document(reader: &'a Reader<'a>, table: Table, prefix: &str) -> Self {
        Self { reader, key: String::new(), table, known: Vec::new(), variables: Some(prefix.to_owned()) }
    }

    /// The dotted path of a key of this section.
    pub(super) fn path(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }

    /// Notes that a key's value is wrong.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        self.reader.problem(self.path(key), message);
    }

    /// Notes something about a key that should be known, but need not stop anybody.
    pub(super) fn warn(&self, key: &str, message: &str) {
        self.reader.warn(&self.path(key), message);
    }

    /// A key's value as the file has it. The key counts as known.
    pub(super) fn in_file(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// Notes a problem if nothing sets a key that must be set.
    pub(super) fn require(&self, key: &str, expected: &str) {
        let in_environment = self.set_variable(key, Reader::knows).is_some();
        if !in_environment && !self.table.contains_key(key) {
            self.problem(key, format!("missing, expected {expected}"));
        }
    }

    /// A key's value as the file has it, without counting the key as known.
    pub(super) fn peek(&self, key: &str) -> Option<&Value> {
        self.table.get(key)
    }

    /// Whether the environment reaches this section.
    pub(super) fn is_reached(&self) -> bool {
        self.variables.is_some()
    }

    /// The variable that sets a key, if one does. All that could count as known from now on.
    pub(super) fn set_variable(
        &self,
        key: &str,
        is_set: impl Fn(&Reader<'a>, &str) -> bool,
    ) -> Option<String> {
        let variables = self.variables(key).into_iter();
        let (set, _unset): (Vec<_>, Vec<_>) = variables.partition(|variable| is_set(self.reader, variable));
        set.into_iter().next()
    }

    /// The variables that set a key, the one that wins first.
    fn variables(&self, key: &str) -> Vec<String> {
        let Some(prefix) = &self.variables else {
            return Vec::new();
        };
        let pattern = format!("{prefix}{}", key.to_uppercase());
        let alias = alias(&self.path(key)).map(str::to_owned);
        [Some(pattern), alias].into_iter().flatten().collect()
    }

    /// A nested table, which counts as empty when it is absent.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let table = match self.in_file(key) {
            Some(value) => self.expect_table(self.path(key), value),
            None => Table::new(),
        };
        let variables = self.variables.as_ref();
        let variables = variables.map(|prefix| format!("{prefix}{}__", key.to_uppercase()));
        self.nested(self.path(key), table, variables, read)
    }

    /// A nested table, if the file or a variable sets anything in it.
    pub(super) fn optional_section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        let present = self.table.contains_key(key) || self.has_variables(key);
        if present {
            return Some(self.section(key, read));
        }
        self.known.push(key);
        None
    }

    /// Whether any variable sets something in the nested table `key`.
    pub(super) fn has_variables(&self, key: &str) -> bool {
        let Some(prefix) = &self.variables else {
            return false;
        };
        let prefix = format!("{prefix}{}__", key.to_uppercase());
        self.reader.environment.names().any(|name| name.starts_with(&prefix))
    }

    /// The tables of an array, each with the path that names it. The environment does not reach them.
    pub(super) fn sections<T>(&mut self, key: &'static str, read: impl Fn(&mut Section<'_>) -> T) -> Vec<T> {
        let items = match self.in_file(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(value) => {
                let found = describe(&value);
                self.problem(key, format!("found {found}, expected tables under [[{}]]", self.path(key)));
                return Vec::new();
            }
        };
        let items = items.into_iter().enumerate();
        items
            .map(|(index, value)| {
                let path = match value.get("name").and_then(Value::as_str) {
                    Some(name) if !name.is_empty() => self.path(&format!("{key}.{name}")),
                    _ => self.path(&format!("{key}[{index}]")),
                };
                let table = self.expect_table(path.clone(), value);
                self.nested(path, table, None, &read)
            })
            .collect()
    }

    /// The names of the tables that the file has under this section, which takes any name.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// The nested table of a name that the user chose, reached by the environment or not.
    pub(super) fn named<T>(
        &mut self,
        name: &str,
        reached: bool,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let table = match self.table.remove(name) {
            Some(value) => self.expect_table(self.path(name), value),
            None => Table::new(),
        };
        let variables = self.variables.as_ref().filter(|_| reached);
        let variables = variables.map(|prefix| format!("{prefix}{}__", name.to_uppercase()));
        self.nested(self.path(name), table, variables, read)
    }

    fn expect_table(&self, path: String, value: Value) -> Table {
        match value {
            Value::Table(table) => table,
            other => {
                let found = describe(&other);
                self.reader.problem(path, format!("found {found}, expected a table"));
                Table::new()
            }
        }
    }

    fn nested<T>(
        &self,
        key: String,
        table: Table,
        variables: Option<String>,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section = Section { reader: self.reader, key, table, known: Vec::new(), variables };
        let value = read(&mut section);
        section.finish();
        value
    }

    /// Reports the keys that nobody asked for. Their values stay unsaid: a mistyped key may hold a secret.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let hint = match nearest(key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("expected {}", self.known.join(", ")),
            };
            self.problem(key, format!("unknown key; {hint}"));
        }
    }
}

/// What a value of the wrong kind is called. The value stays unsaid: it may be a secret.
pub(super) fn describe(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
