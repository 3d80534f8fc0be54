//! One delivery, from its headers to its answer: read under limits, verified, kept, answered.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::body::{Held, Intake};
use super::{Accepted, PublicState, Refused};
use crate::connectly::signature::{self, Rejection, Verified};
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::id::EventId;

/// The account of a business that has only one.
const DEFAULT_ACCOUNT: &str = "default";

/// What a delivery passes through.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) state: PublicState,
    pub(super) intake: Intake,
}

/// What Connectly is told of a delivery that is kept.
#[derive(Serialize)]
struct Answer {
    id: EventId,
    duplicate: bool,
}

pub(super) fn router(door: Door) -> Router {
    Router::new()
        .route("/webhooks/connectly", post(deliver_to_default))
        .route("/webhooks/connectly/{account}", post(deliver))
        .with_state(door)
}

async fn deliver_to_default(State(door): State<Door>, request: Request) -> Response {
    door.answer(DEFAULT_ACCOUNT.to_owned(), request).await
}

/// A name that is not even text is an unknown account like any other: the empty name is nobody's.
async fn deliver(
    State(door): State<Door>,
    account: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let account = account.map(|Path(account)| account).unwrap_or_default();
    door.answer(account, request).await
}

impl Door {
    async fn answer(self, account: String, request: Request) -> Response {
        let stopwatch = self.state.clock.stopwatch();
        let metrics = Arc::clone(&self.state.metrics);
        let response = match self.receive(account, request).await {
            Ok(accepted) => json::answer(&Answer { id: accepted.id, duplicate: accepted.duplicate }),
            Err(problem) => problem.into_response(),
        };
        metrics.webhook_answer(response.status().as_u16(), stopwatch.elapsed());
        response
    }

    async fn receive(self, account: String, request: Request) -> Result<Accepted, Problem> {
        let (head, body) = request.into_parts();
        // The body is read before anything is decided, so that every rejection looks the same from outside.
        let Held { bytes, share } = self.intake.read(body).await?;
        let header = head.headers.get(signature::HEADER).map(HeaderValue::as_bytes);
        let verified = self.verify(&account, header, bytes)?;
        self.keep(account, verified, share).await
    }

    fn verify(&self, account: &str, header: Option<&[u8]>, bytes: Bytes) -> Result<Verified, Problem> {
        let reason = match self.state.accounts.get(account) {
            None => "unknown_account",
            Some(keys) => match signature::verify(keys, header, bytes) {
                Ok(verified) => return Ok(verified),
                Err(Rejection::Missing) => "missing",
                Err(Rejection::Malformed) => "malformed",
                Err(Rejection::Mismatch) => "mismatch",
            },
        };
        self.state.metrics.rejected_signature(reason);
        Err(Problem::signature())
    }

    /// In a task of its own: a client that goes away must not stop a commit that has begun.
    async fn keep(
        self,
        account: String,
        verified: Verified,
        share: OwnedSemaphorePermit,
    ) -> Result<Accepted, Problem> {
        let accept = self.state.accept;
        let task = tokio::spawn(async move {
            let result = accept.accept(&account, verified).await;
            // The bytes are gone only now, and their share of the memory with them.
            drop(share);
            result
        });
        match task.await {
            Ok(Ok(accepted)) => Ok(accepted),
            Ok(Err(Refused::Full)) => Err(Problem::busy()),
            Ok(Err(Refused::Unavailable)) => Err(Problem::unavailable()),
            Err(_panicked) => {
                tracing::error!("accepting a delivery panicked");
                Err(Problem::internal())
            }
        }
    }
}
