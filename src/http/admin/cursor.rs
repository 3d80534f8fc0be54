//! Cursors: where a page ends, as a text that says nothing to its reader.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ulid::Ulid;

use crate::model::id::Id;

/// The first byte of every cursor, so that a later kind can be told from this one.
const VERSION: u8 = 1;

/// The cursor that goes on after a row.
pub fn write<Of>(id: Id<Of>) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&id.ulid().0.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The row that a cursor goes on after; nothing but what [`write()`] made is one.
pub fn read<Of>(text: &str) -> Option<Id<Of>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let [VERSION, id @ ..] = bytes.as_slice() else {
        return None;
    };
    let id = <[u8; 16]>::try_from(id).ok()?;
    Some(Id::new(Ulid(u128::from_be_bytes(id))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::EventId;

    #[test]
    fn a_cursor_leads_back_to_its_row() {
        let id = EventId::parse("01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z").unwrap();
        let cursor = write(id);
        assert_eq!(read(&cursor), Some(id));
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        let other_version = URL_SAFE_NO_PAD.encode([2; 17]);
        let too_long = URL_SAFE_NO_PAD.encode([1; 18]);
        let too_short = URL_SAFE_NO_PAD.encode([1; 16]);
        for text in ["", "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z", "....", &other_version, &too_long, &too_short] {
            assert_eq!(read::<()>(text), None, "{text}");
        }
    }
}
