//! The one engine for `when` expressions and rule templates: lenient about missing fields, and bounded.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

/// Steps one evaluation may take: a thousand times what an ordinary expression needs, and well under a millisecond.
const FUEL: u64 = 50_000;
/// How deep templates may nest.
const RECURSION: usize = 64;

/// A fresh engine. A missing field is undefined, however deep; an endless loop runs out of fuel.
pub fn engine() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    // A template is known by its own text, from whose end an escape for HTML would be guessed: messages are plain text.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment
}

/// A value as expressions and templates see it.
pub fn value_of(value: serde_json::Value) -> Value {
    Value::from(Serde(value))
}

/// Whether it is an error whatever the data: a name that the engine does not know.
pub const fn is_never_known(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::TemplateNotFound
    )
}

/// What went wrong, in a line that quotes nothing of the data it went wrong on.
pub fn reason(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    format!("{}{line}", error.kind())
}
