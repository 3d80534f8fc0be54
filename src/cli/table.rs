//! Rows of text in aligned columns.

use std::io;

use super::terminal::{Terminal, clean};

/// What stands between two columns.
const GAP: &str = "  ";

/// A table under construction. Put the column that holds people's own words last: the width of a character is not
/// known, and nothing follows it there.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        let headings = headings.into_iter().map(str::to_uppercase).collect();
        Self { rows: vec![headings] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// Prints the headings and every row.
    pub fn write(&self, terminal: &mut Terminal<'_>) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().try_for_each(|row| terminal.line(&aligned(row, &widths)))
    }
}

/// One line: every cell padded to its column, nothing after the last word.
pub fn aligned<T: AsRef<str>>(cells: &[T], widths: &[usize]) -> String {
    let padded = |(cell, width): (&T, &usize)| format!("{:width$}", cell.as_ref(), width = *width);
    let line = cells.iter().zip(widths).map(padded).collect::<Vec<_>>().join(GAP);
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Captured;

    #[test]
    fn columns_are_as_wide_as_their_widest_clean_cell() {
        let mut table = Table::new(["id", "text"]);
        table.row(["1".into(), "a\u{1b}[0m".into()]);
        table.row(["1234".into(), String::new()]);
        let mut captured = Captured::default();
        table.write(&mut captured.terminal()).unwrap();
        assert_eq!(captured.out(), "ID    TEXT\n1     a[0m\n1234\n");
    }
}
