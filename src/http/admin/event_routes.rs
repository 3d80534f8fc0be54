//! Where an event goes: every route, whether it matches and why.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::refusals::{BadQuery, BodyPurged, NotFound, Unavailable};
use super::page::{self, List};
use super::path::PathId;
use super::query::NoQuery;
use crate::http::problem::Problem;
use crate::model::id::{EventId, EventTag};
use crate::routing::Verdict;

/// Whether an event goes to a route.
#[derive(Serialize, ToSchema)]
#[schema(as = RouteVerdict)]
struct Shown {
    /// The route.
    route: String,
    /// Whether the event goes there.
    matches: bool,
    /// Why, or why not.
    reason: String,
}

type Verdicts = List<Shown>;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(explain))
}

/// For every route whether the event goes there, and why.
///
/// The event is judged as it arrived, by the routes as they are now.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/routes",
    operation_id = "explain_routes",
    tag = "routes",
    params(("id" = EventId, Path, description = "The event's id.")),
    responses(
        (status = 200, description = "The routes in the order of the configuration.", body = Verdicts),
        BadQuery,
        NotFound,
        BodyPurged,
        Unavailable,
    ),
)]
async fn explain(
    State(state): State<AdminState>,
    PathId(id): PathId<EventTag>,
    NoQuery: NoQuery,
) -> Result<Response, Problem> {
    let event = state.store.event(id).await?.ok_or_else(Problem::not_found)?;
    let judged = state.replayer.explain(id).await?.ok_or_else(Problem::body_purged)?;
    let kind = event.event_type();
    let shown = judged.into_iter().zip(state.routes.iter()).map(|((route, verdict), info)| {
        let when = info.when.as_deref();
        let (matches, reason) = match verdict {
            Verdict::Matched => match when {
                Some(when) => (true, format!("it takes {kind}, and `{when}` holds")),
                None => (true, format!("it takes {kind}")),
            },
            Verdict::OtherType => (false, format!("it takes {}, not {kind}", info.on.join(", "))),
            Verdict::NotMatched => (false, format!("`{}` does not hold", when.unwrap_or_default())),
            Verdict::Failed(reason) => (true, format!("{reason}; its job waits for a person")),
        };
        Shown { route: route.name.clone(), matches, reason }
    });
    Ok(page::whole(shown.collect()))
}

#[cfg(test)]
mod tests {
    use crate::http::testing::{admin, assert_refused, call, event, event_id, get, read_json};

    #[tokio::test]
    async fn every_route_is_told_with_its_reason() {
        let admin = admin(|store| store.events = vec![event(1)]);
        let path = format!("/api/v1/events/{}/routes", event_id(1));
        let shown = read_json(call(&admin.router, get(&path)).await).await;
        assert_eq!(shown["data"][0]["route"], "greeter");
        assert_eq!(shown["data"][0]["matches"], true);
        assert_eq!(shown["data"][0]["reason"], "it takes message.received");
        assert_refused(
            call(&admin.router, get(&format!("/api/v1/events/{}/routes", event_id(2)))).await,
            404,
        )
        .await;
    }
}
