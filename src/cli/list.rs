//! What every listing has in common: how many rows, as a table or as JSON.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::admin::Document;
use super::table::Table;
use super::terminal::Terminal;

/// How long a text in a table's last column may be, in characters.
pub const TEXT_WIDTH: usize = 60;

/// Options of every listing.
#[derive(Debug, Clone, clap::Args)]
pub struct Listing {
    /// How many at most, newest first
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = limit)]
    pub limit: usize,
    /// Print the API's JSON, as one array
    #[arg(long)]
    pub json: bool,
}

impl Listing {
    /// Prints what was found: as JSON, or as a table that says when it may have been cut; with nothing, what to do about it.
    pub fn print<const COLUMNS: usize>(
        &self,
        rows: &[Document],
        headings: [&str; COLUMNS],
        cells: impl Fn(&Value) -> [String; COLUMNS],
        hint: &str,
        terminal: &mut Terminal<'_>,
    ) -> io::Result<()> {
        if self.json {
            return json(rows, terminal);
        }
        table(rows, headings, cells, hint, terminal)?;
        if rows.len() >= self.limit {
            terminal.hint(&format!(
                "these are the first {}; --limit shows more, if there are more",
                rows.len()
            ))?;
        }
        Ok(())
    }
}

/// Reads how many rows are wanted.
pub(super) fn limit(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or("expected a number from 1 on")
}

/// Rows that come from elsewhere than the API, as documents like its own.
pub fn documents<T: Serialize>(rows: &[T]) -> serde_json::Result<Vec<Document>> {
    rows.iter().map(serde_json::value::to_raw_value).collect()
}

/// Prints rows as an array, one a line.
pub fn json(rows: &[Document], terminal: &mut Terminal<'_>) -> io::Result<()> {
    if rows.is_empty() {
        return terminal.json("[]");
    }
    terminal.json("[")?;
    for (number, row) in rows.iter().enumerate() {
        let comma = if number + 1 < rows.len() { "," } else { "" };
        terminal.json(&format!("  {}{comma}", row.get()))?;
    }
    terminal.json("]")
}

/// Prints rows as a table, made by `cells`; with none, says what to do about it.
pub fn table<const COLUMNS: usize>(
    rows: &[Document],
    headings: [&str; COLUMNS],
    cells: impl Fn(&Value) -> [String; COLUMNS],
    hint: &str,
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    if rows.is_empty() {
        return terminal.hint(hint);
    }
    let mut table = Table::new(headings);
    for row in rows {
        table.row(cells(&tree(row.get())));
    }
    table.write(terminal)
}

/// The fields of a row, each in the server's own spelling. Nothing that is an object fails here.
pub fn fields(row: &str) -> BTreeMap<String, &RawValue> {
    // What is no object cannot be: rows are cut out of documents that were read.
    serde_json::from_str(row).unwrap_or_default()
}

/// A row as a tree. A field that is too strange for one (callback data may be nested without end) is null, and the others
/// are there.
pub fn tree(row: &str) -> Value {
    let read = |(name, value): (String, &RawValue)| -> (String, Value) {
        (name, serde_json::from_str(value.get()).unwrap_or_default())
    };
    fields(row).into_iter().map(read).collect()
}

/// The text at a place like `/customer/phone`; numbers as they print, nothing for what is not there.
pub fn text(row: &Value, pointer: &str) -> String {
    match row.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_field_does_not_hide_the_others() {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        let row = format!(r#"{{"id": "01E1", "callback_data": {deep}, "name": "\ud800"}}"#);
        assert_eq!(tree(&row), serde_json::json!({"id": "01E1", "callback_data": null, "name": null}));
        assert_eq!(fields(&row)["callback_data"].get(), deep);
    }
}
