//! Reports that are ready for download.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::json::Object;
use super::timestamp;
use crate::connectly::text::bounded;

/// A finished run of a report. The webhook prints snake case, the reports endpoint camel case; both are read.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(description = "A finished run of a report.")]
pub struct Report {
    /// The report's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its type, as in `campaign.daily.v1`; an open set.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub report_type: Option<String>,
    /// The run that finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Where the result can be fetched, for some minutes, by whoever has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When the result was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When the URL stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Report(..)")
    }
}

/// `None` for a run that is not said to have finished well: nobody documented an event for those. A report without a
/// status is one, since the event itself says so.
pub(super) fn read(envelope: &Object<'_>) -> Option<Report> {
    let report = envelope.object(&["report"])?;
    let run = report.object(&["last_run", "lastRun"]);
    let status = run.as_ref().and_then(|run| run.filled(&["status"]));
    if status.is_some_and(|status| !status.trim().eq_ignore_ascii_case("completed")) {
        return None;
    }
    let result = run.as_ref().and_then(|run| run.object(&["result"]));
    let time = |names: &[&str]| timestamp::parse(&result.as_ref()?.text(names)?);
    let short = |object: &Object<'_>, name: &str| object.filled(&[name]).map(|text| bounded(&text));
    Some(Report {
        id: short(&report, "id"),
        name: short(&report, "name"),
        report_type: short(&report, "type"),
        run_id: run.as_ref().and_then(|run| short(run, "id")),
        url: result.as_ref().and_then(|result| result.filled(&["url"])),
        created_at: time(&["created_at", "createdAt"]),
        expires_at: time(&["expires_at", "expiresAt"]),
    })
}
