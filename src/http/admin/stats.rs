//! How messages fared lately, and how much waits.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::parameters::{party, some_of, text, time};
use super::document::refusals::{BadQuery, Unavailable};
use super::query::Query;
use crate::connectly::error::codes;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::job::JobState;
use crate::model::stats::{Figures, Funnel, Lag, Parts, Share};
use crate::store::query::{JobCount, MessageFilter};

/// What `parts` takes.
const PARTS: &str = "names of `funnel`, `lag`, `failures` and `queue`, separated by commas";

/// How far back to look unless the question says.
const SPAN: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(show))
}

/// The messages that figures are about.
struct Asked;

impl IntoParams for Asked {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            text("account", "The account that messages belong to."),
            party("business", "The number of the business."),
            text("campaign", "The campaign's name."),
            time("since", "Made at this time or later; without it, within the 24 hours before `until`."),
            time("until", "Made before this time; without it, until now."),
            some_of(
                "parts",
                &Parts::NAMES,
                "Which figures, of `funnel`, `lag`, `failures` and `queue`, separated by commas; without it, all.",
            ),
        ]
    }
}

/// How messages fared, and how much waits.
#[derive(Serialize, ToSchema)]
struct Stats {
    /// From when on messages were counted.
    since: Timestamp,
    /// Up to when messages were counted.
    until: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    funnel: Option<Funnel>,
    /// Messages by their state; a part of `funnel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    states: Option<BTreeMap<String, u64>>,
    /// How long the steps took, each by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<BTreeMap<&'static str, Lag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<Failures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Queue>,
}

/// Messages that failed, from four sides.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the answer")]
struct Failures {
    by_code: Vec<OfCode>,
    by_campaign: Vec<OfCampaign>,
    by_business: Vec<OfBusiness>,
    by_hour: Vec<OfHour>,
}

/// What failed for one reason, and what to do about it.
#[derive(Serialize, ToSchema)]
struct OfCode {
    /// Null for failures without a code.
    #[schema(required)]
    error_code: Option<String>,
    messages: u64,
    /// What the code means; absent when it is not a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<&'static str>,
    /// What to do about it; absent when the code is not a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// What failed of one campaign.
#[derive(Serialize, ToSchema)]
struct OfCampaign {
    /// Null for messages without a campaign.
    #[schema(required)]
    campaign: Option<String>,
    messages: u64,
}

/// What failed from one number of the business.
#[derive(Serialize, ToSchema)]
struct OfBusiness {
    /// Null where the number is not known.
    #[schema(required)]
    business: Option<String>,
    messages: u64,
}

/// What failed of the messages that were made in one hour.
#[derive(Serialize, ToSchema)]
struct OfHour {
    /// The beginning of the hour.
    hour: Timestamp,
    messages: u64,
}

/// All unfinished and parked jobs, whatever the question is about.
#[derive(Serialize, ToSchema)]
struct Queue {
    ready: i64,
    running: i64,
    parked: i64,
    /// When the job that has waited longest for somebody to take it fell due.
    #[schema(required)]
    oldest_due_at: Option<Timestamp>,
}

/// How messages fared lately, and how much waits.
#[utoipa::path(
    get,
    path = "/api/v1/stats",
    operation_id = "get_stats",
    tag = "operations",
    params(Asked),
    responses((status = 200, description = "The figures.", body = Stats), BadQuery, Unavailable),
)]
async fn show(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let account = query.text("account")?;
    let business = query.party("business")?;
    let campaign = query.text("campaign")?;
    let (since, until) = (query.time("since")?, query.time("until")?);
    let parts = query.text("parts")?.map_or(Some(Parts::ALL), |text| Parts::parse(&text));
    let parts = parts.ok_or_else(|| Problem::parameter("parts", PARTS))?;
    query.finish()?;
    let until = until.unwrap_or_else(|| state.clock.now());
    let since = since.unwrap_or_else(|| until.saturating_sub(SPAN).unwrap_or(Timestamp::MIN));
    let filter = MessageFilter {
        account,
        business,
        campaign,
        since: Some(since),
        until: Some(until),
        ..MessageFilter::default()
    };
    let figures = state.store.stats(&filter, parts).await?;
    let jobs = if parts.queue { state.store.job_counts().await? } else { Vec::new() };
    let queue = parts.queue.then(|| Queue::of(&jobs, figures.oldest_due_at));
    let failures = parts.failures.then(|| Failures::of(&figures));
    let funnel = parts.funnel.then(|| figures.funnel());
    let (states, lag) = (parts.funnel.then_some(figures.states), parts.lag.then_some(figures.lags));
    Ok(json::answer(&Stats { since, until, funnel, states, lag, failures, queue }))
}

