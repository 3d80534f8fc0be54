//! The listener's description of itself, in OpenAPI 3.1.
//!
//! Each endpoint is described beside its handler, each schema beside its type. Here the pieces are put together, with what
//! the layers around the endpoints add. `docs/openapi.json` is a copy; a test holds it to what is served.

pub(super) mod page;
pub(super) mod parameters;
pub(super) mod refusals;
#[cfg(test)]
mod tests;
mod tidy;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use crate::http::problem;

/// It is the same for every instance and as long as the process runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

const ABOUT: &str = "The admin API of Switchboard, the webhook receiver for Connectly: what was received and sent, and what \
    may be done about it. Every time is RFC 3339 in UTC, every list comes in pages, and every refusal is a problem document \
    of RFC 9457.";

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(serve))
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "health",
    responses((status = 200, description = "The document, in OpenAPI 3.1.", body = Value)),
)]
async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

/// Everything on the listener.
fn document() -> Value {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Switchboard",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/", "description": "The listener that this document came from." }],
        "tags": tags(),
        "paths": {},
        "components": {
            "schemas": { "Problem": problem::Document::schema() },
            "responses": refusals::components(),
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer", "description": "The admin token: `admin.token` of the configuration."
            } },
        },
    });
    add(&mut document, super::open().get_openapi(), None);
    add(&mut document, super::behind_token().get_openapi(), Some(refusals::WITHOUT_TOKEN));
    tidy::tidy(&mut document);
    document
}

/// The families of endpoints.
fn tags() -> Value {
    json!([
        { "name": "health", "description": "How the service is, for probes and scrapers." },
        { "name": "events", "description": "Deliveries as they were stored: what customers wrote, and what became of messages." },
        { "name": "messages", "description": "What was sent, and how far it got." },
        { "name": "conversations", "description": "Who talks with which number of the business, and until when they may be answered." },
        { "name": "customers", "description": "Who customers are, and whether they want to be written to." },
        { "name": "jobs", "description": "The queue: deliveries to handlers, and sends." },
        { "name": "routes", "description": "Which events go to which handler." },
        { "name": "operations", "description": "Figures, pauses and retention." },
    ])
}

/// Adds endpoints, with what the layers around them answer.
fn add(document: &mut Value, described: &OpenApi, without_token: Option<(&str, &str)>) {
    let described = json!(described);
    for (name, schema) in members(&described["components"]["schemas"]) {
        document["components"]["schemas"][name] = schema.clone();
    }
    for (path, methods) in members(&described["paths"]) {
        for (method, operation) in members(methods) {
            let mut operation = operation.clone();
            for (status, name) in refusals::EVERYWHERE.into_iter().chain(without_token) {
                let reference = format!("#/components/responses/{name}");
                operation["responses"][status] = json!({ "$ref": reference });
            }
            operation["security"] = without_token.map_or_else(|| json!([]), |_| json!([{ "token": [] }]));
            document["paths"][path][method] = operation;
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
