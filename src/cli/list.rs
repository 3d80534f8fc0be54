//! What every listing has in common: how many rows, as a table or as JSON.

use std::io;

use serde_json::Value;

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

fn limit(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or("expected a number from 1 on")
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
        // A row that is no JSON cannot be: it was cut out of a document that was read.
        table.row(cells(&serde_json::from_str(row.get()).unwrap_or_default()));
    }
    table.write(terminal)
}

/// The text at a place like `/customer/phone`; numbers as they print, nothing for what is not there.
pub fn text(row: &Value, pointer: &str) -> String {
    match row.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
