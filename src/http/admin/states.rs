//! What handlers keep: one JSON for each route and conversation.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::refusals::{BadQuery, NotFound, Unavailable};
use super::path::PathLane;
use super::query::NoQuery;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::id::ConversationId;
use crate::model::state::HandlerState;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(show, clear))
}

/// What a route's handler keeps for a conversation.
///
/// The handler gets it with the next event and may replace it.
#[utoipa::path(
    get,
    path = "/api/v1/conversations/{id}/state/{route}",
    operation_id = "get_handler_state",
    tag = "conversations",
    params(
        ("id" = ConversationId, Path, description = "The conversation's id, or that of one that was merged into it."),
        ("route" = String, Path, min_length = 1, description = "The route's name, also of one that is no longer configured."),
    ),
    responses((status = 200, description = "The state.", body = HandlerState), BadQuery, NotFound, Unavailable),
)]
async fn show(
    State(state): State<AdminState>,
    PathLane(id, route): PathLane,
    NoQuery: NoQuery,
) -> Result<Response, Problem> {
    let kept = state.store.state(id, &route).await?.ok_or_else(Problem::not_found)?;
    Ok(json::answer(&kept))
}

/// Removes what a route's handler keeps for a conversation.
///
/// The next event finds none. A job that is under way has it still, and may write it anew when it is done.
#[utoipa::path(
    delete,
    path = "/api/v1/conversations/{id}/state/{route}",
    operation_id = "clear_handler_state",
    tag = "conversations",
    params(
        ("id" = ConversationId, Path, description = "The conversation's id, or that of one that was merged into it."),
        ("route" = String, Path, min_length = 1, description = "The route's name, also of one that is no longer configured."),
    ),
    responses((status = 204, description = "It is gone."), BadQuery, NotFound, Unavailable),
)]
async fn clear(
    State(state): State<AdminState>,
    PathLane(id, route): PathLane,
    NoQuery: NoQuery,
) -> Result<StatusCode, Problem> {
    if !state.store.clear_state(id, &route).await? {
        return Err(Problem::not_found());
    }
    tracing::info!(conversation.id = %id, route.name = %route, "a handler's state was cleared");
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use crate::http::testing::{
        admin, assert_refused, call, conversation_id, get, read_text, request, state,
    };
    use crate::store::StoreError;

    fn path(number: u64, route: &str) -> String {
        format!("/api/v1/conversations/{}/state/{route}", conversation_id(number))
    }

    #[tokio::test]
    async fn a_state_is_shown_as_it_is_kept() {
        let admin = admin(|store| store.states = vec![state(1, "greeter")].into());
        let shown = read_text(call(&admin.router, get(&path(1, "greeter"))).await).await;
        let expected = format!(
            r#"{{"route":"greeter","conversation_id":"{}","state":{{"step":2}},"updated_at":"2026-01-01T00:00:00.001Z"}}"#,
            conversation_id(1)
        );
        assert_eq!(shown, expected);
    }

    #[tokio::test]
    async fn a_state_is_cleared_once() {
        let admin = admin(|store| store.states = vec![state(1, "greeter"), state(1, "audit")].into());
        let clear = || request(Method::DELETE, &path(1, "greeter"));
        let cleared = call(&admin.router, clear()).await;
        assert_eq!(cleared.status(), 204);
        assert_eq!(read_text(cleared).await, "");
        assert_refused(call(&admin.router, clear()).await, 404).await;
        assert_refused(call(&admin.router, get(&path(1, "greeter"))).await, 404).await;
        assert_eq!(call(&admin.router, get(&path(1, "audit"))).await.status(), 200);
    }

    #[tokio::test]
    async fn what_can_be_nowhere_is_not_found_and_nothing_else_is_asked() {
        let admin = admin(|store| store.states = vec![state(1, "greeter")].into());
        for path in [path(2, "greeter"), path(1, "%00"), "/api/v1/conversations/7/state/greeter".to_owned()] {
            for method in [Method::GET, Method::DELETE] {
                assert_refused(call(&admin.router, request(method, &path)).await, 404).await;
            }
        }
        let asked = call(&admin.router, get(&(path(1, "greeter") + "?limit=1"))).await;
        assert_eq!(assert_refused(asked, 400).await["parameter"], "limit");
        assert_refused(call(&admin.router, request(Method::POST, &path(1, "greeter"))).await, 405).await;
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_503() {
        let admin = admin(|store| store.fails_to_change = Some(|| StoreError::Unavailable(String::new())));
        assert_refused(call(&admin.router, request(Method::DELETE, &path(1, "greeter"))).await, 503).await;
    }
}
