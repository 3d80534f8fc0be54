//! Lists in pages: `?limit=` and `?cursor=` on the way in, `data` and `next` on the way out.

use std::borrow::Cow;

use axum::response::Response;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::cursor::{self, Place};
use super::document::parameters;
use super::query::Query;
use crate::http::json;
use crate::http::problem::Problem;
use crate::store::query::{Page, PageRequest};

/// Rows of a page when nobody asks for another number.
const DEFAULT_LIMIT: u32 = 50;
/// The most rows of a page: events carry whole messages.
const MOST: u32 = 200;

/// A page of a list. Endpoints give theirs a name, which the document needs.
#[derive(Serialize)]
pub(super) struct List<T> {
    data: Vec<T>,
    next: Option<String>,
}

/// A derived schema would repeat that of its rows.
impl<T: ToSchema> PartialSchema for List<T> {
    fn schema() -> RefOr<Schema> {
        let next = "What `cursor` takes to go on with; null on the last page.";
        let next = ObjectBuilder::new().schema_type(text_or_null()).description(Some(next));
        ObjectBuilder::new()
            .property("data", Ref::from_schema_name(T::name()).to_array_builder())
            .property("next", next)
            .required("data")
            .required("next")
            .into()
    }
}

impl<T: ToSchema> ToSchema for List<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into(), T::schema()));
        T::schemas(schemas);
    }
}

fn text_or_null() -> SchemaType {
    SchemaType::from_iter([Type::String, Type::Null])
}

/// The parameters that say which page.
pub(super) struct Paging;

impl IntoParams for Paging {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let cursor = "Where to go on: what `next` of the page before was, beside the same other parameters.";
        vec![parameters::limit(DEFAULT_LIMIT, MOST), parameters::text("cursor", cursor)]
    }
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
