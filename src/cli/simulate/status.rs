//! How far a message got.

use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::callback::Callback;
use super::flag;
use super::side::{self, BUSINESS};
use crate::cli::Usage;
use crate::connectly::event::status::Status;

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  switchboard simulate status --id 01K00000000000000000000001 --status read
  switchboard simulate status --id 01K00000000000000000000001 --status read \\
    --callback '{\"order_id\": 12345}' --campaign spring
  switchboard simulate status --id 01K00000000000000000000001 --status failed \\
    --code ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW --type ERROR_TYPE_FAILED_PRECONDITION";

/// A status update.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Connectly's id of the message
    #[arg(long)]
    id: String,
    /// How far it got
    #[arg(long, value_parser = PossibleValuesParser::new(Status::ALL.map(Status::as_str)))]
    status: String,
    #[command(flatten)]
    failure: Failure,
    #[command(flatten)]
    callback: Callback,
    /// The campaign that the message was sent for
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// The business's number
    #[arg(long, value_name = "NUMBER", default_value = BUSINESS, value_parser = side::number)]
    from: String,
    /// The customer's number [default: +15550100001, or none beside --user-id]
    #[arg(long, value_name = "NUMBER", value_parser = side::number)]
    to: Option<String>,
    /// The customer's business-scoped user id (BSUID); without --to, of a customer who shows no number
    #[arg(long, value_name = "BSUID", value_parser = side::user_id)]
    user_id: Option<String>,
}

/// Why it failed.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Failure {
    /// Why it failed, with --status failed [default: `ERROR_CODE_UNSPECIFIED`]
    #[arg(long, value_name = "ERROR_CODE_..")]
    code: Option<String>,
    /// What type of error that is, with --status failed [default: `ERROR_TYPE_UNSPECIFIED`]
    #[arg(long = "type", value_name = "ERROR_TYPE_..")]
    error_type: Option<String>,
    /// The same in words, with --status failed
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// What Connectly's support asks for, with --status failed
    #[arg(long, value_name = "ID")]
    trace_id: Option<String>,
}

impl Args {
    /// Refuses the reasons of what did not fail.
    pub fn check(&self) -> Result<(), Usage> {
        let Failure { code, error_type, message, trace_id } = &self.failure;
        let reasons =
            [("--code", code), ("--type", error_type), ("--message", message), ("--trace-id", trace_id)];
        let failed = self.failed();
        reasons
            .into_iter()
            .try_for_each(|(flag, given)| flag::goes_with(flag, given.as_ref(), failed, "--status failed"))
    }

    /// The body that Connectly would send.
    pub fn body(&self, now: Timestamp) -> Value {
        let failed = self.failed();
        let status = if failed { "delivery_failed" } else { self.status.as_str() };
        let mut body = json!({
            "topic": "delivery_status",
            "timestamp": now.as_second().to_string(),
            "sender": side::endpoint(&self.from, None),
            "recipient": side::customer(self.to.as_deref(), self.user_id.as_deref(), None),
            "metadata": null,
            "statusUpdate": {"id": self.id, "status": status, "error": failed.then(|| self.failure.error())},
        });
        if let Some(campaign) = &self.campaign {
            body["statusUpdate"]["metadata"] = json!({"campaignName": campaign});
        }
        self.callback.add_to(&mut body);
        body
    }

    fn failed(&self) -> bool {
        Status::parse(&self.status) == Some(Status::Failed)
    }
}

impl Failure {
    /// The error object, with every field that Connectly documents.
    fn error(&self) -> Value {
        json!({
            "message": self.message.as_deref().unwrap_or("Simulated failure"),
            "type": self.error_type.as_deref().unwrap_or("ERROR_TYPE_UNSPECIFIED"),
            "code": self.code.as_deref().unwrap_or("ERROR_CODE_UNSPECIFIED"),
            "userTitle": "Simulated failure",
            "userMessage": "This message was not sent: the failure was simulated",
            "cntTraceId": self.trace_id.as_deref().unwrap_or("1234567890123456789"),
            "details": {},
        })
    }
}
