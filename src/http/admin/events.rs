//! Stored events: lists, one event, its bytes.

use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::parameters::{callback_data, one_of, party, provider_message_id, text, time};
use super::document::refusals::{BadQuery, BodyPurged, NotFound, Unavailable};
use super::page::{self, List, Paging};
use super::path::PathId;
use super::query::{NoQuery, Query};
use crate::connectly::event::status::Status;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::event::{Event, EventType};
use crate::model::id::{EventId, EventTag};
use crate::store::query::{EventFilter, StoredBody};

type Events = List<Event>;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(one)).routes(routes!(body))
}

impl IntoParams for EventFilter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            text("account", "The account that events were delivered to."),
            one_of("type", &EventType::ALL.map(EventType::as_str), "The type of event."),
            party("customer", "The customer: a phone number, a user id, or our id."),
            party("business", "The number of the business."),
            provider_message_id(
                "Connectly's id: of the message that a status is about, else of what arrived.",
            ),
            one_of("status", &Status::ALL.map(Status::as_str), "The status that events report."),
            text("error_code", "The code of the failure that events report."),
            text("campaign", "The campaign's name."),
            callback_data(),
            time("since", "Received at this time or later."),
            time("until", "Received before this time."),
        ]
    }
}

/// Which events a query asks for.
pub(super) fn filter(query: &mut Query) -> Result<EventFilter, Problem> {
    Ok(EventFilter {
        account: query.text("account")?,
        event_type: query.one_of("type", &EventType::ALL.map(EventType::as_str), EventType::parse)?,
        conversation: None,
        customer: query.party("customer")?,
        business: query.party("business")?,
        provider_message_id: query.provider_message_id("provider_message_id")?,
        status: query.one_of("status", &Status::ALL.map(Status::as_str), |name| {
            Status::ALL.into_iter().find(|status| status.as_str() == name)
        })?,
        error_code: query.text("error_code")?,
        campaign: query.text("campaign")?,
        callback_data: query.callback_data()?,
        since: query.time("since")?,
        until: query.time("until")?,
    })
}

/// Events, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "list_events",
    tag = "events",
    params(EventFilter, Paging),
    responses((status = 200, description = "A page of events.", body = Events), BadQuery, Unavailable),
)]
async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let filter = filter(&mut query)?;
    let requested = page::requested(&mut query)?;
    query.finish()?;
    let events = state.store.events(&filter, requested).await?;
    Ok(page::answer(events, |event| event.id))
}

/// One event.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}",
    operation_id = "get_event",
    tag = "events",
    params(("id" = EventId, Path, description = "The event's id.")),
    responses((status = 200, description = "The event.", body = Event), BadQuery, NotFound, Unavailable),
)]
async fn one(
    State(state): State<AdminState>,
    PathId(id): PathId<EventTag>,
    NoQuery: NoQuery,
) -> Result<Response, Problem> {
    let event = state.store.event(id).await?.ok_or_else(Problem::not_found)?;
    Ok(json::answer(&event))
}

