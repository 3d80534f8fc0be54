//! Reports that are ready for download.

use serde::Serialize;

use super::json::Object;
use crate::connectly::text::bounded;

/// A finished run of a report. The webhook prints snake case, the reports endpoint camel case; both are read.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The report's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the result can be fetched, for some minutes, by whoever has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Report(..)")
    }
}

/// `None` for a run that is not finished, or did not end well: nobody documented an event for those.
pub(super) fn read(envelope: &Object<'_>) -> Option<Report> {
    let report = envelope.object(&["report"])?;
    let run = report.object(&["last_run", "lastRun"]);
    let status = run.as_ref().and_then(|run| run.filled(&["status"]));
    if matches!(status.as_deref(), Some("processing" | "failed")) {
        return None;
    }
    let result = run.and_then(|run| run.object(&["result"]));
    Some(Report {
        id: report.filled(&["id"]).map(|id| bounded(&id)),
        name: report.filled(&["name"]).map(|name| bounded(&name)),
        url: result.and_then(|result| result.filled(&["url"])),
    })
}
