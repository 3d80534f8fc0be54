//! Messages: lists, one with its timeline, and settling what nobody knows.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Fields, JsonBody, RequestBody};
use super::document::parameters::{self, callback_data, one_of, party, provider_message_id, text, time};
use super::document::refusals::{BadBody, BadQuery, Conflict, NotFound, Unavailable};
use super::page::{self, List, Paging};
use super::path::PathMessageId;
use super::query::{NoQuery, Query};
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::message::{Message, Origin, STATES, TimelineEntry};
use crate::store::query::MessageFilter;
use crate::store::work::Resolution;

/// One message with what became of it.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageDetails)]
struct Detailed {
    #[serde(flatten)]
    message: Message,
    /// What became of it, step by step.
    timeline: Vec<TimelineEntry>,
}

/// What a person found out about a message.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct Resolve {
    /// Whether it was sent.
    sent: bool,
}

impl RequestBody for Resolve {
    const TAKES: &'static str = "it takes {\"sent\": true} or {\"sent\": false}";

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { sent: fields.boolean("sent")? })
    }
}

/// Where messages come from.
const ORIGINS: [&str; 3] = [Origin::Reply.as_str(), Origin::Api.as_str(), Origin::Observed.as_str()];

/// The message that a request is about.
struct Named;

type Messages = List<Message>;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(one)).routes(routes!(resolve))
}

impl IntoParams for Named {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = "The message's id, ours or Connectly's in either spelling, ULID or UUID.";
        vec![parameters::name_in_path("id", id)]
    }
}

impl IntoParams for MessageFilter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            text("account", "The account that messages belong to."),
            party("customer", "The customer: a phone number, a user id, or our id."),
            party("business", "The number of the business."),
            text("error_code", "The code of the failure."),
            text("campaign", "The campaign's name."),
            callback_data(),
            provider_message_id("Connectly's id of any of the message's sends."),
            one_of("state", &STATES, "How far messages got."),
            one_of("origin", &ORIGINS, "Where messages come from."),
            time("since", "Made at this time or later."),
            time("until", "Made before this time."),
        ]
    }
}

fn filter(query: &mut Query) -> Result<MessageFilter, Problem> {
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
        origin: query.one_of("origin", &ORIGINS, |value| among(&ORIGINS, value))?,
        since: query.time("since")?,
        until: query.time("until")?,
    })
}

/// Messages, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/messages",
    operation_id = "list_messages",
    tag = "messages",
    params(MessageFilter, Paging),
    responses((status = 200, description = "A page of messages.", body = Messages), BadQuery, Unavailable),
)]
async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let filter = filter(&mut query)?;
    let requested = page::requested(&mut query)?;
    query.finish()?;
    let messages = state.store.messages(&filter, requested).await?;
    Ok(page::answer(messages, |message| message.id))
}

/// One message with what became of it.
#[utoipa::path(
    get,
    path = "/api/v1/messages/{id}",
    operation_id = "get_message",
    tag = "messages",
    params(Named),
    responses((status = 200, description = "The message.", body = Detailed), BadQuery, NotFound, Unavailable),
)]
async fn one(
    State(state): State<AdminState>,
    PathMessageId(id): PathMessageId,
    NoQuery: NoQuery,
) -> Result<Response, Problem> {
    let (message, timeline) = state.store.message(&id).await?.ok_or_else(Problem::not_found)?;
    Ok(json::answer(&Detailed { message, timeline }))
}

/// Settles whether an unconfirmed message was sent.
///
/// It is for a person who has looked: Switchboard never sends such a message again of its own accord.
#[utoipa::path(
    post,
    path = "/api/v1/messages/{id}/resolve",
    operation_id = "resolve_message",
    tag = "messages",
    params(Named),
    request_body = Resolve,
    responses(
        (status = 200, description = "The message as it is now.", body = Message),
        BadBody,
        NotFound,
        Conflict,
        Unavailable,
    ),
)]
async fn resolve(
    State(state): State<AdminState>,
    PathMessageId(id): PathMessageId,
    NoQuery: NoQuery,
    JsonBody(Resolve { sent }): JsonBody<Resolve>,
) -> Result<Response, Problem> {
    let (message, _timeline) = state.store.message(&id).await?.ok_or_else(Problem::not_found)?;
    let resolution = if sent { Resolution::Sent } else { Resolution::NotSent };
    let message = state.store.resolve(message.id, resolution).await?;
    state.sends.notify_one();
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
            assert!(admin.has_called_for_sends());
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