/// The bytes of one event as they were signed, as a file.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}/body",
    operation_id = "get_event_body",
    tag = "events",
    params(("id" = EventId, Path, description = "The event's id.")),
    responses(
        (
            status = 200,
            description = "The bytes; mostly JSON, but they came from outside.",
            body = Value,
            content_type = "application/octet-stream",
            headers(("content-disposition" = String, description = "An attachment: no browser may take it for a page.")),
        ),
        BadQuery,
        NotFound,
        BodyPurged,
        Unavailable,
    ),
)]
async fn body(
    State(state): State<AdminState>,
    PathId(id): PathId<EventTag>,
    NoQuery: NoQuery,
) -> Result<Response, Problem> {
    match state.store.event_body(id).await?.ok_or_else(Problem::not_found)? {
        StoredBody::Purged(_) => Err(Problem::body_purged()),
        StoredBody::Kept(bytes) => {
            let disposition = format!("attachment; filename=\"{id}\"");
            let kind = "application/octet-stream".to_owned();
            Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, disposition)], bytes).into_response())
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::http::testing::{
        admin, assert_refused, call, event, event_id, get, header, read_json, read_text,
    };
    use crate::store::StoreError;

    #[tokio::test]
    async fn events_come_newest_first_in_pages() {
        let admin = admin(|store| store.events = (1..=3).map(event).collect());
        let first = read_json(call(&admin.router, get("/api/v1/events?limit=2")).await).await;
        assert_eq!(first["data"][0]["id"], event_id(3).to_string());
        assert_eq!(first["data"][1]["id"], event_id(2).to_string());
        let cursor = first["next"].as_str().unwrap();
        let second =
            read_json(call(&admin.router, get(&format!("/api/v1/events?cursor={cursor}"))).await).await;
        assert_eq!(second["data"][0]["id"], event_id(1).to_string());
        assert!(second["next"].is_null());
    }

    #[tokio::test]
    async fn every_filter_reaches_the_store() {
        let admin = admin(|_| {});
        let path = "/api/v1/events?account=shop&type=message.received&customer=15550100001&business=%2B15550100002\
            &provider_message_id=019a3f00-0000-0000-0000-000000000001&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z";
        assert_eq!(call(&admin.router, get(path)).await.status(), 200);
        let filter = admin.store.event_filter.lock().unwrap().clone().unwrap();
        assert_eq!(filter.account.as_deref(), Some("shop"));
        assert_eq!(filter.event_type, Some(EventType::MessageReceived));
        assert_eq!(filter.customer.as_deref(), Some("+15550100001"));
        assert_eq!(filter.business.as_deref(), Some("+15550100002"));
        assert_eq!(filter.provider_message_id.as_deref(), Some("01K8ZG00000000000000000001"));
        assert_eq!(filter.since.unwrap().to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(filter.until.unwrap().to_string(), "2026-01-02T00:00:00Z");
    }

    #[tokio::test]
    async fn a_bad_query_is_400_and_names_the_parameter() {
        let admin = admin(|_| {});
        for (query, parameter) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=ten", "limit"),
            ("cursor=x", "cursor"),
            ("type=message", "type"),
            ("since=yesterday", "since"),
            ("until=2026-13-01T00:00:00Z", "until"),
            ("account=", "account"),
            ("colour=red", "colour"),
            ("limit=1&limit=1", "limit"),
        ] {
            let response = call(&admin.router, get(&format!("/api/v1/events?{query}"))).await;
            let problem = assert_refused(response, 400).await;
            assert_eq!(problem["parameter"], parameter, "{query}");
        }
        assert!(admin.store.event_filter.lock().unwrap().is_none(), "nothing was asked of the store");
    }

    #[tokio::test]
    async fn one_event_is_shown_as_everywhere() {
        let admin = admin(|store| store.events = vec![event(1)]);
        let shown =
            read_json(call(&admin.router, get(&format!("/api/v1/events/{}", event_id(1)))).await).await;
        assert_eq!(shown, serde_json::to_value(event(1)).unwrap());
    }

    #[tokio::test]
    async fn what_is_not_there_is_404() {
        let admin = admin(|_| {});
        for path in [
            "events/01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z",
            "events/7",
            "events/%ff",
            "events/7/body",
            "nothing",
            "events/",
        ] {
            let response = call(&admin.router, get(&format!("/api/v1/{path}"))).await;
            assert_eq!(assert_refused(response, 404).await["type"], "/problems/not-found", "{path}");
        }
    }

    #[tokio::test]
    async fn the_bytes_come_as_they_were_signed() {
        let bytes = Bytes::from_static(b"<script>\xff");
        let admin = admin(|store| store.bodies = vec![(event_id(1), StoredBody::Kept(bytes.clone()))]);
        let response = call(&admin.router, get(&format!("/api/v1/events/{}/body", event_id(1)))).await;
        assert_eq!(header(&response, "content-type"), "application/octet-stream");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert!(header(&response, "content-disposition").starts_with("attachment"));
        assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), bytes);
    }

    #[tokio::test]
    async fn a_purged_body_is_410() {
        let admin = admin(|store| store.bodies = vec![(event_id(1), StoredBody::Purged(event_id(1)))]);
        let response = call(&admin.router, get(&format!("/api/v1/events/{}/body", event_id(1)))).await;
        assert_eq!(assert_refused(response, 410).await["type"], "/problems/body-purged");
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_503_and_says_nothing_of_itself() {
        let admin =
            admin(|store| store.fails = Some(|| StoreError::Unavailable("host db.internal".to_owned())));
        let response = call(&admin.router, get("/api/v1/events")).await;
        assert_eq!(response.status(), 503);
        assert_eq!(header(&response, "retry-after"), "5");
        assert!(!read_text(response).await.contains("db.internal"));
    }
}
