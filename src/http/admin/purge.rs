//! Retention now, instead of within the hour.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::parameters;
use super::document::refusals::{BadQuery, Unavailable};
use super::query::Query;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::retention::Purged;
use crate::store::retention;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(purge))
}

/// The most rounds that can be asked for.
const MOST_ROUNDS: u32 = 1000;

/// How much of it to do now.
struct Rounds(Option<u32>);

impl IntoParams for Rounds {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "Only so many rounds, each of which takes 500 rows of a kind at most, or a month: then `more` says whether \
            to ask again. Without it, all.";
        vec![parameters::count("rounds", MOST_ROUNDS, about)]
    }
}

impl Rounds {
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let mut query = Query::read(uri)?;
        let takes = format!("a number from 1 to {MOST_ROUNDS}");
        let rounds = query.parsed("rounds", &takes, |text| {
            text.parse().ok().filter(|rounds| (1..=MOST_ROUNDS).contains(rounds))
        })?;
        query.finish()?;
        Ok(Self(rounds))
    }
}

/// Takes away now what is older than retention keeps.
///
/// It happens by itself within the hour. The answer comes once everything has gone, or after so many rounds.
#[utoipa::path(
    post,
    path = "/api/v1/purge",
    operation_id = "purge",
    tag = "operations",
    params(Rounds),
    responses((status = 200, description = "How much went.", body = Purged), BadQuery, Unavailable),
)]
async fn purge(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let Rounds(rounds) = Rounds::read(&uri)?;
    let keep = state.retention.keep(state.clock.now());
    let purged = retention::purge_some(state.store.as_ref(), &keep, rounds.unwrap_or(u32::MAX)).await?;
    Ok(json::answer(&purged))
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

    #[tokio::test]
    async fn it_can_be_done_bit_by_bit() {
        let admin = admin(|_| {});
        let some = |rounds: &str| request(Method::POST, &format!("/api/v1/purge?rounds={rounds}"));
        let purged = read_json(call(&admin.router, some("2")).await).await;
        assert_eq!((&purged["events"], &purged["more"]), (&4.into(), &true.into()));
        let rest = read_json(call(&admin.router, some("2")).await).await;
        assert_eq!((&rest["events"], rest.get("more")), (&2.into(), None));
        for wrong in ["0", "1001", "-1", "all", ""] {
            let refused = assert_refused(call(&admin.router, some(wrong)).await, 400).await;
            assert_eq!(refused["parameter"], "rounds", "{wrong}");
        }
    }
}
