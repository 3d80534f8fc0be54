//! The effective routes, with how much each has to do.

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use super::AdminState;
use super::page;
use super::query::Query;
use crate::http::problem::Problem;
use crate::model::job::{JobKind, JobState};
use crate::store::query::JobCount;

/// A route as the API shows it, in the words of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Serialize)]
struct Counted<'a> {
    #[serde(flatten)]
    route: &'a RouteInfo,
    ready: i64,
    running: i64,
    parked: i64,
}

pub(super) fn router() -> Router<AdminState> {
    Router::new().route("/api/v1/routes", get(list))
}

async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    Query::read(&uri)?.finish()?;
    let counts = state.store.job_counts().await?;
    Ok(page::whole(state.routes.iter().map(|route| counted(route, &counts)).collect()))
}

fn counted<'a>(route: &'a RouteInfo, counts: &[JobCount]) -> Counted<'a> {
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
              "handler": "greet",
              "name": "greeter",
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
