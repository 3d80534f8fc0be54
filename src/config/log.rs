//! `[log]`: what is logged, and how it is written.

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::section::Section;

/// What is logged, and how it is written.
#[derive(Debug, Clone, Serialize)]
pub struct LogConfig {
    /// Directives as `tracing` knows them, such as `info` or `info,switchboard::worker=debug`.
    pub filter: String,
    /// How a line is written.
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl LogConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let expected = "log directives, such as \"info\" or \"info,switchboard::worker=debug\"";
        let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        Self {
            filter: section
                .parsed("filter", expected, |text| is_filter(text).then(|| text.to_owned()))
                .unwrap_or(default.filter),
            format: section.choice("format", &formats).unwrap_or(default.format),
        }
    }
}

fn is_filter(text: &str) -> bool {
    !text.trim().is_empty() && EnvFilter::builder().parse(text).is_ok()
}
