//! What both listeners have in common: liveness, refusals as problem documents, and panics that tell nothing.

use std::any::Any;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use super::json;
use super::problem::Problem;

/// The router with `/livez`, and with problem documents for unknown paths and methods.
pub(super) fn framed(router: Router) -> Router {
    router.route("/livez", get(livez)).method_not_allowed_fallback(method_not_allowed).fallback(not_found)
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

/// Whether the process runs and answers; it says nothing of the store, which a restart would not bring back.
async fn livez() -> Response {
    json::answer(&json!({ "status": "live" }))
}

fn panicked(_message: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
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
