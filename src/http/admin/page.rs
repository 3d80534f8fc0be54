//! Lists in pages: `?limit=` and `?cursor=` on the way in, `data` and `next` on the way out.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use ulid::Ulid;

use super::query::Query;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::id::Id;
use crate::store::query::{Page, PageRequest};

/// Rows of a page when nobody asks for another number.
const DEFAULT_LIMIT: u32 = 50;
/// The most rows of a page: events carry whole messages.
const MOST: u32 = 200;
/// The first byte of every cursor, so that a later kind can be told from this one.
const CURSOR_VERSION: u8 = 1;

/// A page as the API shows it.
#[derive(Serialize)]
struct List<T> {
    data: Vec<T>,
    next: Option<String>,
}

/// Which page a query asks for.
pub(super) fn requested<Of>(query: &mut Query) -> Result<PageRequest<Id<Of>>, Problem> {
    let in_range = |value: &str| value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    let limit = query.parsed("limit", "a number from 1 to 200", in_range)?.unwrap_or(DEFAULT_LIMIT);
    let before = query.parsed("cursor", "what `next` of another page was", read_cursor)?;
    Ok(PageRequest { limit, before })
}

/// A page of rows, newest first, with the cursor that goes on after its last.
pub(super) fn answer<T: Serialize, Of>(page: Page<T>, id: impl Fn(&T) -> Id<Of>) -> Response {
    let last = page.data.last().filter(|_| page.more);
    let next = last.map(|row| write_cursor(id(row)));
    json::answer(&List { data: page.data, next })
}

/// A list that is never long.
pub(super) fn whole<T: Serialize>(data: Vec<T>) -> Response {
    json::answer(&List { data, next: None })
}

fn write_cursor<Of>(id: Id<Of>) -> String {
    let mut bytes = vec![CURSOR_VERSION];
    bytes.extend_from_slice(&id.ulid().0.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_cursor<Of>(text: &str) -> Option<Id<Of>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let [CURSOR_VERSION, id @ ..] = bytes.as_slice() else {
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
        let cursor = write_cursor(id);
        assert_eq!(read_cursor(&cursor), Some(id));
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }

    #[test]
    fn anything_else_is_no_cursor() {
        let other_version = URL_SAFE_NO_PAD.encode([2; 17]);
        let too_long = URL_SAFE_NO_PAD.encode([1; 18]);
        for text in ["", "AQ", "not a cursor", "01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z", &other_version, &too_long] {
            assert_eq!(read_cursor::<()>(text), None, "{text}");
        }
    }
}
