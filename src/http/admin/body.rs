//! JSON in request bodies.

use axum::extract::{FromRequest, Request};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;

/// The longest request body, in bytes: what the public listener takes by default.
const LIMIT: usize = 1 << 20;

/// What an endpoint reads from a body.
pub(super) trait RequestBody: DeserializeOwned {
    /// What the body has to be, for who sent something else: what was sent is not repeated to them.
    const TAKES: &'static str;
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
        serde_json::from_slice(&bytes).map(Self).map_err(|_unread| Problem::invalid_body(T::TAKES))
    }
}
