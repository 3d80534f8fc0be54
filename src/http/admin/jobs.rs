//! Jobs: lists, one with its log, and what a person can do about one.

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::{get, post};

use super::AdminState;
use super::page;
use super::path::PathId;
use super::query::Query;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::id::JobTag;
use crate::model::job::{Job, JobKind, JobState};
use crate::store::query::JobFilter;

pub(super) fn router() -> Router<AdminState> {
    Router::new()
        .route("/api/v1/jobs", get(list))
        .route("/api/v1/jobs/{id}", get(one))
        .route("/api/v1/jobs/{id}/retry", post(retry))
        .route("/api/v1/jobs/{id}/discard", post(discard))
}

fn filter(query: &mut Query) -> Result<JobFilter, Problem> {
    let kinds = [JobKind::Deliver, JobKind::Send].map(JobKind::as_str);
    Ok(JobFilter {
        state: query.one_of("state", &JobState::ALL.map(JobState::as_str), JobState::parse)?,
        kind: query.one_of("kind", &kinds, JobKind::parse)?,
        route: query.text("route")?,
        since: query.time("since")?,
        until: query.time("until")?,
    })
}

async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let filter = filter(&mut query)?;
    let requested = page::requested(&mut query)?;
    query.finish()?;
    let jobs = state.store.jobs(&filter, requested).await?;
    Ok(page::answer(jobs, |job| job.id))
}

async fn one(State(state): State<AdminState>, PathId(id): PathId<JobTag>) -> Result<Response, Problem> {
    found(state.store.job(id).await?)
}

async fn retry(State(state): State<AdminState>, PathId(id): PathId<JobTag>) -> Result<Response, Problem> {
    found(state.store.retry_job(id).await?)
}

async fn discard(State(state): State<AdminState>, PathId(id): PathId<JobTag>) -> Result<Response, Problem> {
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