impl Queue {
    fn of(jobs: &[JobCount], oldest_due_at: Option<Timestamp>) -> Self {
        let waiting = |state| jobs.iter().filter(|jobs| jobs.state == state).map(|jobs| jobs.count).sum();
        Self {
            ready: waiting(JobState::Ready),
            running: waiting(JobState::Running),
            parked: waiting(JobState::Parked),
            oldest_due_at,
        }
    }
}

impl Failures {
    fn of(figures: &Figures) -> Self {
        let breakdown = figures.breakdown();
        Self {
            by_code: all(breakdown.codes, |(error_code, messages)| OfCode {
                meaning: error_code.as_deref().and_then(codes::meaning),
                advice: error_code.as_deref().and_then(codes::advice),
                error_code,
                messages,
            }),
            by_campaign: all(breakdown.campaigns, |(campaign, messages)| OfCampaign { campaign, messages }),
            by_business: all(breakdown.businesses, |(business, messages)| OfBusiness { business, messages }),
            by_hour: all(breakdown.hours, |(hour, messages)| OfHour { hour, messages }),
        }
    }
}

fn all<T, U>(shares: Vec<Share<T>>, shown: impl Fn(Share<T>) -> U) -> Vec<U> {
    shares.into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::testing::{admin, assert_refused, call, count, get, read_json};
    use crate::model::stats;

    fn figures() -> Figures {
        Figures {
            states: [("read".to_owned(), 3), ("failed".to_owned(), 2)].into(),
            failures: vec![stats::Failures {
                code: Some("ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW".to_owned()),
                campaign: None,
                business: Some("+15550100002".to_owned()),
                hour: 490_896,
                count: 2,
            }],
            lags: [("sent_to_delivered", Lag { p50_ms: 800, p95_ms: 2_000 })].into(),
            oldest_due_at: None,
        }
    }

    #[tokio::test]
    async fn the_last_day_is_shown_from_every_side() {
        let admin = admin(|store| {
            store.figures = Some(figures());
            store.counts = Some(vec![count("echo", JobState::Ready, 4), count("echo", JobState::Parked, 1)]);
        });
        let mut shown = read_json(call(&admin.router, get("/api/v1/stats?business=15550100002")).await).await;
        let filter = admin.store.message_filter.lock().unwrap().clone().unwrap();
        assert_eq!(filter.business.as_deref(), Some("+15550100002"));
        let (since, until) = (filter.since.unwrap(), filter.until.unwrap());
        assert_eq!(until.duration_since(since), SPAN);
        assert!(
            admin.clock.now().duration_since(until)
                < SignedDuration::try_from(Duration::from_mins(1)).unwrap()
        );
        for time in ["since", "until"] {
            shown.as_object_mut().unwrap().remove(time).unwrap();
        }
        insta::assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap());
    }

    #[tokio::test]
    async fn only_the_parts_that_are_asked_for_are_counted_and_shown() {
        let admin = admin(|store| store.figures = Some(figures()));
        let shown = read_json(call(&admin.router, get("/api/v1/stats?parts=failures,lag")).await).await;
        let asked = admin.store.parts.lock().unwrap().unwrap();
        assert_eq!(asked, Parts { funnel: false, lag: true, failures: true, queue: false });
        let names: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["failures", "lag", "since", "until"]);
    }

    #[tokio::test]
    async fn a_filter_that_stats_do_not_take_is_named() {
        let admin = admin(|store| store.figures = Some(figures()));
        for (query, parameter) in [
            ("state=read", "state"),
            ("since=yesterday", "since"),
            ("limit=5", "limit"),
            ("parts=all", "parts"),
        ] {
            let refused = call(&admin.router, get(&format!("/api/v1/stats?{query}"))).await;
            assert_eq!(assert_refused(refused, 400).await["parameter"], parameter);
        }
    }
}
