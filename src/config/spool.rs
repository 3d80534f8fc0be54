//! `[spool]`: where deliveries wait while PostgreSQL is down.

use std::path::PathBuf;

use serde::Serialize;

use super::section::Section;

/// The local folder for deliveries that PostgreSQL cannot take.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SpoolConfig {
    /// The folder; none for no spool.
    pub path: Option<PathBuf>,
}

impl SpoolConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let path = section.text("path").map(PathBuf::from);
        if path.is_some() {
            section.warn(
                "path",
                "not available in this release; while PostgreSQL is down, deliveries are answered 503",
            );
        }
        Self { path }
    }
}
