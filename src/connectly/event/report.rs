//! Reports that are ready for download.

use super::json::Object;
use crate::connectly::text::bounded;

/// A finished run of a report. The webhook prints snake case, the reports endpoint camel case; both are read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The report's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Where the result can be fetched, for some minutes.
    pub url: Option<String>,
}

pub(super) fn read(envelope: &Object<'_>) -> Option<Report> {
    let report = envelope.object(&["report"])?;
    let run = report.object(&["last_run", "lastRun"]);
    let result = run.and_then(|run| run.object(&["result"]));
    Some(Report {
        id: report.filled(&["id"]).map(|id| bounded(&id)),
        name: report.filled(&["name"]).map(|name| bounded(&name)),
        url: result.and_then(|result| result.filled(&["url"])),
    })
}
