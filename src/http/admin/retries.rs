//! Retrying parked jobs by what they have in common: after a bug was mended, or an endpoint came back.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Fields, JsonBody, RequestBody};
use super::document::parameters;
use super::document::refusals::{BadBody, Unavailable};
use super::jobs::KINDS;
use super::query::{NoQuery, Query};
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::id::JobId;
use crate::model::job::{JobKind, JobState};
use crate::store::query::{JobFilter, PageRequest};
use crate::store::{self, Store, StoreError};

/// Jobs that are listed at a time.
const PAGE: u32 = 200;
/// What has to be named at least.
const NOTHING_NAMED: &str =
    "a route's name, unless `kind`, `since` or `until` say which: an empty body would retry everything";

/// Which parked jobs.
struct Parked(JobFilter);

impl RequestBody for Parked {
    const TAKES: &'static str = "it takes at least one of `route`, `kind`, `since` and `until`";

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let mut query = Query::of_fields(fields.rest())?;
        let filter = JobFilter {
            state: Some(JobState::Parked),
            kind: query.one_of("kind", &KINDS, JobKind::parse)?,
            route: query.text("route")?,
            since: query.time("since")?,
            until: query.time("until")?,
        };
        query.finish()?;
        let JobFilter { state: _, kind, route, since, until } = &filter;
        if kind.is_none() && route.is_none() && since.is_none() && until.is_none() {
            return Err(Problem::field("route", NOTHING_NAMED));
        }
        Ok(Self(filter))
    }
}

/// The filters of the list of jobs, without `state`.
impl PartialSchema for Parked {
    fn schema() -> RefOr<Schema> {
        let mut filters = JobFilter::into_params(|| None);
        filters.retain(|filter| filter.name != "state");
        let about = "Which parked jobs: all that every given field fits.";
        parameters::as_fields(ObjectBuilder::new().description(Some(about)), filters)
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .min_properties(Some(1))
            .into()
    }
}

impl ToSchema for Parked {}

/// How many jobs are ready again.
#[derive(Serialize, ToSchema)]
#[schema(as = Retried)]
struct Answer {
    /// Those that were retried or discarded meanwhile are not counted.
    jobs: u64,
}

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(retry))
}

/// Makes parked jobs ready again, by what they have in common.
///
/// Each goes to the end of its lane, the oldest first. It goes on when the caller hangs up.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/retry",
    operation_id = "retry_jobs",
    tag = "jobs",
    request_body = Parked,
    responses((status = 200, description = "How many jobs are ready again.", body = Answer), BadBody, Unavailable),
)]
async fn retry(
    State(state): State<AdminState>,
    NoQuery: NoQuery,
    JsonBody(parked): JsonBody<Parked>,
) -> Result<Response, Problem> {
    let running = tokio::spawn(async move {
        let retried = retry_all(&state.store, &parked.0).await;
        state.sends.notify_one();
        retried
    });
    let jobs = running.await.map_err(|_panicked| Problem::internal())??;
    Ok(json::answer(&Answer { jobs }))
}

/// Each goes to the end of its lane, so the oldest goes first.
async fn retry_all(store: &Arc<dyn Store>, filter: &JobFilter) -> store::Result<u64> {
    let mut ids: Vec<JobId> = Vec::new();
    loop {
        let page = PageRequest { limit: PAGE, before: ids.last().copied() };
        let page = store.jobs(filter, page).await?;
        ids.extend(page.data.iter().map(|job| job.id));
        if !page.more {
            break;
        }
    }
    let mut retried = 0;
    for id in ids.into_iter().rev() {
        match store.retry_job(id).await {
            Ok(job) => retried += u64::from(job.is_some()),
            // Somebody else has retried or discarded it meanwhile.
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(retried)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};

    use crate::http::testing::{admin, assert_refused, call, job, read_text, request};
    use crate::model::job::JobState;
    use crate::store::StoreError;

    fn post(body: &str) -> Request<Body> {
        let mut request = request(Method::POST, "/api/v1/jobs/retry");
        *request.body_mut() = body.to_owned().into();
        request
    }

    #[tokio::test]
    async fn parked_jobs_are_retried_by_what_they_have_in_common() {
        let admin = admin(|store| store.jobs = (1..=201).map(job).collect());
        let body = r#"{"route":"greeter","since":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(read_text(call(&admin.router, post(body)).await).await, r#"{"jobs":201}"#);
        assert!(admin.has_called_for_sends());
        let filter = admin.store.job_filter.lock().unwrap().clone().unwrap();
        assert_eq!((filter.state, filter.route.as_deref()), (Some(JobState::Parked), Some("greeter")));
    }

    #[tokio::test]
    async fn what_is_no_longer_parked_is_passed_over() {
        let admin = admin(|store| {
            store.jobs = vec![job(1)];
            store.fails_to_change = Some(|| StoreError::Conflict("the job is not parked"));
        });
        let body = r#"{"kind":"deliver"}"#;
        assert_eq!(read_text(call(&admin.router, post(body)).await).await, r#"{"jobs":0}"#);
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_refused_by_its_field() {
        let admin = admin(|store| store.jobs = vec![job(1)]);
        for (body, parameter) in [
            ("{}", "route"),
            (r#"{"kind":"x"}"#, "kind"),
            (r#"{"since":"soon"}"#, "since"),
            (r#"{"state":"parked"}"#, "state"),
        ] {
            let problem = assert_refused(call(&admin.router, post(body)).await, 422).await;
            assert_eq!(problem["parameter"], parameter, "{body}");
        }
    }
}
