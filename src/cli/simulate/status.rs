//! How far a message got.

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{BUSINESS, CUSTOMER, endpoint};
use crate::cli::Usage;
use crate::connectly::event::status::Status;

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  switchboard simulate status --id 01K00000000000000000000001 --status read
  switchboard simulate status --id 01K00000000000000000000001 --status failed --code ERROR_CODE_UNSPECIFIED";

/// What a failure's code is unless another is given.
const NO_CODE: &str = "ERROR_CODE_UNSPECIFIED";

/// A status update.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Connectly's id of the message
    #[arg(long)]
    id: String,
    /// How far it got
    #[arg(long, value_parser = PossibleValuesParser::new(Status::ALL.map(Status::as_str)))]
    status: String,
    /// Why it failed, with --status failed
    #[arg(long, value_name = "ERROR_CODE_..")]
    code: Option<String>,
    /// The message's callback data, any JSON
    #[arg(long, value_name = "JSON")]
    callback: Option<String>,
    /// The business's number
    #[arg(long, value_name = "NUMBER", default_value = BUSINESS)]
    from: String,
    /// The customer's number
    #[arg(long, value_name = "NUMBER", default_value = CUSTOMER)]
    to: String,
}

impl Args {
    /// The body that Connectly would send.
    pub fn body(&self, now: Timestamp) -> anyhow::Result<Value> {
        let failed = Status::parse(&self.status) == Some(Status::Failed);
        anyhow::ensure!(failed || self.code.is_none(), Usage("--code goes with --status failed only".into()));
        let status = if failed { "delivery_failed" } else { self.status.as_str() };
        let error = failed.then(|| failure(self.code.as_deref().unwrap_or(NO_CODE)));
        let mut body = json!({
            "topic": "delivery_status",
            "timestamp": now.as_second().to_string(),
            "sender": endpoint(&self.from, None),
            "recipient": endpoint(&self.to, None),
            "metadata": null,
            "statusUpdate": {"id": self.id, "status": status, "error": error},
        });
        if let Some(callback) = &self.callback {
            let wrong = || Usage("--callback is no JSON; a text needs its own quotes: '\"text\"'".into());
            body["callbackData"] = serde_json::from_str(callback).with_context(wrong)?;
        }
        Ok(body)
    }
}

/// The error object, with every field that Connectly documents.
fn failure(code: &str) -> Value {
    json!({
        "message": "Simulated failure",
        "type": "ERROR_TYPE_UNSPECIFIED",
        "code": code,
        "userTitle": "Simulated failure",
        "userMessage": "This message was not sent: the failure was simulated",
        "cntTraceId": "1234567890123456789",
        "details": {},
    })
}
