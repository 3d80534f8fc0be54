//! Lists in pages: `?limit=` and `?cursor=` on the way in, `data` and `next` on the way out.

use axum::response::Response;
use serde::Serialize;

use super::cursor::{self, Place};
use super::query::Query;
use crate::http::json;
use crate::http::problem::Problem;
use crate::store::query::{Page, PageRequest};

/// Rows of a page when nobody asks for another number.
const DEFAULT_LIMIT: u32 = 50;
/// The most rows of a page: events carry whole messages.
const MOST: u32 = 200;

/// A page as the API shows it.
#[derive(Serialize)]
struct List<T> {
    data: Vec<T>,
    next: Option<String>,
}

/// Which page a query asks for.
pub(super) fn requested<P: Place>(query: &mut Query) -> Result<PageRequest<P>, Problem> {
    let in_range = |value: &str| value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    let limit = query.parsed("limit", "a number from 1 to 200", in_range)?.unwrap_or(DEFAULT_LIMIT);
    let before = query.parsed("cursor", "what `next` of another page was", cursor::read)?;
    Ok(PageRequest { limit, before })
}

/// A page of rows with the cursor that goes on after its last.
pub(super) fn answer<T: Serialize, P: Place>(page: Page<T>, place: impl Fn(&T) -> P) -> Response {
    let next = next(&page, place);
    json::answer(&List { data: page.data, next })
}

/// The cursor that goes on after a page's last row, if any follow.
pub(super) fn next<T, P: Place>(page: &Page<T>, place: impl Fn(&T) -> P) -> Option<String> {
    let last = page.data.last().filter(|_| page.more);
    last.map(|row| cursor::write(&place(row)))
}

/// A list that is never long.
pub(super) fn whole<T: Serialize>(data: Vec<T>) -> Response {
    json::answer(&List { data, next: None })
}
