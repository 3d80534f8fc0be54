//! Conversations and customers: by any name, in either order, and what was said.

use std::time::Duration;

use rstest::rstest;
use switchboard::model::id::{ConversationId, CustomerId};
use switchboard::model::outcome::Reply;
use switchboard::store::query::{ConversationFilter, ConversationOrder, ConversationPlace, PageRequest};
use switchboard::store::talk::{Said, talk};
use switchboard::store::work::Dispatch;
use ulid::Ulid;

use super::{ID, SECOND};
use crate::support::Backend;
use crate::support::arrivals::{ANA, BEN, BRANCH, SHOP, both, inbound, status, user};
use crate::support::depot::{Depot, ROUTE, first, say};

const HOUR: Duration = Duration::from_hours(1);

async fn found(depot: &Depot, filter: ConversationFilter) -> Vec<ConversationId> {
    let page = depot.store.conversations(&filter, first(200)).await.unwrap();
    page.data.into_iter().map(|conversation| conversation.id).collect()
}

async fn conversation_of(depot: &Depot, event: switchboard::model::id::EventId) -> ConversationId {
    depot.event(event).await.conversation_id.unwrap()
}

#[rstest]
#[tokio::test]
async fn conversations_are_found_by_each_filter(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let ana = depot.accept(inbound(&depot.clock)).await.id;
    depot.pass(25 * HOUR);
    let ben = depot.accept(inbound(&depot.clock).customer(BEN).number(BRANCH).account("other")).await.id;
    let (ana, ben) = (conversation_of(&depot, ana).await, conversation_of(&depot, ben).await);
    let all = ConversationFilter::default;
    let one = |text: &str| Some(text.to_owned());
    assert_eq!(found(&depot, all()).await, [ben, ana], "newest first");
    assert_eq!(found(&depot, ConversationFilter { account: one("other"), ..all() }).await, [ben]);
    assert_eq!(found(&depot, ConversationFilter { business: one(SHOP), ..all() }).await, [ana]);
    let phone = ANA.phone.map(ToOwned::to_owned);
    assert_eq!(found(&depot, ConversationFilter { customer: phone, ..all() }).await, [ana]);
    assert_eq!(found(&depot, ConversationFilter { open: Some(true), ..all() }).await, [ben]);
    assert_eq!(found(&depot, ConversationFilter { open: Some(false), ..all() }).await, [ana]);
}

#[rstest]
#[tokio::test]
async fn open_windows_are_listed_by_their_end_page_by_page(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let mut expected = Vec::new();
    for phone in ["+15550100011", "+15550100012", "+15550100013", "+15550100014"] {
        let customer = crate::support::arrivals::phone(phone);
        let event = depot.accept(inbound(&depot.clock).customer(customer)).await.id;
        expected.push(conversation_of(&depot, event).await);
        depot.pass(HOUR);
    }
    // The first writes again, and is the last to close.
    let again = crate::support::arrivals::phone("+15550100011");
    depot.accept(inbound(&depot.clock).customer(again)).await;
    expected.rotate_left(1);
    let filter =
        ConversationFilter { order: ConversationOrder::Closing, open: Some(true), ..Default::default() };
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = depot.store.conversations(&filter, PageRequest { limit: 3, before }).await.unwrap();
        seen.extend(page.data.iter().map(|conversation| conversation.id));
        let last = page.data.last().unwrap();
        before = Some(ConversationPlace::Closing(last.window.last_inbound_at.unwrap(), last.id));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, expected);
}

#[rstest]
#[tokio::test]
async fn what_was_merged_is_shown_as_its_survivor(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let by_phone = depot.accept(inbound(&depot.clock)).await.id;
    let by_user = depot.accept(inbound(&depot.clock).customer(user("US.7"))).await.id;
    let (stays, goes) = (conversation_of(&depot, by_phone).await, conversation_of(&depot, by_user).await);
    let gone = depot.event(by_user).await.customer.unwrap().id.unwrap();
    depot.accept(inbound(&depot.clock).customer(both(ANA.phone.unwrap(), "US.7"))).await;
    assert_eq!(found(&depot, ConversationFilter::default()).await, [stays]);
    let shown = depot.store.conversation(goes).await.unwrap().unwrap();
    assert_eq!(shown.id, stays, "the old id still resolves");
    let said = talk(depot.store.as_ref(), stays, first(10)).await.unwrap();
    assert_eq!(said.data.len(), 3, "what was said to either is one talk");
    let [survivor] = &depot.store.customers("US.7").await.unwrap()[..] else { panic!("one customer") };
    for name in [ANA.phone.unwrap().to_owned(), gone.to_string(), survivor.id.to_string()] {
        assert_eq!(depot.store.customers(&name).await.unwrap(), std::slice::from_ref(survivor), "by {name}");
    }
    assert!(depot.store.conversation(ConversationId::new(Ulid(1))).await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn a_talk_is_read_backwards_page_by_page(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let mut expected = Vec::new();
    for number in 0..4 {
        let event = depot.accept(inbound(&depot.clock).on(ROUTE)).await.id;
        expected.push(event.ulid());
        let delivery = depot.claim_one().await;
        depot.settle(&delivery, say(&number.to_string())).await;
        expected.push(depot.newest_message().await.id.ulid());
    }
    depot.accept(status(&depot.clock, ID, "read")).await;
    expected.push(depot.newest_message().await.id.ulid());
    expected.reverse();
    let conversation = depot.messages().await[0].conversation_id.unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = talk(depot.store.as_ref(), conversation, PageRequest { limit: 4, before }).await.unwrap();
        seen.extend(page.data.iter().map(Said::id));
        before = seen.last().copied();
        if !page.more {
            break;
        }
        assert_eq!(page.data.len(), 4);
    }
    assert_eq!(seen, expected, "neither a status nor anything else is said");
}

#[rstest]
#[tokio::test]
async fn an_opt_out_by_hand_holds_back_what_is_queued_until_it_is_taken_back(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let suppressed = depot.queue(Reply::text("too late")).await;
    let [ana] = &depot.store.customers(ANA.phone.unwrap()).await.unwrap()[..] else { panic!("she wrote") };
    let out = depot.store.opt(ana.id, Some("api")).await.unwrap().unwrap();
    let since = out.opted_out_at.unwrap();
    depot.pass(SECOND);
    assert_eq!(
        depot.store.opt(ana.id, Some("api")).await.unwrap().unwrap().opted_out_at,
        Some(since),
        "since the first"
    );
    let sending = depot.claim_send().await;
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Ended("suppressed"));
    assert_eq!(depot.state(suppressed).await, "suppressed");
    assert_eq!(depot.store.opt(ana.id, None).await.unwrap().unwrap().opted_out_at, None);
    depot.queue(Reply::text("welcome back")).await;
    let sending = depot.claim_send().await;
    assert!(matches!(depot.dispatch(&sending).await, Dispatch::Go(_)));
    assert!(depot.store.opt(CustomerId::new(Ulid(1)), Some("api")).await.unwrap().is_none());
}
