//! `/metrics`: what Prometheus scrapes.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::health::STORE_PATIENCE;
use crate::http::problem::Problem;
use crate::store::query::JobCount;
use crate::telemetry::metrics::{self, JobGauge};

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(scrape))
}

/// Metrics, for Prometheus.
///
/// Without a store the gauges of jobs are missing, and the counters are there.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "health",
    responses((
        status = 200,
        description = "The metrics as OpenMetrics text.",
        body = String,
        content_type = "application/openmetrics-text",
    )),
)]
async fn scrape(State(state): State<AdminState>) -> Result<Response, Problem> {
    let counts = job_counts(&state).await;
    let gauges: Vec<_> = counts.iter().map(gauge).collect();
    let text = state.metrics.render(&gauges).map_err(|_unwritten| Problem::internal())?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// Without a store there are no job gauges, but the counters must still be seen: that is when they are wanted.
async fn job_counts(state: &AdminState) -> Vec<JobCount> {
    match tokio::time::timeout(STORE_PATIENCE, state.store.job_counts()).await {
        Ok(Ok(counts)) => counts,
        Ok(Err(error)) => {
            tracing::warn!(%error, "jobs could not be counted for a scrape");
            Vec::new()
        }
        Err(_elapsed) => {
            tracing::warn!("jobs could not be counted in time for a scrape");
            Vec::new()
        }
    }
}

fn gauge(count: &JobCount) -> JobGauge<'_> {
    JobGauge {
        kind: count.kind.as_str(),
        route: &count.route,
        state: count.state.as_str(),
        count: count.count,
    }
}

#[cfg(test)]
mod tests {
    use crate::http::testing::{admin, call, count, get, header, read_text};
    use crate::model::job::JobState;

    #[tokio::test]
    async fn jobs_are_counted_when_they_are_scraped() {
        let admin = admin(|store| store.counts = Some(vec![count("greeter", JobState::Parked, 4)]));
        let response = call(&admin.router, get("/metrics")).await;
        assert!(header(&response, "content-type").starts_with("application/openmetrics-text"));
        let line = "switchboard_jobs{kind=\"deliver\",route=\"greeter\",state=\"parked\"} 4";
        assert!(read_text(response).await.contains(line));
    }

    #[tokio::test]
    async fn counters_are_shown_without_a_store_too() {
        let admin = admin(|store| store.counts = None);
        let response = call(&admin.router, get("/metrics")).await;
        assert_eq!(response.status(), 200);
        let text = read_text(response).await;
        assert!(text.contains("switchboard_webhook_seconds_count 0") && !text.contains("switchboard_jobs{"));
    }
}
