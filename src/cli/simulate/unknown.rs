//! Something that nobody documented.

use jiff::Timestamp;
use serde_json::{Value, json};
use ulid::Ulid;

/// Shown below the help.
pub const EXAMPLES: &str = "A body of your own, be it no JSON at all: `simulate file --exact`.

Examples:
  switchboard simulate unknown";

/// A signed body under a topic that does not exist: stored, and for nobody to understand.
pub fn body(now: Timestamp, id: Ulid) -> Value {
    json!({
        "topic": "simulated",
        "timestamp": now.as_second().to_string(),
        "simulated": {"id": id.to_string()},
    })
}
