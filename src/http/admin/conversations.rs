//! Conversations: lists with their windows, and one with what was said.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::parameters::{one_of, party, text};
use super::document::refusals::{BadQuery, NotFound, Unavailable};
use super::page::{self, List, Paging};
use super::path::PathId;
use super::query::Query;
use crate::connectly::event::content::Content;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::conversation::ConversationView;
use crate::model::id::{ConversationId, ConversationTag, EventId, MessageId};
use crate::model::message;
use crate::store::query::{ConversationFilter, ConversationOrder, ConversationPlace};
use crate::store::talk::{Said, talk};

type Conversations = List<ConversationView>;

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(one))
}

/// One conversation with a page of what was said, in the order of time; `next` leads to what was said before.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationDetails)]
struct Detailed {
    #[serde(flatten)]
    conversation: ConversationView,
    /// What was said, the oldest first.
    timeline: Vec<Entry>,
    /// What `cursor` takes to get what was said before; null when this is the beginning.
    #[schema(required)]
    next: Option<String>,
}

/// One thing that was said.
#[derive(Serialize, ToSchema)]
#[schema(as = Said)]
struct Entry {
    /// When it was said.
    at: Timestamp,
    /// `in` from the customer, `out` to them.
    #[schema(pattern = "^(in|out)$")]
    direction: &'static str,
    /// The event that brought it, when it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    /// The message that took it, when it went out.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    /// What was said: of the customer as events have it, of the business as Connectly's `message` object. Absent when it is
    /// not known any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    content: Option<Words>,
    /// How far it got, when it went out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = message::state)]
    state: Option<String>,
}

/// A customer's content as in events, ours as Connectly's `message` object.
#[derive(Serialize)]
#[serde(untagged)]
enum Words {
    Theirs(Box<Content>),
    Ours(Value),
}

impl From<Said> for Entry {
    fn from(said: Said) -> Self {
        let at = said.at();
        match said {
            Said::In(event) => Self {
                at,
                direction: "in",
                event_id: Some(event.id),
                message_id: None,
                content: event
                    .content()
                    .filter(|_| !event.body_purged)
                    .cloned()
                    .map(|content| Words::Theirs(Box::new(content))),
                state: None,
            },
            Said::Out(message) => Self {
                at,
                direction: "out",
                event_id: None,
                message_id: Some(message.id),
                content: message.content.map(Words::Ours),
                state: Some(message.state),
            },
        }
    }
}

impl IntoParams for ConversationFilter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let order = "`newest` (unless said otherwise): the newest conversation first. `closing`: the open window that closes \
            soonest first.";
        let open = "Whether the window is open. Beside `order=closing` it can only be true.";
        vec![
            one_of("order", &["newest", "closing"], order),
            one_of("open", &["true", "false"], open),
            text("account", "The account that conversations belong to."),
            party("customer", "The customer: a phone number, a user id, or our id."),
            party("business", "The number of the business."),
        ]
    }
}

fn filter(query: &mut Query) -> Result<ConversationFilter, Problem> {
    let order = query.one_of("order", &["newest", "closing"], |name| match name {
        "newest" => Some(ConversationOrder::Newest),
        "closing" => Some(ConversationOrder::Closing),
        _ => None,
    })?;
    let order = order.unwrap_or_default();
    let open = query.one_of("open", &["true", "false"], |value| value.parse().ok())?;
    if order == ConversationOrder::Closing && open == Some(false) {
        return Err(Problem::parameter(
            "open",
            "true beside `order=closing`: a closed window closes no more",
        ));
    }
    Ok(ConversationFilter {
        account: query.text("account")?,
        customer: query.party("customer")?,
        business: query.party("business")?,
        open: open.or((order == ConversationOrder::Closing).then_some(true)),
        order,
    })
}

/// Conversations with their windows, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/conversations",
    operation_id = "list_conversations",
    tag = "conversations",
    params(ConversationFilter, Paging),
    responses((status = 200, description = "A page of conversations.", body = Conversations), BadQuery, Unavailable),
)]
async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let filter = filter(&mut query)?;
    let requested = page::requested(&mut query)?;
    query.finish()?;
    let fits = requested.before.is_none_or(|place| match place {
        ConversationPlace::Newest(_) => filter.order == ConversationOrder::Newest,
        ConversationPlace::Closing(..) => filter.order == ConversationOrder::Closing,
    });
    if !fits {
        return Err(Problem::parameter("cursor", "what `next` of a page in the same order was"));
    }
    let conversations = state.store.conversations(&filter, requested).await?;
    let now = state.clock.now();
    let place = |shown: &ConversationView| match (filter.order, shown.last_inbound_at) {
        (ConversationOrder::Closing, Some(at)) => ConversationPlace::Closing(at, shown.id),
        (ConversationOrder::Closing, None) | (ConversationOrder::Newest, _) => {
            ConversationPlace::Newest(shown.id)
        }
    };
    let shown = conversations.map(|conversation| conversation.view(now, state.window_margin));
    Ok(page::answer(shown, place))
}

