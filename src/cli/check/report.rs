//! What the checks came to: a table for people, a document for programs.

use std::io;

use serde::Serialize;
use serde_json::json;

use crate::cli::table::Table;
use crate::cli::terminal::Terminal;

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// Well enough, but worth knowing.
    Warning,
    Failed,
    /// Something else has to be put right first.
    Skipped,
}

/// One check.
#[derive(Debug, Serialize)]
struct Row {
    check: String,
    state: State,
    detail: String,
}

/// All checks, in the order they were made.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn ok(&mut self, check: &str, detail: &str) {
        self.add(check, State::Ok, detail);
    }

    pub(super) fn warn(&mut self, check: &str, detail: &str) {
        self.add(check, State::Warning, detail);
    }

    pub(super) fn fail(&mut self, check: &str, detail: &str) {
        self.add(check, State::Failed, detail);
    }

    pub(super) fn skip(&mut self, check: &str, detail: &str) {
        self.add(check, State::Skipped, detail);
    }

    /// How many failed.
    pub(super) fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.state == State::Failed).count()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn print(&self, as_json: bool, terminal: &mut Terminal<'_>) -> io::Result<()> {
        if as_json {
            let report = json!({ "ok": self.failed() == 0, "checks": self.rows });
            return terminal.json(&report.to_string());
        }
        let mut table = Table::new(["check", "state", "detail"]);
        for row in &self.rows {
            let state = match row.state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Failed => "FAILED",
                State::Skipped => "skipped",
            };
            table.row([row.check.clone(), state.to_owned(), row.detail.clone()]);
        }
        table.write(terminal)
    }

    fn add(&mut self, check: &str, state: State, detail: &str) {
        self.rows.push(Row { check: check.to_owned(), state, detail: detail.to_owned() });
    }
}
