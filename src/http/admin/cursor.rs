//! Cursors: where a page ends, as a text that says nothing to its reader.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ulid::Ulid;

use crate::model::id::Id;
use crate::store::query::ConversationPlace;

/// The first byte of a cursor after a row that its id orders.
const BY_ID: u8 = 1;
/// The first byte of a cursor after a row that a time orders, and among equal times its id.
const BY_TIME: u8 = 2;

/// Where a page can end.
pub trait Place: Sized {
    /// The place as bytes, the first of which tells its kind from all others.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads what [`Place::to_bytes`] made.
    fn of_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Place for Ulid {
    fn to_bytes(&self) -> Vec<u8> {
        [&[BY_ID], self.0.to_be_bytes().as_slice()].concat()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (&BY_ID, id) = bytes.split_first()? else { return None };
        Some(Self(u128::from_be_bytes(id.try_into().ok()?)))
    }
}

impl<Of> Place for Id<Of> {
    fn to_bytes(&self) -> Vec<u8> {
        Place::to_bytes(&self.ulid())
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Ulid::of_bytes(bytes).map(Self::new)
    }
}

impl Place for ConversationPlace {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Newest(id) => Place::to_bytes(id),
            Self::Closing(at, id) => {
                let (at, id) = (at.as_millisecond().to_be_bytes(), id.ulid().0.to_be_bytes());
                [&[BY_TIME], at.as_slice(), id.as_slice()].concat()
            }
        }
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (&BY_TIME, rest) = bytes.split_first()? else {
            return Place::of_bytes(bytes).map(Self::Newest);
        };
        let (at, id) = rest.split_first_chunk()?;
        let at = Timestamp::from_millisecond(i64::from_be_bytes(*at)).ok()?;
        Some(Self::Closing(at, Id::new(Ulid(u128::from_be_bytes(id.try_into().ok()?)))))
    }
}

/// The cursor that goes on after a row.
pub fn write(place: &impl Place) -> String {
    URL_SAFE_NO_PAD.encode(place.to_bytes())
}

/// The row that a cursor goes on after; nothing but what [`write()`] made is one.
pub fn read<P: Place>(text: &str) -> Option<P> {
    P::of_bytes(&URL_SAFE_NO_PAD.decode(text).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::EventId;

    #[test]
    fn a_cursor_leads_back_to_its_row() {
        let id = EventId::parse("01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z").unwrap();
        let cursor = write(&id);
        assert_eq!(read(&cursor), Some(id));
        let closing = ConversationPlace::Closing("2026-01-01T00:00:00Z".parse().unwrap(), Id::new(id.ulid()));
        assert_eq!(read(&write(&closing)), Some(closing));
        assert_eq!(read(&cursor), Some(ConversationPlace::Newest(Id::new(id.ulid()))));
        assert_eq!(read::<EventId>(&write(&closing)), None, "a cursor of one order is none of another");
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        let other_version = URL_SAFE_NO_PAD.encode([3; 17]);
        let too_long = URL_SAFE_NO_PAD.encode([1; 18]);
        let too_short = URL_SAFE_NO_PAD.encode([1; 16]);
        for text in ["", "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z", "....", &other_version, &too_long, &too_short] {
            assert_eq!(read::<EventId>(text), None, "{text}");
            assert_eq!(read::<ConversationPlace>(text), None, "{text}");
        }
    }
}
