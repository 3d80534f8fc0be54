//! Cursors: where a page ends, as a text that says nothing to its reader.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ulid::Ulid;

use crate::ingest::replay;
use crate::model::id::Id;
use crate::store::query::ConversationPlace;

/// The first byte of a cursor after a row that its id orders.
const BY_ID: u8 = 1;
/// The first byte of a cursor after a row that a time orders, and among equal times its id.
const BY_TIME: u8 = 2;
/// The first byte of a cursor after a slice of a replay.
const OF_REPLAY: u8 = 3;

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
            Self::Closing(at, id) => timed(BY_TIME, *at, id.ulid()),
        }
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.first() != Some(&BY_TIME) {
            return Place::of_bytes(bytes).map(Self::Newest);
        }
        let (at, id) = of_timed(BY_TIME, bytes)?;
        Some(Self::Closing(at, Id::new(id)))
    }
}

impl Place for replay::Place {
    fn to_bytes(&self) -> Vec<u8> {
        timed(OF_REPLAY, self.until, self.after.ulid())
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (until, after) = of_timed(OF_REPLAY, bytes)?;
        Some(Self { after: Id::new(after), until })
    }
}

fn timed(kind: u8, at: Timestamp, id: Ulid) -> Vec<u8> {
    [&[kind], at.as_millisecond().to_be_bytes().as_slice(), id.0.to_be_bytes().as_slice()].concat()
}

fn of_timed(kind: u8, bytes: &[u8]) -> Option<(Timestamp, Ulid)> {
    let (at, id) = bytes.strip_prefix(&[kind])?.split_first_chunk()?;
    let at = Timestamp::from_millisecond(i64::from_be_bytes(*at)).ok()?;
    Some((at, Ulid(u128::from_be_bytes(id.try_into().ok()?))))
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
        let slice = replay::Place { after: id, until: "2026-01-01T00:00:00Z".parse().unwrap() };
        assert_eq!(read(&write(&slice)), Some(slice));
        assert_eq!(read::<replay::Place>(&write(&closing)), None);
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        let other_version = URL_SAFE_NO_PAD.encode([9; 17]);
        let too_long = URL_SAFE_NO_PAD.encode([1; 18]);
        let too_short = URL_SAFE_NO_PAD.encode([1; 16]);
        for text in ["", "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z", "....", &other_version, &too_long, &too_short] {
            assert_eq!(read::<EventId>(text), None, "{text}");
            assert_eq!(read::<ConversationPlace>(text), None, "{text}");
            assert_eq!(read::<replay::Place>(text), None, "{text}");
        }
    }
}
