//! One JSON document for people: a field a line, in the order the server gives them.

use std::fmt;
use std::io;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::table::{Table, aligned};
use super::terminal::{Terminal, clean};

/// What is somebody else's JSON.
const AS_WRITTEN: [&str; 2] = ["callback_data", "state"];

/// Prints one document, as the server's JSON or for people.
pub fn show(document: &RawValue, json: bool, terminal: &mut Terminal<'_>) -> io::Result<()> {
    if json { terminal.json(document.get()) } else { write(document, terminal) }
}

/// Prints a document for people: nested fields by their dotted names, lists of objects as tables below.
fn write(document: &RawValue, terminal: &mut Terminal<'_>) -> io::Result<()> {
    let mut sheet = Sheet::default();
    sheet.add("", document);
    let width = sheet.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &sheet.lines {
        terminal.line(&aligned(&[name, value], &[width, 0]))?;
    }
    for (name, rows) in &sheet.tables {
        terminal.line("")?;
        terminal.line(&format!("{name}:"))?;
        table(rows).write(terminal)?;
    }
    Ok(())
}

/// A document taken apart.
#[derive(Default)]
struct Sheet {
    lines: Vec<(String, String)>,
    tables: Vec<(String, Vec<Fields>)>,
}

impl Sheet {
    fn add(&mut self, name: &str, value: &RawValue) {
        if let Some(fields) = Fields::of(name, value) {
            for (key, value) in &fields.0 {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                self.add(&name, value);
            }
        } else if let Some(rows) = rows(name, value) {
            self.tables.push((name.to_owned(), rows));
        } else {
            self.lines.push((clean(name), clean(&text(value))));
        }
    }
}

/// An object's fields in their order.
struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// `None` for what is printed as one value: callback data is the caller's own and a state the handler's, so they are
    /// shown as they were written.
    fn of(name: &str, value: &RawValue) -> Option<Self> {
        let fields: Self = serde_json::from_str(value.get()).ok()?;
        (!AS_WRITTEN.contains(&name) && !fields.0.is_empty()).then_some(fields)
    }

    fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The value as a list of objects, when it is one of ours.
fn rows(name: &str, value: &RawValue) -> Option<Vec<Fields>> {
    let ours = (!AS_WRITTEN.contains(&name)).then_some(value)?;
    serde_json::from_str(ours.get()).ok().filter(|rows: &Vec<Fields>| !rows.is_empty())
}

/// A string's own text, or the JSON of anything else.
fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// A table with every key that any of the rows has.
fn table(rows: &[Fields]) -> Table {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.0) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut table = Table::new(names.iter().copied());
    for row in rows {
        table.row(names.iter().map(|name| row.get(name).map(text).unwrap_or_default()));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Captured;

    #[test]
    fn fields_keep_their_order_and_lists_become_tables() {
        let document = r#"{"id": "01K9", "customer": {"phone": null, "name": "An\u001ba"}, "attempts": 2, "empty": {},
            "callback_data": {"order": 12345678901234567890123}, "on": ["a", "b"],
            "log": [{"number": 1, "outcome": "retry"}, {"number": 2, "detail": "late"}]}"#;
        let mut captured = Captured::default();
        write(serde_json::from_str(document).unwrap(), &mut captured.terminal()).unwrap();
        insta::assert_snapshot!(captured.out(), @r#"
        id              01K9
        customer.phone  null
        customer.name   Ana
        attempts        2
        empty           {}
        callback_data   {"order": 12345678901234567890123}
        on              ["a", "b"]

        log:
        NUMBER  OUTCOME  DETAIL
        1       retry
        2                late
        "#);
    }
}
