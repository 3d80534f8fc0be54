//! What makes two deliveries the same event (P3).
//!
//! Connectly sends no delivery id, so the key is made of signed bytes only: for a status its message's id and the status,
//! for an inbound its own id, else the event's timestamp and the digest of the body. Every key begins with 48 bits of
//! time, so that the index grows at its end; the time of receipt is never in it, since a repeat is received later.

use sha2::{Digest as _, Sha256};

use crate::connectly::event::status::Status;
use crate::connectly::event::{Decoded, Kind};
use crate::connectly::ids::ProviderMessageId;

/// Tells keys of one id apart: `sent` and `read` of a message are two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Tag {
    Sent = 1,
    Delivered = 2,
    Read = 3,
    Failed = 4,
    Received = 16,
    Echo = 17,
    Body = 32,
    Variant = 33,
}

/// 48 bits of time, then what tells events of that time apart, then a tag.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DedupeKey(Vec<u8>);

/// The digest of a body, by which a repeat is told from another body under the same id.
pub type BodyHash = [u8; 32];

impl DedupeKey {
    /// The key of a decoded body.
    pub fn of(decoded: &Decoded, body_hash: &BodyHash) -> Self {
        match (identified(&decoded.kind), &decoded.provider_message_id) {
            (Some(tag), Some(id)) => Self::of_id(id, tag),
            _ => Self::of_body(decoded, body_hash),
        }
    }

    /// The key of a second body under this key, which is kept once beside the first.
    #[must_use]
    pub fn variant(&self, body_hash: &BodyHash) -> Self {
        let mut bytes = self.0.clone();
        bytes.extend_from_slice(body_hash);
        bytes.push(Tag::Variant as u8);
        Self(bytes)
    }

    /// The bytes, ordered as the databases order them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of_id(id: &ProviderMessageId, tag: Tag) -> Self {
        let mut bytes = match id {
            ProviderMessageId::Ulid(ulid) => ulid.0.to_be_bytes().to_vec(),
            ProviderMessageId::Opaque(text) => [&[0; 6], Sha256::digest(text).as_slice()].concat(),
        };
        bytes.push(tag as u8);
        Self(bytes)
    }

    fn of_body(decoded: &Decoded, body_hash: &BodyHash) -> Self {
        let millis = decoded.occurred_at.map_or(0, |at| at.as_millisecond().max(0));
        let mut bytes = millis.to_be_bytes()[2..].to_vec();
        bytes.extend_from_slice(body_hash);
        bytes.push(Tag::Body as u8);
        Self(bytes)
    }
}

impl std::fmt::Debug for DedupeKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DedupeKey({} bytes)", self.0.len())
    }
}

/// The digest of a body.
pub fn body_hash(body: &[u8]) -> BodyHash {
    Sha256::digest(body).into()
}

fn identified(kind: &Kind) -> Option<Tag> {
    match kind {
        Kind::Status(update) => Some(match update.status {
            Status::Sent => Tag::Sent,
            Status::Delivered => Tag::Delivered,
            Status::Read => Tag::Read,
            Status::Failed => Tag::Failed,
        }),
        Kind::Received(_) => Some(Tag::Received),
        Kind::Echo(_) => Some(Tag::Echo),
        Kind::Report(_) | Kind::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectly::event::decode;
    use proptest::prelude::*;

    fn key(body: &str) -> DedupeKey {
        DedupeKey::of(&decode(body.as_bytes()), &body_hash(body.as_bytes()))
    }

    fn status(id: &str, status: &str, at: u64) -> DedupeKey {
        key(&format!(r#"{{"timestamp":"{at}","statusUpdate":{{"id":"{id}","status":"{status}"}}}}"#))
    }

    const ULID: &str = "01K00000000000000000000001";

    #[test]
    fn a_status_is_its_message_and_its_name() {
        assert_eq!(status(ULID, "sent", 1_767_225_600), status(ULID, "sent", 1_767_225_601));
        assert_ne!(status(ULID, "sent", 1_767_225_600), status(ULID, "read", 1_767_225_600));
        assert_eq!(status(ULID, "delivery_failed", 1), status(ULID, "delivery_failure", 1));
    }

    #[test]
    fn keys_begin_with_the_time_of_what_they_hold() {
        let ulid = ulid::Ulid::from_string(ULID).unwrap();
        assert_eq!(status(ULID, "sent", 1).as_bytes()[..16], ulid.0.to_be_bytes());
        assert_eq!(status("wamid.x", "sent", 1).as_bytes()[..6], [0; 6]);
        let dated = key(r#"{"timestamp":"1767225600","message":{"text":"hi"}}"#);
        assert_eq!(dated.as_bytes()[..6], 1_767_225_600_000_i64.to_be_bytes()[2..]);
        assert_eq!(key("garbage").as_bytes()[..6], [0; 6]);
    }

    #[test]
    fn an_echo_is_not_the_message_it_repeats() {
        let received = key(r#"{"message":{"id":"01K00000000000000000000001","text":"a"}}"#);
        let echo = key(r#"{"message":{"id":"01K00000000000000000000001","text":"a","isEcho":true}}"#);
        assert_ne!(received, echo);
    }

    /// What tells one status of a message: which message, which status, and how both are written.
    fn spelled() -> impl Strategy<Value = (u8, u8, bool, u32)> {
        (0_u8..3, 0_u8..4, any::<bool>(), any::<u32>())
    }

    fn spell((message, name, as_uuid, at): (u8, u8, bool, u32)) -> DedupeKey {
        let ulid = ulid::Ulid(0x019B_7D3C_0000_0000_0000_0000_0000_0000 + u128::from(message));
        let id = if as_uuid { uuid::Uuid::from_u128(ulid.0).to_string() } else { ulid.to_string() };
        status(&id, ["sent", "delivered", "read", "delivery_failed"][usize::from(name)], at.into())
    }

    proptest! {
        #[test]
        fn keys_are_one_for_one_status_of_one_message_however_it_is_spelled(one in spelled(), other in spelled()) {
            prop_assert_eq!(spell(one) == spell(other), (one.0, one.1) == (other.0, other.1));
        }

        #[test]
        fn a_body_without_an_id_is_its_own_key(one in ".{0,40}", other in ".{0,40}") {
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }

        #[test]
        fn a_variant_is_nobody_elses_key(one in ".{0,40}", other in ".{0,40}", third in ".{0,40}") {
            let variant = |body: &str| spell((0, 0, false, 1)).variant(&body_hash(body.as_bytes()));
            prop_assert_eq!(variant(&one) == variant(&other), one == other);
            prop_assert_ne!(variant(&one), key(&third));
        }
    }
}
