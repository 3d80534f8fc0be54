//! Conversations: lists with their windows, and one with what was said.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::AdminState;
use super::page;
use super::path::PathId;
use super::query::Query;
use crate::connectly::event::content::Content;
use crate::http::json;
use crate::http::problem::Problem;
use crate::model::conversation::{Conversation, WindowView};
use crate::model::event::{BusinessNumber, Customer};
use crate::model::id::{ConversationId, ConversationTag, EventId, MessageId};
use crate::store::query::{ConversationFilter, ConversationOrder, ConversationPlace};
use crate::store::talk::{Said, talk};

pub(super) fn router() -> Router<AdminState> {
    Router::new().route("/api/v1/conversations", get(list)).route("/api/v1/conversations/{id}", get(one))
}

/// A conversation as it is now.
#[derive(Serialize)]
pub(super) struct Shown {
    id: ConversationId,
    account: String,
    business: BusinessNumber,
    customer: Customer,
    window: WindowView,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_inbound_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opted_out_at: Option<Timestamp>,
}

impl Shown {
    pub(super) fn of(conversation: Conversation, now: Timestamp, margin: Duration) -> Self {
        Self {
            id: conversation.id,
            account: conversation.account,
            business: conversation.business,
            customer: conversation.customer,
            window: conversation.window.view(now, margin),
            last_inbound_at: conversation.window.last_inbound_at,
            opted_out_at: conversation.opted_out_at,
        }
    }
}

/// One conversation with a page of what was said, in the order of time; `next` leads to what was said before.
#[derive(Serialize)]
struct Detailed {
    #[serde(flatten)]
    conversation: Shown,
    timeline: Vec<Entry>,
    next: Option<String>,
}

/// One thing that was said.
#[derive(Serialize)]
struct Entry {
    at: Timestamp,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Words>,
    #[serde(skip_serializing_if = "Option::is_none")]
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
    let place = |shown: &Shown| match (filter.order, shown.last_inbound_at) {
        (ConversationOrder::Closing, Some(at)) => ConversationPlace::Closing(at, shown.id),
        (ConversationOrder::Closing, None) | (ConversationOrder::Newest, _) => {
            ConversationPlace::Newest(shown.id)
        }
    };
    let shown = conversations.map(|conversation| Shown::of(conversation, now, state.window_margin));
    Ok(page::answer(shown, place))
}

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
    let conversation = Shown::of(conversation, state.clock.now(), state.window_margin);
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
