//! Jobs: lists, one with its log, and what a person can do about one.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::parameters::{one_of, text, time};
use super::document::refusals::{BadQuery, Conflict, NotFound, Unavailable};
use super::page::{self, List, Paging};
use super::path::PathId;
use super::query::{NoQuery, Query};
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::id::{JobId, JobTag};
use crate::model::job::{Job, JobKind, JobState};
use crate::store::query::JobFilter;

/// The kinds of jobs.
pub(super) const KINDS: [&str; 2] = [JobKind::Deliver.as_str(), JobKind::Send.as_str()];

type Jobs = List<Job>;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(retry))
        .routes(routes!(discard))
}

impl IntoParams for JobFilter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let state = "Where jobs stand. Without it, those that are not finished; `done` and `discarded` list finished ones.";
        vec![
            one_of("state", &JobState::ALL.map(JobState::as_str), state),
            one_of("kind", &KINDS, "Deliveries of events to routes, or sends of messages."),
            text("route", "The route's name."),
            time("since", "Made at this time or later."),
            time("until", "Made before this time."),
        ]
    }
}

fn filter(query: &mut Query) -> Result<JobFilter, Problem> {
    Ok(JobFilter {
        state: query.one_of("state", &JobState::ALL.map(JobState::as_str), JobState::parse)?,
        kind: query.one_of("kind", &KINDS, JobKind::parse)?,
        route: query.text("route")?,
        since: query.time("since")?,
        until: query.time("until")?,
    })
}

/// Jobs, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(JobFilter, Paging),
    responses((status = 200, description = "A page of jobs.", body = Jobs), BadQuery, Unavailable),
)]
async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let filter = filter(&mut query)?;
    let requested = page::requested(&mut query)?;
    query.finish()?;
    let jobs = state.store.jobs(&filter, requested).await?;
    Ok(page::answer(jobs, |job| job.id))
}

/// One job with the log of its tries.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    operation_id = "get_job",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "The job.", body = Job), BadQuery, NotFound, Unavailable),
)]
async fn one(
    State(state): State<AdminState>,
    PathId(id): PathId<JobTag>,
    NoQuery: NoQuery,
) -> Result<Response, Problem> {
    found(state.store.job(id).await?)
}

/// Makes a parked job ready again.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/retry",
    operation_id = "retry_job",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "The job as it is now.", body = Job), BadQuery, NotFound, Conflict, Unavailable),
)]
async fn retry(
    State(state): State<AdminState>,
    PathId(id): PathId<JobTag>,
    NoQuery: NoQuery,
) -> Result<Response, Problem> {
    let job = state.store.retry_job(id).await?;
    state.sends.notify_one();
    found(job)
}

/// Gives a parked job up.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/discard",
    operation_id = "discard_job",
    tag = "jobs",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses((status = 200, description = "The job as it is now.", body = Job), BadQuery, NotFound, Conflict, Unavailable),
)]
async fn discard(
    State(state): State<AdminState>,
    PathId(id): PathId<JobTag>,
    NoQuery: NoQuery,
) -> Result<Response, Problem> {
    found(state.store.discard_job(id).await?)
}

fn found(job: Option<Job>) -> Result<Response, Problem> {
    job.map(|job| json::answer(&job)).ok_or_else(Problem::not_found)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::http::testing::{admin, assert_refused, call, get, header, job, job_id, read_json, request};
    use crate::store::StoreError;

    #[tokio::test]
    async fn jobs_are_listed_by_what_is_asked() {
        let admin = admin(|store| store.jobs = vec![job(1), job(2)]);
        let path = "/api/v1/jobs?state=parked&kind=deliver&route=greeter&since=2026-01-01T00:00:00Z";
        let listed = read_json(call(&admin.router, get(path)).await).await;
        assert_eq!(listed["data"][0]["id"], job_id(2).to_string());
        assert!(listed["next"].is_null());
        let filter = admin.store.job_filter.lock().unwrap().clone().unwrap();
        assert_eq!((filter.state, filter.kind), (Some(JobState::Parked), Some(JobKind::Deliver)));
        assert_eq!(filter.route.as_deref(), Some("greeter"));
        assert!(filter.since.is_some() && filter.until.is_none());
    }

    #[tokio::test]
    async fn a_bad_query_is_400_and_names_the_parameter() {
        let admin = admin(|_| {});
        for (query, parameter) in [("state=lost", "state"), ("kind=x", "kind"), ("account=shop", "account")] {
            let response = call(&admin.router, get(&format!("/api/v1/jobs?{query}"))).await;
            assert_eq!(assert_refused(response, 400).await["parameter"], parameter, "{query}");
        }
    }

    #[tokio::test]
    async fn one_job_has_its_log_and_can_be_retried_or_discarded() {
        let admin = admin(|store| store.jobs = vec![job(1)]);
        let path = format!("/api/v1/jobs/{}", job_id(1));
        let shown = read_json(call(&admin.router, get(&path)).await).await;
        assert_eq!(shown["log"][0]["outcome"], "parked");
        for (action, state) in [("retry", "ready"), ("discard", "discarded")] {
            let response = call(&admin.router, request(Method::POST, &format!("{path}/{action}"))).await;
            assert_eq!(read_json(response).await["state"], state);
            assert_eq!(admin.has_called_for_sends(), action == "retry");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_done_is_refused() {
        let admin = admin(|store| {
            store.jobs = vec![job(1)];
            store.fails_to_change = Some(|| StoreError::Conflict("the job is not parked"));
        });
        for action in ["retry", "discard"] {
            let path = |id: &str| format!("/api/v1/jobs/{id}/{action}");
            let known = call(&admin.router, request(Method::POST, &path(&job_id(1).to_string()))).await;
            assert_eq!(assert_refused(known, 409).await["detail"], "the job is not parked");
            for unknown in [job_id(2).to_string(), "7".to_owned()] {
                assert_refused(call(&admin.router, request(Method::POST, &path(&unknown))).await, 404).await;
            }
            let wrong_method = call(&admin.router, get(&path(&job_id(1).to_string()))).await;
            assert_eq!(header(&wrong_method, "allow"), "POST");
            assert_refused(wrong_method, 405).await;
        }
    }
}
