//! Connectly's message ids, which it prints in two spellings.
//!
//! The send call and `statusUpdate.id` show a ULID, `context.replyToId` the same 128 bits as a UUID. (The sample there has
//! no valid RFC version, and its first 48 bits are the time of the message, so it is a ULID in hexadecimal.)

use std::fmt;

use serde::{Serialize, Serializer};
use ulid::Ulid;

use super::text::bounded;

/// The id of a message at Connectly. Two spellings of one id are equal; it prints as a ULID, or as it came when it is
/// neither a ULID nor a UUID.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderMessageId {
    /// 128 bits that begin with the time of the message.
    Ulid(Ulid),
    /// Anything else, at most 512 bytes.
    Opaque(String),
}

impl ProviderMessageId {
    /// Reads either spelling; an empty text is no id.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        Some(parse_ulid(text).map_or_else(|| Self::Opaque(bounded(text)), Self::Ulid))
    }
}

/// Reads 128 bits in ULID or UUID spelling.
pub fn parse_ulid(text: &str) -> Option<Ulid> {
    match text.len() {
        // A first digit above 7 would exceed 128 bits: that is some other alphabet's id.
        26 if matches!(text.as_bytes()[0], b'0'..=b'7') => Ulid::from_string(text).ok(),
        // Not every such id has a valid UUID version, so only the digits count.
        36 => uuid::Uuid::try_parse(text).ok().map(|uuid| Ulid(uuid.as_u128())),
        _ => None,
    }
}

impl fmt::Display for ProviderMessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ulid(ulid) => ulid.fmt(formatter),
            Self::Opaque(text) => formatter.write_str(text),
        }
    }
}

impl fmt::Debug for ProviderMessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for ProviderMessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_id() {
        let ulid = Ulid::from_string("01K00000000000000000000001").unwrap();
        let uuid = uuid::Uuid::from_u128(ulid.0).to_string();
        let from_ulid = ProviderMessageId::parse(&ulid.to_string()).unwrap();
        let from_uuid = ProviderMessageId::parse(&uuid).unwrap();
        assert_eq!(from_ulid, from_uuid);
        assert_eq!(from_uuid.to_string(), "01K00000000000000000000001");
    }

    #[test]
    fn other_ids_stay_as_they_came() {
        assert_eq!(ProviderMessageId::parse("wamid.X").unwrap().to_string(), "wamid.X");
        // 26 characters of Crockford's alphabet, but more than 128 bits.
        let too_big = "8ZZZZZZZZZZZZZZZZZZZZZZZZZ";
        assert_eq!(ProviderMessageId::parse(too_big).unwrap(), ProviderMessageId::Opaque(too_big.into()));
        assert_eq!(ProviderMessageId::parse("  "), None);
    }
}
