//! Messages: by any id, with their timelines, and in lists.

use rstest::rstest;
use serde_json::json;
use switchboard::model::callback::CallbackKey;
use switchboard::model::id::MessageId;
use switchboard::model::message::Origin;
use switchboard::model::outcome::Reply;
use switchboard::store::query::{MessageFilter, PageRequest};
use switchboard::store::work::Answer;

use super::{ID, SECOND, newest_first};
use crate::support::Backend;
use crate::support::arrivals::{BEN, BRANCH, SHOP, echo, inbound, status};
use crate::support::depot::{Depot, REFUSED, ROUTE, first, refusal, say};

/// How many messages a filter finds.
async fn count(depot: &Depot, filter: MessageFilter) -> usize {
    depot.store.messages(&filter, first(200)).await.unwrap().data.len()
}

#[rstest]
#[tokio::test]
async fn a_message_is_found_by_any_of_its_ids(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.send(ID).await;
    let uuid = |id: ulid::Ulid| uuid::Uuid::from_u128(id.0).to_string();
    let provider = ulid::Ulid::from_string(ID).unwrap();
    let ids = [
        message.to_string(),
        ID.to_owned(),
        ID.to_lowercase(),
        uuid(provider),
        uuid(provider).to_uppercase(),
    ];
    for id in ids {
        let found = depot.store.message(&id).await.unwrap();
        assert_eq!(found.map(|(found, _)| found.id), Some(message), "by {id}");
    }
    depot.accept(status(&depot.clock, "wamid.X=", "sent")).await;
    assert!(depot.store.message("wamid.X=").await.unwrap().is_some());
    assert!(depot.store.message("").await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn a_messages_timeline_is_in_the_order_of_time(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.send(ID).await;
    let mut posts = Vec::new();
    for word in ["sent", "delivered", "read"] {
        depot.pass(10 * SECOND);
        posts.push(status(&depot.clock, ID, word));
    }
    posts.reverse();
    let mut events: Vec<_> =
        depot.accept_all(posts).await.into_iter().map(|receipt| Some(receipt.id)).collect();
    events.reverse();
    let timeline = depot.message(message).await.1;
    let states: Vec<_> = timeline.iter().map(|entry| entry.state.as_str()).collect();
    assert_eq!(states, ["queued", "accepted", "sent", "delivered", "read"]);
    assert_eq!(timeline[2..].iter().map(|entry| entry.event_id).collect::<Vec<_>>(), events);
    assert!(timeline.is_sorted_by_key(|entry| entry.at));
}

#[rstest]
#[tokio::test]
async fn a_timeline_tells_how_it_ended(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.send_in_doubt(Reply::text("hello")).await;
    let states = |entries: Vec<switchboard::model::message::TimelineEntry>| {
        entries.into_iter().map(|entry| entry.state).collect::<Vec<_>>()
    };
    assert_eq!(states(depot.message(message).await.1), ["queued", "unconfirmed"]);
    depot.accept(echo(&depot.clock, ID, "from the inbox")).await;
    let (_, timeline) = depot.store.message(ID).await.unwrap().unwrap();
    assert_eq!(states(timeline), Vec::<String>::new(), "somebody else's message, without a status yet");
}

#[rstest]
#[tokio::test]
async fn messages_are_found_by_each_filter(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.send(ID).await;
    depot.pass(SECOND);
    let since = depot.clock.now();
    depot.accept(inbound(&depot.clock).customer(BEN).number(BRANCH).account("other").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("hello")).await);
    depot.pass(SECOND);
    depot.accept(status(&depot.clock, "wamid.X", "read")).await;
    assert_eq!(depot.messages().await.len(), 3);
    let all = MessageFilter::default;
    let one = |text: &str| Some(text.to_owned());
    let filters = [
        (MessageFilter { account: one("other"), ..all() }, 1),
        (MessageFilter { business: one(SHOP), ..all() }, 2),
        (MessageFilter { customer: BEN.phone.map(ToOwned::to_owned), ..all() }, 1),
        (MessageFilter { provider_message_id: one(ID), ..all() }, 1),
        (MessageFilter { state: one("queued"), ..all() }, 1),
        (MessageFilter { state: one("read"), ..all() }, 1),
        (MessageFilter { origin: one("reply"), ..all() }, 2),
        (MessageFilter { origin: one("observed"), ..all() }, 1),
        (MessageFilter { since: Some(since), ..all() }, 2),
        (MessageFilter { until: Some(since), ..all() }, 1),
        (MessageFilter { origin: one("api"), ..all() }, 0),
    ];
    for (filter, expected) in filters {
        assert_eq!(count(&depot, filter.clone()).await, expected, "{filter:?}");
    }
    let page = depot.store.messages(&all(), first(2)).await.unwrap();
    let rest = PageRequest { limit: 2, before: page.data.last().map(|message| message.id) };
    let rest = depot.store.messages(&all(), rest).await.unwrap();
    assert_eq!((page.data.len(), page.more, rest.data.len(), rest.more), (2, true, 1, false));
    newest_first(&page.data.iter().chain(&rest.data).map(|message| message.id).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn messages_are_found_by_how_they_failed_and_by_callback_data(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let order = |id: &str| json!({ "order_id": id });
    let refused = depot.queue(Reply::text("one").with_callback_data(&order("1"))).await;
    let left = depot.leave().await;
    depot.answer(&left, Answer::Refused(refusal(REFUSED))).await;
    let accepted = depot.queue(Reply::text("two").with_callback_data(&order("2"))).await;
    let left = depot.leave().await;
    depot.answer(&left, Answer::Accepted(ID.into())).await;
    let filter = |state: &str, code: Option<&str>, order: Option<&str>| MessageFilter {
        state: Some(state.to_owned()).filter(|state| !state.is_empty()),
        error_code: code.map(ToOwned::to_owned),
        callback_data: order.map(|order| CallbackKey::of("order_id", order)).into_iter().collect(),
        ..MessageFilter::default()
    };
    let found = async |filter: MessageFilter| -> Vec<MessageId> {
        let page = depot.store.messages(&filter, first(200)).await.unwrap();
        page.data.into_iter().map(|message| message.id).collect()
    };
    assert_eq!(found(filter("failed", None, None)).await, [refused]);
    assert_eq!(found(filter("accepted", None, Some("2"))).await, [accepted]);
    let code = "ERROR_CODE_MESSAGE_PHONE_NUMBER_INVALID";
    let update = json!({ "id": ID, "status": "delivery_failed", "error": { "code": code } });
    depot.accept(status(&depot.clock, ID, "delivery_failed").with("statusUpdate", update)).await;
    assert_eq!(found(filter("failed", None, None)).await, [accepted, refused]);
    assert_eq!(found(filter("", Some(code), None)).await, [accepted]);
    assert_eq!(found(filter("failed", Some(REFUSED), Some("1"))).await, [refused]);
    assert!(found(filter("failed", Some(code), Some("1"))).await.is_empty(), "every part must hold");
    let observed = status(&depot.clock, "wamid.X", "read").with("callbackData", json!({ "order_id": 9 }));
    depot.accept(observed).await;
    let [observed] = found(filter("", None, Some("9"))).await[..] else { panic!("it is found") };
    assert_eq!(depot.message(observed).await.0.origin, Origin::Observed);
}
