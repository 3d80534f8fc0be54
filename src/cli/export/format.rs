//! How exported events are spelled.

use super::spreadsheet;
use crate::cli::admin::Document;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One event's JSON a line, exactly as the API gives it
    Jsonl,
    /// Flat rows for a spreadsheet; the columns are listed below
    Csv,
}

/// What tells programs that guess that the text is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

impl Format {
    /// What comes before the first row.
    pub(super) fn opening(self, bom: bool) -> String {
        match self {
            Self::Jsonl => String::new(),
            Self::Csv => format!("{}{}", if bom { BYTE_ORDER_MARK } else { "" }, spreadsheet::headings()),
        }
    }

    /// The rows of one page.
    pub(super) fn rows(self, page: &[Document]) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Jsonl => Ok(lines(page)),
            Self::Csv => spreadsheet::rows(page),
        }
    }
}

/// One document a line. A line break inside one can only be white space between its parts (callback data is kept as somebody
/// wrote it), where a space means the same.
fn lines(page: &[Document]) -> Vec<u8> {
    let mut lines = Vec::new();
    for document in page {
        let bytes = document.get().bytes();
        lines.extend(bytes.map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_one_line_to_the_byte() {
        let page: Vec<Document> =
            serde_json::from_str("[{\"text\": \"Ol\u{e1}\\n\", \"big\":1e999}, {\"a\":\r\n[1]}]").unwrap();
        let lines = String::from_utf8(Format::Jsonl.rows(&page).unwrap()).unwrap();
        assert_eq!(lines, "{\"text\": \"Ol\u{e1}\\n\", \"big\":1e999}\n{\"a\":  [1]}\n");
    }
}
