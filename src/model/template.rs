//! The one engine for `when` expressions and rule templates: lenient about missing fields, and bounded.

use std::iter;

use minijinja::machinery::{CodeGenerator, Instruction, Instructions, get_compiled_template, parse_expr};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Template, UndefinedBehavior, Value};

/// Steps one evaluation may take: a thousand times what an ordinary expression needs, and well under a millisecond.
const FUEL: u64 = 50_000;
/// How deep templates may nest.
const RECURSION: usize = 64;
/// The methods there are: those of `loop` within a `for`. What templates see is JSON, and has none.
const METHODS: &[&str] = &["changed", "cycle"];

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

/// The first filter, test or method of an expression that nobody knows, evaluated or not. What does not parse has none.
pub fn unknown_in_expression(engine: &Environment<'_>, source: &str) -> Option<String> {
    let expression = parse_expr(source).ok()?;
    let mut generator = CodeGenerator::new("<expression>", source);
    generator.compile_expr(&expression);
    unknown(engine, &generator.finish().0)
}

/// The first filter, test or method of a template that nobody knows, in whatever branch it stands.
pub fn unknown_in_template<'engine>(
    engine: &'engine Environment<'_>,
    template: &Template<'engine, 'engine>,
) -> Option<String> {
    let compiled = get_compiled_template(template);
    let mut parts = iter::once(&compiled.instructions).chain(compiled.blocks.values());
    parts.find_map(|part| unknown(engine, part))
}

fn unknown(engine: &Environment<'_>, instructions: &Instructions<'_>) -> Option<String> {
    let mut all = (0..).map_while(|index| instructions.get(index));
    all.find_map(|instruction| match instruction {
        Instruction::ApplyFilter(name, ..) if !is_known(&engine.empty_state().apply_filter(name, &[])) => {
            Some(format!("there is no filter `{name}`"))
        }
        Instruction::PerformTest(name, ..) if !is_known(&engine.empty_state().perform_test(name, &[])) => {
            Some(format!("there is no test `{name}`"))
        }
        Instruction::CallMethod(name, _) if !METHODS.contains(name) => {
            Some(format!("there is no method `{name}`: a filter may do it, as in `event.type|lower`"))
        }
        _ => None,
    })
}

/// Whether there is what was tried: without arguments it fails at once, but for another reason.
fn is_known<T>(tried: &Result<T, Error>) -> bool {
    !matches!(tried, Err(error) if is_never_known(error.kind()))
}

/// Whether it is an error whatever the data: a name that the engine does not know.
pub const fn is_never_known(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::TemplateNotFound
    )
}

/// What went wrong, in a line that quotes nothing of the data it went wrong on.
pub fn reason(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    format!("{}{line}", error.kind())
}
