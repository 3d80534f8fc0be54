//! The effective routes, with how much each has to do.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::refusals::{BadQuery, Unavailable};
use super::page::{self, List};
use super::query::NoQuery;
use crate::http::problem::Problem;
use crate::model::job::{JobKind, JobState};
use crate::store::query::JobCount;
use crate::telemetry::Metrics;

/// A route as the API shows it, in the words of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RouteInfo {
    /// Its name.
    pub name: String,
    /// The event types it takes.
    pub on: Vec<String>,
    /// The expression that an event must meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Its handler's name.
    pub handler: String,
    /// How its jobs are ordered.
    pub ordering: String,
}

/// A route and its jobs.
#[derive(Serialize, ToSchema)]
#[schema(as = Route)]
struct Counted<'a> {
    #[serde(flatten)]
    route: &'a RouteInfo,
    /// Deliveries that wait.
    ready: i64,
    /// Deliveries that a handler is at.
    running: i64,
    /// Deliveries that need a person.
    parked: i64,
    /// Events of the route's types that went there, since this process started; replays are not counted.
    matched: u64,
    /// Those whose `when` was false.
    not_matched: u64,
    /// Those whose `when` failed.
    failed: u64,
}

type CountedRoutes = List<Counted<'static>>;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(list))
}

/// The effective routes, with how much each has to do.
///
/// They come in the order of the configuration, all on one page.
#[utoipa::path(
    get,
    path = "/api/v1/routes",
    operation_id = "list_routes",
    tag = "routes",
    responses((status = 200, description = "The routes.", body = CountedRoutes), BadQuery, Unavailable),
)]
async fn list(State(state): State<AdminState>, NoQuery: NoQuery) -> Result<Response, Problem> {
    let counts = state.store.job_counts().await?;
    let counted = |route| counted(route, &counts, &state.metrics);
    Ok(page::whole(state.routes.iter().map(counted).collect()))
}

fn counted<'a>(route: &'a RouteInfo, counts: &[JobCount], metrics: &Metrics) -> Counted<'a> {
    let [matched, not_matched, failed] = metrics.route_counts(&route.name).totals();
    let jobs = |state: JobState| {
        let its = |count: &&JobCount| {
            count.kind == JobKind::Deliver && count.route == route.name && count.state == state
        };
        counts.iter().filter(its).map(|count| count.count).sum()
    };
    Counted {
        route,
        ready: jobs(JobState::Ready),
        running: jobs(JobState::Running),
        parked: jobs(JobState::Parked),
        matched,
        not_matched,
        failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{admin, assert_refused, call, count, get, read_json};

    #[tokio::test]
    async fn every_route_is_shown_with_its_jobs() {
        let counts = vec![
            count("greeter", JobState::Ready, 3),
            count("greeter", JobState::Parked, 1),
            count("forgotten", JobState::Ready, 9),
            JobCount { kind: JobKind::Send, ..count("greeter", JobState::Running, 5) },
        ];
        let admin = admin(|store| store.counts = Some(counts));
        let shown = read_json(call(&admin.router, get("/api/v1/routes")).await).await;
        insta::assert_json_snapshot!(shown, @r#"
        {
          "data": [
            {
              "failed": 0,
              "handler": "greet",
              "matched": 0,
              "name": "greeter",
              "not_matched": 0,
              "on": [
                "message.received"
              ],
              "ordering": "conversation",
              "parked": 1,
              "ready": 3,
              "running": 0
            }
          ],
          "next": null
        }
        "#);
    }

    #[tokio::test]
    async fn it_takes_no_parameters() {
        let response = call(&admin(|_| {}).router, get("/api/v1/routes?limit=1")).await;
        assert_eq!(assert_refused(response, 400).await["parameter"], "limit");
    }
}
