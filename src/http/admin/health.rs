//! What anybody on this machine may see: whether the service is ready, and a page that says what it is.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, Response};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::refusals::NotReady;
use crate::http::frame::Health;
use crate::http::json;
use crate::http::problem::Problem;

/// How long the store may take to answer before it counts as away. Health checks commonly give up after 5 s.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(2);

const FRONT_PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Switchboard</title>
<h1>Switchboard</h1>
<p>This is the admin listener. Data and actions are under <code>/api/v1</code> and need the admin token:</p>
<pre>curl -H 'Authorization: Bearer ...' http://127.0.0.1:8081/api/v1/events</pre>
<p>All of it is described in <a href=\"/docs\">/docs</a>, for programs in <a href=\"/openapi.json\">/openapi.json</a>.</p>
<p><a href=\"/livez\">/livez</a> and <a href=\"/readyz\">/readyz</a> tell how the service is.</p>
</html>
";

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::from(Router::new().route("/", get(front_page))).routes(routes!(readyz))
}

async fn front_page() -> Html<&'static str> {
    Html(FRONT_PAGE)
}

/// Whether work can be done.
///
/// The service has started, is not stopping, and its store can be written to.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "health",
    responses((status = 200, description = "Work can be done.", body = Health), NotReady),
)]
async fn readyz(State(state): State<AdminState>) -> Result<Response, Problem> {
    if !*state.ready.borrow() {
        return Err(Problem::not_ready());
    }
    match tokio::time::timeout(STORE_PATIENCE, state.store.ping()).await {
        Ok(Ok(())) => Ok(json::answer(&Health { status: "ready" })),
        // A probe asks every few seconds, so an outage is not logged here.
        Ok(Err(_)) | Err(_) => Err(Problem::not_ready()),
    }
}

#[cfg(test)]
mod tests {
    use crate::http::testing::{Ping, admin, call, get, header, read_json, read_text};

    #[tokio::test]
    async fn health_needs_no_token() {
        let admin = admin(|_| {});
        for (path, status) in [("/livez", "live"), ("/readyz", "ready")] {
            let mut request = get(path);
            request.headers_mut().remove("authorization");
            let response = call(&admin.router, request).await;
            assert_eq!(response.status(), 200);
            assert_eq!(read_json(response).await["status"], status);
        }
    }

    #[tokio::test]
    async fn a_service_that_is_starting_or_stopping_is_not_ready() {
        let admin = admin(|_| {});
        admin.ready.send(false).unwrap();
        let response = call(&admin.router, get("/readyz")).await;
        assert_eq!(response.status(), 503);
        assert_eq!(header(&response, "retry-after"), "5");
        assert_eq!(read_json(response).await["type"], "/problems/not-ready");
        assert_eq!(call(&admin.router, get("/livez")).await.status(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_or_hangs_is_not_ready() {
        for ping in [Ping::Fails, Ping::Hangs] {
            let admin = admin(|store| store.ping = ping);
            assert_eq!(call(&admin.router, get("/readyz")).await.status(), 503);
        }
    }

    #[tokio::test]
    async fn the_front_page_is_html_and_holds_no_token() {
        let response = call(&admin(|_| {}).router, get("/")).await;
        assert!(header(&response, "content-type").starts_with("text/html"));
        assert!(!read_text(response).await.contains(crate::http::testing::TOKEN));
    }
}
