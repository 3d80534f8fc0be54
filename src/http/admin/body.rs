//! JSON in request bodies: every field is known and has a value it takes, or the answer says which does not.

use axum::extract::{FromRequest, Request};
use http_body_util::LengthLimitError;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::http::problem::Problem;

/// The longest request body, in bytes: what the public listener takes by default.
const LIMIT: usize = 1 << 20;

/// What an endpoint reads from a body.
pub(super) trait RequestBody: Sized {
    /// What the body has to be, for who sent something else: what was sent is not repeated to them.
    const TAKES: &'static str;

    /// Asks for the fields one by one.
    fn read(fields: &mut Fields) -> Result<Self, Problem>;
}

/// A body that is what the endpoint takes. The content type is not looked at: the token, not the type, keeps foreign pages
/// out.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: RequestBody, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = axum::body::to_bytes(request.into_body(), LIMIT).await.map_err(|error| {
            let too_long = error.into_inner().is::<LengthLimitError>();
            if too_long { Problem::body_too_large() } else { Problem::unreadable_body() }
        })?;
        let given = serde_json::from_slice(&bytes).map_err(|error| Problem::no_json(&error, T::TAKES))?;
        let mut fields = Fields { given, asked: Vec::new() };
        let body = T::read(&mut fields)?;
        fields.finish()?;
        Ok(Self(body))
    }
}

/// The fields of an object. They are asked for one by one, and nothing else may be there.
pub(super) struct Fields {
    given: Map<String, Value>,
    asked: Vec<&'static str>,
}

impl Fields {
    /// A field that has to be there, read by `parse`; `takes` completes the sentence "it takes ..." of the problem.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        takes: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Problem> {
        self.asked.push(name);
        self.given.get(name).and_then(parse).ok_or_else(|| Problem::field(name, takes))
    }

    /// A field that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        takes: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.asked.push(name);
        let Some(value) = self.given.get(name) else { return Ok(None) };
        parse(value).map(Some).ok_or_else(|| Problem::field(name, takes))
    }

    /// The fields that were not asked for yet; whoever takes them refuses those that it does not know.
    pub(super) fn rest(&mut self) -> Map<String, Value> {
        let asked = &self.asked;
        let (rest, given) = std::mem::take(&mut self.given)
            .into_iter()
            .partition(|(name, _)| !asked.contains(&name.as_str()));
        self.given = given;
        rest
    }

    /// A digest of the whole body as it was understood: white space and the order of fields make no difference.
    pub(super) fn digest(&self) -> [u8; 32] {
        // Serialising what was just parsed does not fail; if it did, no repeat would be known.
        Sha256::digest(serde_json::to_vec(&self.given).unwrap_or_default()).into()
    }

    /// Yes or no.
    pub(super) fn boolean(&mut self, name: &'static str) -> Result<bool, Problem> {
        self.parsed(name, "true or false", Value::as_bool)
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &'static str, takes: &str) -> Result<Vec<String>, Problem> {
        self.parsed(name, takes, |value| {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// Refuses fields that were never asked for.
    fn finish(self) -> Result<(), Problem> {
        let unknown = self.given.keys().find(|name| !self.asked.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| Err(Problem::unknown_field(name, &self.asked)))
    }
}
