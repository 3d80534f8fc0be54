//! P12: the public listener serves the webhook and a liveness path; data and actions are behind the admin token.

use reqwest::{Method, StatusCode};
use rstest::rstest;

use crate::support::{Backend, Desk};

#[rstest]
#[tokio::test]
async fn p12_the_public_listener_serves_nothing_else(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let base = format!("http://{}", desk.running.public_address());
    let ask = async |method: Method, path: &str| {
        desk.http.request(method, format!("{base}{path}")).send().await.unwrap().status()
    };
    assert_eq!(ask(Method::GET, "/livez").await, StatusCode::OK);
    assert_eq!(ask(Method::GET, "/webhooks/connectly").await, StatusCode::METHOD_NOT_ALLOWED);
    for path in [
        "/",
        "/readyz",
        "/metrics",
        "/api/v1",
        "/api/v1/events",
        "/api/v1/events/stream",
        "/api/v1/messages",
        "/api/v1/messages/x/resolve",
        "/api/v1/jobs",
        "/api/v1/jobs/x/retry",
        "/api/v1/routes",
        "/api/v1/pauses",
        "/openapi.json",
        "/docs",
        "/webhooks",
        "/webhooks/other",
    ] {
        assert_eq!(ask(Method::GET, path).await, StatusCode::NOT_FOUND, "{path}");
    }
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p12_data_and_actions_need_the_token(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let desk = Desk::start(backend, "").await;
    let base = format!("http://{}", desk.running.admin_address());
    let reads = [
        "/metrics",
        "/api/v1/events",
        "/api/v1/events/x",
        "/api/v1/events/x/body",
        "/api/v1/events/stream",
        "/api/v1/messages",
        "/api/v1/messages/x",
        "/api/v1/jobs",
        "/api/v1/jobs/x",
        "/api/v1/routes",
        "/api/v1/pauses",
        "/api/v1/nothing",
    ];
    let actions = ["/api/v1/messages/x/resolve", "/api/v1/jobs/x/retry", "/api/v1/jobs/x/discard"];
    let reads = reads.map(|path| (Method::GET, path));
    for (method, path) in reads.into_iter().chain(actions.map(|path| (Method::POST, path))) {
        for token in [None, Some("wrong"), Some("")] {
            let mut request = desk.http.request(method.clone(), format!("{base}{path}"));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path} {token:?}");
        }
        let rebound = desk.http.request(method, format!("{base}{path}")).header("host", "evil.example");
        assert_eq!(rebound.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
    assert_eq!(desk.http.get(format!("{base}/readyz")).send().await.unwrap().status(), StatusCode::OK);
    assert!(desk.list("events").await.is_empty());
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p12_unsigned_deliveries_are_refused_and_not_stored(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let desk = Desk::start(backend, "").await;
    let body = b"{}".to_vec();
    for signature in [None, Some("nonsense"), Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")] {
        assert_eq!(desk.post_as(signature, body.clone()).await.status(), 401, "{signature:?}");
    }
    let url = format!("{}/nobody", desk.webhook_url());
    let signature = crate::support::webhooks::sign(&body);
    let unknown = desk.http.post(url).header("x-connectly-hmac-sha256", signature).body(body);
    assert_eq!(unknown.send().await.unwrap().status(), 401);
    assert_eq!(desk.post(vec![b' '; 1024 * 1024 + 1]).await.status(), 413);
    assert!(desk.list("events").await.is_empty());
    let metrics = desk.admin(Method::GET, "/metrics", &serde_json::Value::Null).await.text().await.unwrap();
    for reason in ["missing", "malformed", "mismatch", "unknown_account"] {
        let line = format!("switchboard_rejected_signatures_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&line), "{line}");
    }
    desk.stop().await;
}
