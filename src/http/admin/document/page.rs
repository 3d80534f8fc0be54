//! `/docs`: the document for people. Everything that it loads comes from here, and it sends requests nowhere else.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderName;
use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use crate::http::problem::Problem;

/// The page's own scripts, styles and requests; pictures stand in its styles.
const POLICY: (HeaderName, &str) = (
    CONTENT_SECURITY_POLICY,
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
/// What of Swagger UI the page loads.
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

pub(in crate::http::admin) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/docs", get(page))
        .route("/docs/start.js", get(start))
        .route("/docs/{file}", get(file))
}

async fn page() -> Response {
    ([POLICY], Html(include_str!("page.html"))).into_response()
}

async fn start() -> Response {
    ([(CONTENT_TYPE, "text/javascript")], include_str!("start.js")).into_response()
}

/// Files are kept as every browser takes them: compressed.
async fn file(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_not_text| Problem::not_found())?;
    let known = FILES.iter().find(|known| **known == name).ok_or_else(Problem::not_found)?;
    let file = utoipa_swagger_ui::serve(known, Arc::new(Config::default()));
    let file = file.map_err(|_unformatted| Problem::internal())?.ok_or_else(Problem::not_found)?;
    let headers = [(CONTENT_TYPE, file.content_type.as_str()), (CONTENT_ENCODING, "gzip")];
    Ok((headers, file.bytes).into_response())
}

#[cfg(test)]
mod tests {
    use crate::http::testing::{admin, assert_refused, call, get, header, read_text};

    #[tokio::test]
    async fn the_page_loads_nothing_from_elsewhere() {
        let admin = admin(|_| {});
        let page = call(&admin.router, get("/docs")).await;
        assert!(
            header(&page, "content-security-policy").starts_with("default-src 'none'; script-src 'self';")
        );
        let page = read_text(page).await;
        let loaded: Vec<&str> =
            page.split(['"']).filter(|text| text.starts_with('/') || text.contains("//")).collect();
        assert_eq!(loaded, ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"]);
        for (path, kind) in loaded.into_iter().zip(["text/css", "text/javascript", "text/javascript"]) {
            let mut request = get(path);
            request.headers_mut().remove("authorization");
            let file = call(&admin.router, request).await;
            assert_eq!(file.status(), 200, "{path}");
            assert_eq!(header(&file, "content-type"), kind, "{path}");
            assert_eq!(
                header(&file, "content-security-policy"),
                "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
            );
        }
        assert_refused(call(&admin.router, get("/docs/index.html")).await, 404).await;
        assert_refused(call(&admin.router, get("/docs/%ff")).await, 404).await;
    }
}
