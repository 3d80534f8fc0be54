//! A report that is ready.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

use super::flag;

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  switchboard simulate report
  switchboard simulate report --name Daily --type campaign.daily.v1 --url https://example.com/report.csv";

/// How long a report can be fetched: Connectly's sample has five minutes.
const LIFETIME: Duration = Duration::from_mins(5);

/// A finished run of a report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The report's name
    #[arg(long, default_value = "Daily")]
    name: String,
    /// The report's type
    #[arg(long = "type", value_name = "TYPE", default_value = "campaign.daily.custom")]
    report_type: String,
    /// Where the result can be fetched
    #[arg(long, default_value = "https://example.com/report.csv", value_parser = flag::url)]
    url: String,
}

impl Args {
    /// The body that Connectly would send: in snake case, times in RFC 3339, and about nobody.
    pub fn body(&self, now: Timestamp, id: Ulid) -> Value {
        let expires_at = now.checked_add(LIFETIME).unwrap_or(Timestamp::MAX);
        json!({
            "topic": "report",
            "timestamp": now.to_string(),
            "report": {
                "id": "7d9e1f62-0c1b-4d0e-9a53-1f2b3c4d5e6f",
                "name": self.name,
                "type": self.report_type,
                "last_run": {
                    "id": format!("run-{id}"),
                    "status": "completed",
                    "result": {
                        "url": self.url,
                        "expires_at": expires_at.to_string(),
                        "created_at": now.to_string(),
                    },
                },
            },
        })
    }
}
