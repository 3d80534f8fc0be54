//! Retention now, instead of within the hour.

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::post;

use super::AdminState;
use super::query::Query;
use crate::http::json;
use crate::http::problem::Problem;
use crate::store::retention;

pub(super) fn router() -> Router<AdminState> {
    Router::new().route("/api/v1/purge", post(purge))
}

/// Answers with what went, once everything has.
async fn purge(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    Query::read(&uri)?.finish()?;
    let keep = state.retention.keep(state.clock.now());
    Ok(json::answer(&retention::purge(state.store.as_ref(), &keep).await?))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use crate::http::testing::{admin, assert_refused, call, get, read_json, request};

    #[tokio::test]
    async fn a_purge_goes_on_to_its_end_and_counts() {
        let admin = admin(|_| {});
        let purged = read_json(call(&admin.router, request(Method::POST, "/api/v1/purge")).await).await;
        let expected = json!({
            "bodies": 0, "events": 6, "messages": 0, "jobs": 0, "conversations": 0, "customers": 0
        });
        assert_eq!(purged, expected);
        let rounds = admin.store.purges.lock().unwrap().clone();
        assert_eq!(rounds.len(), 3);
        assert!(
            rounds[0].bodies_since > rounds[0].events_since && rounds.windows(2).all(|two| two[0] == two[1])
        );
        assert_refused(call(&admin.router, get("/api/v1/purge")).await, 405).await;
        let older = call(&admin.router, request(Method::POST, "/api/v1/purge?older_than=1d")).await;
        assert_eq!(assert_refused(older, 400).await["parameter"], "older_than");
    }
}