/// One conversation with a page of what was said.
///
/// Without `cursor` it is the newest page; `next` leads to what was said before.
#[utoipa::path(
    get,
    path = "/api/v1/conversations/{id}",
    operation_id = "get_conversation",
    tag = "conversations",
    params(("id" = ConversationId, Path, description = "The conversation's id."), Paging),
    responses(
        (status = 200, description = "The conversation.", body = Detailed),
        BadQuery,
        NotFound,
        Unavailable,
    ),
)]
async fn one(
    State(state): State<AdminState>,
    PathId(id): PathId<ConversationTag>,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let requested = page::requested(&mut query)?;
    query.finish()?;
    let conversation = state.store.conversation(id).await?.ok_or_else(Problem::not_found)?;
    let said = talk(state.store.as_ref(), conversation.id, requested).await?;
    let next = page::next(&said, Said::id);
    let timeline = said.data.into_iter().rev().map(Entry::from).collect();
    let conversation = conversation.view(state.clock.now(), state.window_margin);
    Ok(json::answer(&Detailed { conversation, timeline, next }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{
        admin, assert_refused, call, conversation, conversation_id, event, event_id, get, message,
        message_id, read_json,
    };

    #[tokio::test]
    async fn conversations_are_listed_with_their_windows() {
        let admin = admin(|store| store.conversations = vec![conversation(1), conversation(2)]);
        let path =
            "/api/v1/conversations?account=shop&customer=15550100001&business=15550100002&open=false&limit=1";
        let listed = read_json(call(&admin.router, get(path)).await).await;
        let first = &listed["data"][0];
        assert_eq!(first["id"], conversation_id(2).to_string());
        assert_eq!(first["window"]["open"], false);
        assert_eq!(first["window"]["closes_at"], "2026-01-02T00:00:00Z");
        assert_eq!(first["customer"]["phone"], "+15550100001");
        assert!(listed["next"].is_string());
        let filter = admin.store.conversation_filter.lock().unwrap().clone().unwrap();
        assert_eq!(filter.account.as_deref(), Some("shop"));
        assert_eq!(filter.customer.as_deref(), Some("+15550100001"));
        assert_eq!(filter.business.as_deref(), Some("+15550100002"));
        assert_eq!((filter.open, filter.order), (Some(false), ConversationOrder::Newest));
    }

    #[tokio::test]
    async fn a_page_by_closing_time_leads_to_the_next_and_to_no_other() {
        let admin = admin(|store| store.conversations = vec![conversation(1), conversation(2)]);
        let path = "/api/v1/conversations?order=closing&limit=1";
        let first = read_json(call(&admin.router, get(path)).await).await;
        let next = first["next"].as_str().unwrap();
        let second = read_json(call(&admin.router, get(&format!("{path}&cursor={next}"))).await).await;
        assert_eq!(second["data"][0]["id"], conversation_id(1).to_string());
        let filter = admin.store.conversation_filter.lock().unwrap().clone().unwrap();
        assert_eq!(filter.open, Some(true), "only an open window will close");
        let other = call(&admin.router, get(&format!("/api/v1/conversations?cursor={next}"))).await;
        assert_eq!(assert_refused(other, 400).await["parameter"], "cursor");
    }

    #[tokio::test]
    async fn one_shows_what_was_said_in_the_order_of_time() {
        let admin = admin(|store| {
            store.conversations = vec![conversation(1)];
            store.events = vec![event(1), event(3)];
            store.messages = vec![message(2), message(4)];
        });
        let path = format!("/api/v1/conversations/{}", conversation_id(1));
        let shown = read_json(call(&admin.router, get(&format!("{path}?limit=3"))).await).await;
        let timeline = shown["timeline"].as_array().unwrap();
        assert_eq!(timeline.len(), 3);
        assert_eq!(timeline[0]["message_id"], message_id(2).to_string());
        assert_eq!(
            (&timeline[0]["direction"], &timeline[0]["state"]),
            (&"out".into(), &"unconfirmed".into())
        );
        assert_eq!(timeline[0]["content"]["text"], "hello");
        assert_eq!(timeline[1]["event_id"], event_id(3).to_string());
        assert_eq!(
            (&timeline[1]["direction"], &timeline[1]["content"]["kind"]),
            (&"in".into(), &"text".into())
        );
        let next = shown["next"].as_str().unwrap();
        let before = read_json(call(&admin.router, get(&format!("{path}?cursor={next}"))).await).await;
        assert_eq!(before["timeline"][0]["event_id"], event_id(1).to_string());
        assert!(before["next"].is_null());
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_refused() {
        let admin = admin(|_| {});
        for (query, parameter) in [
            ("order=oldest", "order"),
            ("open=yes", "open"),
            ("order=closing&open=false", "open"),
            ("cursor=x", "cursor"),
            ("type=message.sent", "type"),
        ] {
            let response = call(&admin.router, get(&format!("/api/v1/conversations?{query}"))).await;
            assert_eq!(assert_refused(response, 400).await["parameter"], parameter, "{query}");
        }
        let unknown = format!("/api/v1/conversations/{}", conversation_id(1));
        assert_refused(call(&admin.router, get(&unknown)).await, 404).await;
    }
}
