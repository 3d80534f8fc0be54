//! Answers in JSON.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::problem::Problem;

/// The value as JSON with status 200; a value that does not serialize is a mistake of ours, of which the caller learns
/// nothing.
pub(super) fn answer<T: Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            // Its category and place only: its text could quote what was being written.
            tracing::error!(error.category = ?error.classify(), "an answer does not serialize");
            Problem::internal().into_response()
        }
    }
}
