//! Ids in paths. What cannot be the id of anything is answered like the id of nothing: 404.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::connectly::ids::ProviderMessageId;
use crate::connectly::phone;
use crate::connectly::text::bounded;
use crate::http::problem::Problem;
use crate::model::id::{ConversationId, Id};

/// An id of ours.
#[derive(Debug)]
pub(super) struct PathId<Of>(pub(super) Id<Of>);

/// A message's id, ours or Connectly's in either spelling, as the store prints it.
#[derive(Debug)]
pub(super) struct PathMessageId(pub(super) String);

/// A customer: our id, a phone number in any spelling, or a user id.
#[derive(Debug)]
pub(super) struct PathParty(pub(super) String);

/// A lane: a conversation's id and a route's name.
#[derive(Debug)]
pub(super) struct PathLane(pub(super) ConversationId, pub(super) String);

impl<Of, S: Send + Sync> FromRequestParts<S> for PathId<Of> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = text(parts, state).await?;
        Id::parse(&text).map(Self).ok_or_else(Problem::not_found)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathMessageId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = text(parts, state).await?;
        let id = ProviderMessageId::parse(&text).ok_or_else(Problem::not_found)?;
        Ok(Self(id.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathParty {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = text(parts, state).await?;
        // An id of ours may consist of digits alone, but it is longer than any phone number.
        Ok(Self(phone::normalize(&text).unwrap_or_else(|| bounded(&text))))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathLane {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((id, route)) = path.map_err(|_not_text| Problem::not_found())?;
        let id = Id::parse(&id).ok_or_else(Problem::not_found)?;
        Ok(Self(id, bounded(&route)))
    }
}

async fn text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    path.map(|Path(text)| text).map_err(|_not_text| Problem::not_found())
}
