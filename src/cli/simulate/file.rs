//! A body that somebody kept.

use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::cli::Usage;

/// Shown below the help.
pub const EXAMPLES: &str = "Examples:
  switchboard simulate file event.json
  switchboard simulate file event.json --exact   # twice makes one event and a duplicate";

/// A file to send.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file
    path: PathBuf,
    /// Send the file's bytes as they are, whatever they are
    #[arg(long)]
    exact: bool,
}

impl Args {
    /// The file's bytes, or its JSON made new.
    pub fn body(&self, now: Timestamp, id: Ulid) -> anyhow::Result<Vec<u8>> {
        let path = self.path.display();
        let bytes = std::fs::read(&self.path).with_context(|| Usage(format!("cannot read {path}")))?;
        if self.exact {
            return Ok(bytes);
        }
        let wrong = || Usage(format!("{path} is no JSON (--exact sends it nevertheless)"));
        let mut body: Value = serde_json::from_slice(&bytes).with_context(wrong)?;
        renew(&mut body, now, id);
        Ok(super::json(&body))
    }
}

/// Gives a body a new time and, where a message has an id, a new one. A status keeps its id, which names the message it
/// is about. Reports have their time in RFC 3339, everything else in seconds.
fn renew(body: &mut Value, now: Timestamp, id: Ulid) {
    if let Some(timestamp) = body.get_mut("timestamp") {
        let report = timestamp.as_str().is_some_and(|text| text.contains('T'));
        *timestamp = json!(if report { now.to_string() } else { now.as_second().to_string() });
    }
    for pointer in ["/message/id", "/buttonResponse/id"] {
        if let Some(old) = body.pointer_mut(pointer) {
            *old = json!(id.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewed(mut body: Value) -> Value {
        let now = Timestamp::from_second(1_767_225_600).unwrap();
        renew(&mut body, now, Ulid::from_string("01K00000000000000000000009").unwrap());
        body
    }

    #[test]
    fn a_message_becomes_a_new_one_and_a_status_stays_with_its_message() {
        let message = json!({"timestamp": "1", "message": {"id": "01K1", "text": "hi"}});
        let expected =
            json!({"timestamp": "1767225600", "message": {"id": "01K00000000000000000000009", "text": "hi"}});
        assert_eq!(renewed(message), expected);
        let status = json!({"timestamp": "1", "statusUpdate": {"id": "01K1", "status": "read"}});
        let expected = json!({"timestamp": "1767225600", "statusUpdate": {"id": "01K1", "status": "read"}});
        assert_eq!(renewed(status), expected);
    }

    #[test]
    fn a_report_keeps_its_way_of_writing_the_time() {
        let report = renewed(json!({"timestamp": "2025-01-01T00:00:00Z", "report": {}}));
        assert_eq!(report, json!({"timestamp": "2026-01-01T00:00:00Z", "report": {}}));
    }

    #[test]
    fn what_is_no_json_is_only_sent_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        std::fs::write(&path, "{ \"a\": ").unwrap();
        let body = |exact| Args { path: path.clone(), exact }.body(Timestamp::UNIX_EPOCH, Ulid::nil());
        assert_eq!(body(true).unwrap(), b"{ \"a\": ");
        assert!(body(false).unwrap_err().is::<Usage>());
    }
}
