//! The texts of a rule: templates over the event, its conversation and the lane's state.

use std::collections::BTreeSet;

use minijinja::Environment;
use serde_json::Value;

use crate::model::template;

/// The longest text one template may make, in bytes: far above any WhatsApp limit, far below what would hurt.
const LONGEST_TEXT: usize = 64 * 1024;

/// What templates may name.
pub(super) const VARIABLES: &[&str] =
    &["event", "conversation", "message", "latest_message", "state", "first_contact", "now"];

/// Compiled templates; each is known by its own source.
pub(super) struct Texts {
    engine: Environment<'static>,
}

impl Texts {
    pub(super) fn new() -> Self {
        Self { engine: template::engine() }
    }

    /// Compiles every text of a value, and finds what could only fail: bad syntax, names and filters that nobody knows.
    pub(super) fn add(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::String(source) => self.add_one(source),
            Value::Array(items) => items.iter().try_for_each(|item| self.add(item)),
            Value::Object(members) => members.values().try_for_each(|value| self.add(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn add_one(&mut self, source: &str) -> Result<(), String> {
        // A configured template is the operator's own text, so an error may quote it.
        let told = |error: minijinja::Error| format!("the template does not parse: {error}");
        self.engine.add_template_owned(source.to_owned(), source.to_owned()).map_err(told)?;
        let compiled = self.engine.get_template(source).map_err(told)?;
        if let Some(unknown) = unknown_name(&self.engine, &compiled.undeclared_variables(false)) {
            return Err(format!(
                "the template names `{unknown}`, which is not known: known are {}",
                VARIABLES.join(", ")
            ));
        }
        if let Some(unknown) = template::unknown_in_template(&self.engine, &compiled) {
            return Err(format!("the template cannot work: {unknown}"));
        }
        match compiled.render(()) {
            Err(error) if template::is_never_known(error.kind()) => {
                Err(format!("the template cannot work: {error}"))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The value with every text in it rendered.
    pub(super) fn render(&self, value: &Value, data: &minijinja::Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(source) => Value::String(self.render_one(source, data)?),
            Value::Array(items) => {
                items.iter().map(|item| self.render(item, data)).collect::<Result<_, _>>()?
            }
            Value::Object(members) => {
                let rendered =
                    members.iter().map(|(key, value)| Ok((key.clone(), self.render(value, data)?)));
                Value::Object(rendered.collect::<Result<_, String>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn render_one(&self, source: &str, data: &minijinja::Value) -> Result<String, String> {
        let failed = |error: minijinja::Error| format!("the template failed: {}", template::reason(&error));
        let text = self.engine.get_template(source).map_err(failed)?.render(data).map_err(failed)?;
        if text.len() > LONGEST_TEXT {
            return Err(format!("the template made {} bytes, the limit is {LONGEST_TEXT}", text.len()));
        }
        Ok(text)
    }
}

fn unknown_name(engine: &Environment<'_>, named: &std::collections::HashSet<String>) -> Option<String> {
    let globals: BTreeSet<&str> = engine.globals().map(|(name, _)| name).collect();
    let known = |name: &str| VARIABLES.contains(&name) || globals.contains(name);
    named.iter().filter(|name| !known(name)).min().cloned()
}

/// Whether a text is a template with something in it.
pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// The paths, as problems name them, at which a value has templates: what stands there is known only once it is rendered.
pub(super) fn templated(value: &Value, path: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if is_template(text) => drop(paths.insert(path.to_owned())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                templated(item, &format!("{path}[{index}]"), paths);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                templated(value, &format!("{path}.{key}"), paths);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
