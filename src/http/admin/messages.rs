//! Messages: lists, one with its timeline, and settling what nobody knows.

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;

use super::AdminState;
use super::body::{Fields, JsonBody, RequestBody};
use super::page;
use super::path::PathMessageId;
use super::query::Query;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::message::{Message, Origin, STATES, TimelineEntry};
use crate::store::query::MessageFilter;
use crate::store::work::Resolution;

/// One message with what became of it.
#[derive(Serialize)]
struct Detailed {
    #[serde(flatten)]
    message: Message,
    timeline: Vec<TimelineEntry>,
}

/// What a person found out about a message.
struct Resolve {
    sent: bool,
}

impl RequestBody for Resolve {
    const TAKES: &'static str = "it takes {\"sent\": true} or {\"sent\": false}";

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { sent: fields.boolean("sent")? })
    }
}

pub(super) fn router() -> Router<AdminState> {
    Router::new()
        .route("/api/v1/messages", get(list))
        .route("/api/v1/messages/{id}", get(one))
        .route("/api/v1/messages/{id}/resolve", post(resolve))
}

fn filter(query: &mut Query) -> Result<MessageFilter, Problem> {
    let origins = [Origin::Reply, Origin::Api, Origin::Observed].map(Origin::as_str);
    let among = |names: &[&str], value: &str| names.contains(&value).then(|| value.to_owned());
    Ok(MessageFilter {
        account: query.text("account")?,
        conversation: None,
        customer: query.party("customer")?,
        business: query.party("business")?,
        error_code: query.text("error_code")?,
        campaign: query.text("campaign")?,
        callback_data: query.callback_data()?,
        provider_message_id: query.provider_message_id("provider_message_id")?,
        state: query.one_of("state", &STATES, |value| among(&STATES, value))?,
        origin: query.one_of("origin", &origins, |value| among(&origins, value))?,
        since: query.time("since")?,
        until: query.time("until")?,
    })
}

async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let filter = filter(&mut query)?;
    let requested = page::requested(&mut query)?;
    query.finish()?;
    let messages = state.store.messages(&filter, requested).await?;
    Ok(page::answer(messages, |message| message.id))
}

async fn one(State(state): State<AdminState>, PathMessageId(id): PathMessageId) -> Result<Response, Problem> {
    let (message, timeline) = state.store.message(&id).await?.ok_or_else(Problem::not_found)?;
    Ok(json::answer(&Detailed { message, timeline }))
}

/// The message as it is afterwards; 409 unless it was `unconfirmed`.
async fn resolve(
    State(state): State<AdminState>,
    PathMessageId(id): PathMessageId,
    JsonBody(Resolve { sent }): JsonBody<Resolve>,
) -> Result<Response, Problem> {
    let (message, _timeline) = state.store.message(&id).await?.ok_or_else(Problem::not_found)?;
    let resolution = if sent { Resolution::Sent } else { Resolution::NotSent };
    let message = state.store.resolve(message.id, resolution).await?;
    Ok(json::answer(&message))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};

    use super::*;
    use crate::http::testing::{admin, assert_refused, call, get, message, message_id, read_json, request};
    use crate::store::StoreError;

    fn resolution(id: &str, body: impl Into<Body>) -> Request<Body> {
        let mut request = request(Method::POST, &format!("/api/v1/messages/{id}/resolve"));
        *request.body_mut() = body.into();
        request
    }

    #[tokio::test]
    async fn messages_come_in_pages_and_are_filtered() {
        let admin = admin(|store| store.messages = vec![message(1), message(2)]);
        let path = "/api/v1/messages?limit=1&account=shop&customer=15550100001&business=15550100002&state=read&origin=reply";
        let listed = read_json(call(&admin.router, get(path)).await).await;
        assert_eq!(listed["data"][0]["id"], message_id(2).to_string());
        assert!(listed["next"].is_string());
        let filter = admin.store.message_filter.lock().unwrap().clone().unwrap();
        assert_eq!(filter.account.as_deref(), Some("shop"));
        assert_eq!(filter.customer.as_deref(), Some("+15550100001"));
        assert_eq!((filter.state.as_deref(), filter.origin.as_deref()), (Some("read"), Some("reply")));
    }

    #[tokio::test]
    async fn a_bad_query_is_400_and_names_the_parameter() {
        let admin = admin(|_| {});
        for (query, parameter) in [
            ("state=gone", "state"),
            ("origin=me", "origin"),
            ("type=message.sent", "type"),
            ("provider_message_id=", "provider_message_id"),
        ] {
            let response = call(&admin.router, get(&format!("/api/v1/messages?{query}"))).await;
            assert_eq!(assert_refused(response, 400).await["parameter"], parameter, "{query}");
        }
    }

    #[tokio::test]
    async fn a_message_is_found_by_either_spelling_and_shows_its_timeline() {
        let admin = admin(|store| store.messages = vec![message(1)]);
        let uuid = uuid::Uuid::from_u128(message_id(1).ulid().0).to_string();
        for id in [message_id(1).to_string(), uuid] {
            let shown = read_json(call(&admin.router, get(&format!("/api/v1/messages/{id}"))).await).await;
            assert_eq!(shown["id"], message_id(1).to_string());
            assert_eq!(shown["callback_data"]["order_id"], "12345");
            assert_eq!(shown["timeline"][0]["state"], "queued");
        }
    }

    #[tokio::test]
    async fn what_a_person_found_out_settles_a_message() {
        let admin = admin(|store| store.messages = vec![message(1)]);
        let id = message_id(1).to_string();
        for (body, expected) in
            [("{\"sent\": true}", Resolution::Sent), ("{\"sent\": false}", Resolution::NotSent)]
        {
            let response = call(&admin.router, resolution(&id, body)).await;
            assert_eq!(read_json(response).await["id"], id);
            assert_eq!(*admin.store.resolved.lock().unwrap(), Some((message_id(1), expected)));
        }
    }

    #[tokio::test]
    async fn a_resolution_that_cannot_be_is_refused() {
        let admin = admin(|store| {
            store.messages = vec![message(1)];
            store.fails_to_change = Some(|| StoreError::Conflict("the message is not unconfirmed"));
        });
        let id = message_id(1).to_string();
        for body in ["", "true", "sent"] {
            assert_refused(call(&admin.router, resolution(&id, body)).await, 400).await;
        }
        for (body, field) in
            [("{}", "sent"), ("{\"sent\": 1}", "sent"), ("{\"sent\": true, \"why\": \"\"}", "why")]
        {
            let problem = assert_refused(call(&admin.router, resolution(&id, body)).await, 422).await;
            assert_eq!(problem["parameter"], field, "{body}");
        }
        assert_refused(call(&admin.router, resolution(&id, vec![b' '; (1 << 20) + 1])).await, 413).await;
        assert_refused(call(&admin.router, resolution("7", "{\"sent\": true}")).await, 404).await;
        let conflict =
            assert_refused(call(&admin.router, resolution(&id, "{\"sent\": true}")).await, 409).await;
        assert_eq!(conflict["detail"], "the message is not unconfirmed");
    }
}
