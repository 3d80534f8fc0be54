//! What the business writes elsewhere, as a registration with `echo` sees it.

use clap::ArgGroup;
use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

use super::callback::Callback;
use super::side::{self, BUSINESS, BUSINESS_NAME};
use super::written::Written;
use crate::cli::Usage;

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  switchboard simulate echo --text \"This is Eva, how can I help?\"
  switchboard simulate echo --document https://example.com/b.pdf --filename bill.pdf --to +15550100009";

/// A message of the business.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("said").required(true)))]
pub struct Args {
    #[command(flatten)]
    written: Written,
    #[command(flatten)]
    callback: Callback,
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

impl Args {
    /// Refuses flags that do not go together.
    pub fn check(&self) -> Result<(), Usage> {
        self.written.check()
    }

    /// The body that Connectly would send. It documents `isEcho` and shows no sample: the rest is what an inbound message
    /// has, with the sides changed.
    pub fn body(&self, now: Timestamp, id: Ulid) -> Value {
        let mut message = self.written.message(id);
        message["isEcho"] = json!(true);
        let mut body = json!({
            "timestamp": now.as_second().to_string(),
            "sender": side::endpoint(&self.from, Some(BUSINESS_NAME)),
            "recipient": side::customer(self.to.as_deref(), self.user_id.as_deref(), None),
            "message": message,
        });
        self.callback.add_to(&mut body);
        body
    }
}
