//! What both listeners have in common: liveness, refusals as problem documents, and panics that tell nothing.

use std::any::Any;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::json;
use super::problem::Problem;

/// How the service is.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `live` or `ready`, as was asked.
    pub(super) status: &'static str,
}

/// The router with problem documents for unknown paths and methods.
pub(super) fn framed(router: Router) -> Router {
    router.method_not_allowed_fallback(method_not_allowed).fallback(not_found)
}

/// `/livez`.
pub(super) fn alive<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    OpenApiRouter::default().routes(routes!(livez))
}

/// A panic becomes a 500 without its message, which may quote anything (P11). Goes around everything else.
pub(super) fn guarded(router: Router) -> Router {
    router.layer(CatchPanicLayer::custom(panicked))
}

/// 404.
pub(super) async fn not_found() -> Problem {
    Problem::not_found()
}

/// 405; the router adds `Allow`.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

/// Whether the process runs and answers.
///
/// It says nothing of the store, which a restart would not bring back.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "livez",
    tag = "health",
    responses((status = 200, description = "The process answers.", body = Health)),
)]
async fn livez() -> Response {
    json::answer(&Health { status: "live" })
}

fn panicked(_message: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;
    use crate::http::testing::{call, get as get_request, header, read_text};

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_message() {
        async fn fails() -> Response {
            panic!("the secret is hunter2");
        }
        let router = guarded(framed(Router::new().route("/panic", get(fails))));
        let response = call(&router, get_request("/panic")).await;
        assert_eq!(response.status(), 500);
        assert_eq!(header(&response, "content-type"), "application/problem+json");
        assert!(!read_text(response).await.contains("hunter2"));
    }
}
