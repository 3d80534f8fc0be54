//! Retention now, instead of within the hour.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::refusals::{BadQuery, Unavailable};
use super::query::NoQuery;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::retention::Purged;
use crate::store::retention;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(purge))
}

/// Takes away now what is older than retention keeps.
///
/// It happens by itself within the hour. The answer comes once everything has gone.
#[utoipa::path(
    post,
    path = "/api/v1/purge",
    operation_id = "purge",
    tag = "operations",
    responses((status = 200, description = "How much went.", body = Purged), BadQuery, Unavailable),
)]
async fn purge(State(state): State<AdminState>, NoQuery: NoQuery) -> Result<Response, Problem> {
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
