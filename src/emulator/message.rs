//! The messages that were accepted, as the emulator remembers and lists them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use ulid::Ulid;
use uuid::Uuid;

/// A message that was accepted.
#[derive(Clone, Serialize)]
pub struct SentMessage {
    /// Connectly's id, a ULID.
    pub id: String,
    /// When it was accepted, by the emulator's time.
    pub at: Timestamp,
    /// The business's number.
    pub from: String,
    /// The customer's number.
    pub to: String,
    /// The request's body.
    pub body: Value,
    /// The request's headers that tell who sent it and how; never the key.
    pub headers: BTreeMap<String, String>,
    /// The statuses handed to delivery, in the order they happened.
    pub statuses: Vec<EmittedStatus>,
    #[serde(skip)]
    pub(super) ulid: Ulid,
    #[serde(skip)]
    pub(super) callback_data: Option<Box<RawValue>>,
    #[serde(skip)]
    pub(super) campaign_name: Option<String>,
}

/// A status that a webhook tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EmittedStatus {
    /// `sent`, `delivered`, `read` or `delivery_failed`.
    pub status: &'static str,
    /// When it happened, by the emulator's time.
    pub at: Timestamp,
}

/// Reads an id in either of Connectly's spellings, ULID or UUID.
pub(super) fn parse_id(text: &str) -> Option<Ulid> {
    let as_uuid = || Uuid::try_parse(text).map(|uuid| Ulid(uuid.as_u128())).ok();
    Ulid::from_string(text).ok().or_else(as_uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_id() {
        let id = Ulid(0x0190_0000_0000_10fa_f857_0000_0000_0001);
        assert_eq!(parse_id(&id.to_string()), Some(id));
        assert_eq!(parse_id("01900000-0000-10fa-f857-000000000001"), Some(id));
        assert_eq!(parse_id("wamid.1"), None);
    }
}
