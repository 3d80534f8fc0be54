//! What came of a run: counts, and the promises that were broken.

use std::fmt;

/// The broken promises that are printed; the rest are counted.
const SHOWN: usize = 20;

#[derive(Default)]
pub struct Report {
    counts: Vec<(String, String)>,
    broken: Vec<String>,
}

impl Report {
    /// Notes a number for the table.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers are small, and the table is read without ampersands"
    )]
    pub fn count(&mut self, what: impl Into<String>, number: impl ToString) {
        self.counts.push((what.into(), number.to_string()));
    }

    /// Notes a broken promise.
    pub fn broken(&mut self, what: impl Into<String>) {
        self.broken.push(what.into());
    }

    /// Notes it unless it holds.
    pub fn holds(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, number) in &self.counts {
            writeln!(formatter, "  {what:<44}{number:>10}")?;
        }
        writeln!(formatter, "  {:<44}{:>10}", "broken promises", self.broken.len())?;
        for broken in self.broken.iter().take(SHOWN) {
            writeln!(formatter, "    {broken}")?;
        }
        Ok(())
    }
}
