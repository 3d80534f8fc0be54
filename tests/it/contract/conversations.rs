//! Conversations: their windows, the order of their jobs, and who their customers are.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use switchboard::model::conversation::Conversation;
use switchboard::model::event::{Customer, Event};
use switchboard::model::id::EventId;
use switchboard::store::arrival::Arrival;

use crate::support::Backend;
use crate::support::arrivals::{
    ANA, BEN, BRANCH, Person, Post, SHOP, both, echo, inbound, phone, status, user,
};
use crate::support::depot::{Depot, ROUTE, WINDOW_CLOSED, say};

const MESSAGE: &str = "01K00000000000000000000001";
const NUMBER: &str = "+15550100005";

/// Commits a delivery and shows its conversation as a handler sees it.
async fn conversation_after(depot: &Depot, post: Post) -> Conversation {
    depot.accept(post.on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("noted")).await);
    delivery.context.conversation.unwrap()
}

/// Commits an inbound of somebody and shows what is known of them by then.
async fn met(depot: &Depot, person: Person) -> Customer {
    let id = depot.accept(inbound(&depot.clock).customer(person)).await.id;
    depot.event(id).await.customer.unwrap()
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap()
}

fn before(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap()
}

#[rstest]
#[tokio::test]
async fn one_customer_and_one_number_are_one_conversation(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let posts = [
        inbound(&depot.clock),
        inbound(&depot.clock),
        status(&depot.clock, MESSAGE, "sent"),
        echo(&depot.clock, MESSAGE, "hello"),
        inbound(&depot.clock).number(BRANCH),
        inbound(&depot.clock).customer(BEN),
        inbound(&depot.clock).account("other"),
    ];
    depot.accept_all(posts).await;
    let ids: Vec<_> = depot.events().await.iter().map(conversation_and_customer).collect();
    let of_type = |event: &Event| event.business.as_ref().unwrap().id.clone();
    assert_eq!(depot.events().await.iter().filter(|event| of_type(event) == SHOP).count(), 6);
    let distinct = |n: usize| ids.iter().collect::<std::collections::HashSet<_>>().len() == n;
    assert!(distinct(4), "{ids:?}");
    let customers: std::collections::HashSet<_> = ids.iter().map(|(_, customer)| customer).collect();
    assert_eq!(
        customers.len(),
        3,
        "both numbers of the business talk to one Ana; the other account's is another"
    );
}

fn conversation_and_customer(event: &Event) -> (String, String) {
    let customer = event.customer.as_ref().unwrap().id.unwrap();
    (event.conversation_id.unwrap().to_string(), customer.to_string())
}

#[rstest]
#[tokio::test]
async fn jobs_of_a_conversation_come_in_the_order_of_their_commits(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let (late, early) = (inbound(&depot.clock), inbound(&depot.clock));
    let at = depot.clock.now();
    // Neither ids nor times of their own decide, only the order in which they were committed.
    let first = [late.at(at).text("1"), early.at(before(at, SignedDuration::from_secs(9))).text("2")];
    depot.accept_all(first.map(|post| post.on(ROUTE))).await;
    let older = inbound(&depot.clock).at(before(at, SignedDuration::from_hours(1))).text("3");
    depot.accept(older.on(ROUTE)).await;
    let mut texts = Vec::new();
    for _ in 0..3 {
        let delivery = depot.claim_one().await;
        texts.push(delivery.event.content().unwrap().text.clone().unwrap());
        assert!(depot.settle(&delivery, say("noted")).await);
    }
    assert_eq!(texts, ["1", "2", "3"]);
}

#[rstest]
#[tokio::test]
async fn the_window_opens_at_the_customers_own_time(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let hour_ago = before(depot.clock.now(), SignedDuration::from_hours(1));
    let seen = conversation_after(&depot, inbound(&depot.clock).at(hour_ago)).await;
    assert_eq!(seen.window.last_inbound_at, Some(whole_second(hour_ago)));
    let closes = whole_second(hour_ago).checked_add(SignedDuration::from_hours(24)).unwrap();
    assert_eq!(seen.window.closes_at(), Some(closes));
}

#[rstest]
#[tokio::test]
async fn an_older_inbound_does_not_shorten_the_window(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let now = depot.clock.now();
    let hours = |n| before(now, SignedDuration::from_hours(n));
    let group = [
        inbound(&depot.clock).at(hours(2)),
        inbound(&depot.clock).at(hours(1)),
        inbound(&depot.clock).at(hours(3)),
    ];
    depot.accept_all(group).await;
    let seen = conversation_after(&depot, inbound(&depot.clock).at(hours(5))).await;
    assert_eq!(seen.window.last_inbound_at, Some(whole_second(hours(1))));
}

#[rstest]
#[tokio::test]
async fn a_time_in_the_future_counts_as_the_time_of_receipt(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let next_year = depot.clock.now().checked_add(SignedDuration::from_hours(9000)).unwrap();
    let post = inbound(&depot.clock).at(next_year);
    let received = depot.clock.now();
    let seen = conversation_after(&depot, post).await.window.last_inbound_at.unwrap();
    assert!(seen <= received, "{seen}");
    let undated = inbound(&depot.clock).undated();
    let received = depot.clock.now();
    let seen = conversation_after(&depot, undated).await.window.last_inbound_at.unwrap();
    assert!(received.duration_since(seen) < SignedDuration::from_secs(1), "{seen}");
}

#[rstest]
#[tokio::test]
async fn only_the_customer_opens_the_window(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let post = status(&depot.clock, MESSAGE, "read");
    let seen = conversation_after(&depot, post).await;
    assert_eq!((seen.window.last_inbound_at, seen.window.closes_at()), (None, None));
    let seen = conversation_after(&depot, echo(&depot.clock, MESSAGE, "hello")).await;
    assert_eq!(seen.window.last_inbound_at, None);
}

#[rstest]
#[tokio::test]
async fn a_variant_counts_for_the_window(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let hour_ago = before(depot.clock.now(), SignedDuration::from_hours(1));
    let post = inbound(&depot.clock).at(hour_ago);
    depot.accept(post.clone()).await;
    let now = depot.clock.now();
    assert!(depot.accept(post.again(&depot.clock).at(now)).await.duplicate);
    let seen = conversation_after(&depot, status(&depot.clock, MESSAGE, "sent")).await;
    assert_eq!(seen.window.last_inbound_at, Some(whole_second(now)));
}

#[rstest]
#[tokio::test]
async fn a_refusal_by_status_closes_the_window_until_the_next_inbound(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock)).await;
    depot.pass(Duration::from_mins(5));
    let refused_at = whole_second(depot.clock.now());
    let refused = status(&depot.clock, MESSAGE, "delivery_failed").error(WINDOW_CLOSED);
    let seen = conversation_after(&depot, refused).await;
    assert_eq!(seen.window.closed_at, Some(refused_at));
    assert!(!seen.window.is_open(depot.clock.now(), Duration::ZERO));

    let old = inbound(&depot.clock).at(before(refused_at, SignedDuration::from_secs(60)));
    let seen = conversation_after(&depot, old).await;
    assert_eq!(seen.window.closed_at, Some(refused_at), "that was written before the refusal");

    depot.pass(Duration::from_mins(5));
    let seen = conversation_after(&depot, inbound(&depot.clock)).await;
    assert_eq!(seen.window.closed_at, None);
    assert!(seen.window.is_open(depot.clock.now(), Duration::ZERO));
}

#[rstest]
#[tokio::test]
async fn the_first_inbound_is_the_first_contact(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let posts = [
        status(&depot.clock, MESSAGE, "sent"),
        inbound(&depot.clock),
        inbound(&depot.clock),
        inbound(&depot.clock).number(BRANCH),
    ];
    let posts: Vec<_> = posts.into_iter().map(|post| post.on_unordered(ROUTE)).collect();
    let receipts = depot.accept_all(posts).await;
    let deliveries = depot.claim().await;
    let is_first = |id: EventId| {
        let delivery = deliveries.iter().find(|delivery| delivery.event.id == id).unwrap();
        delivery.context.first_contact
    };
    let told: Vec<_> = receipts.iter().map(|receipt| is_first(receipt.id)).collect();
    assert_eq!(told, [false, true, false, true]);
}

#[rstest]
#[tokio::test]
async fn a_user_id_is_learned_of_a_known_number(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let first = met(&depot, phone(NUMBER)).await;
    assert_eq!((first.phone.as_deref(), first.user_id.as_deref()), (Some(NUMBER), None));
    let shown = met(&depot, both(NUMBER, "US.1")).await;
    assert_eq!((shown.id, shown.user_id.as_deref()), (first.id, Some("US.1")));
    let hidden = met(&depot, user("US.1")).await;
    assert_eq!((hidden.id, hidden.phone.as_deref()), (first.id, Some(NUMBER)));
}

#[rstest]
#[tokio::test]
async fn a_number_is_learned_of_a_known_user_id(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let first = met(&depot, user("US.1")).await;
    assert_eq!((first.phone.as_deref(), first.user_id.as_deref()), (None, Some("US.1")));
    let shown = met(&depot, both(NUMBER, "US.1")).await;
    assert_eq!((shown.id, shown.phone.as_deref()), (first.id, Some(NUMBER)));
    assert_eq!(met(&depot, phone(NUMBER)).await.id, first.id);
}

#[rstest]
#[tokio::test]
async fn all_of_it_may_be_learned_in_one_group(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let people = [phone(NUMBER), both(NUMBER, "US.1"), user("US.1"), both(NUMBER, "US.2"), phone(NUMBER)];
    depot.accept_all(people.map(|person| inbound(&depot.clock).customer(person))).await;
    let known = met(&depot, user("US.1")).await;
    let stranger = met(&depot, user("US.2")).await;
    assert_ne!(known.id, stranger.id);
    assert_eq!((known.phone, stranger.phone.as_deref()), (None, Some(NUMBER)));
}

#[rstest]
#[tokio::test]
async fn a_recycled_number_takes_no_history_along(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let before = conversation_after(&depot, inbound(&depot.clock).customer(both(NUMBER, "US.1"))).await;
    let after = conversation_after(&depot, inbound(&depot.clock).customer(both(NUMBER, "US.2"))).await;
    assert_ne!(before.id, after.id);
    assert_ne!(before.customer.id, after.customer.id);
    assert_eq!(met(&depot, phone(NUMBER)).await.id, after.customer.id);
    let former = met(&depot, user("US.1")).await;
    assert_eq!((former.id, former.phone), (before.customer.id, None));
}

#[rstest]
#[tokio::test]
async fn one_number_in_two_spellings_is_one_customer(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let spelled = met(&depot, phone("1 (555) 010-0005")).await;
    assert_eq!(spelled.phone.as_deref(), Some(NUMBER));
    assert_eq!(met(&depot, phone(NUMBER)).await.id, spelled.id);
}

#[rstest]
#[tokio::test]
async fn the_newest_name_is_shown(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let renamed = serde_json::json!({ "id": ANA.phone, "name": "Ana Maria" });
    depot.accept(inbound(&depot.clock)).await;
    depot.accept(inbound(&depot.clock).with("sender", renamed)).await;
    let nameless = serde_json::json!({ "id": ANA.phone, "name": null });
    let seen =
        conversation_after(&depot, status(&depot.clock, MESSAGE, "sent").with("recipient", nameless)).await;
    assert_eq!(seen.customer.name.as_deref(), Some("Ana Maria"));
    assert_eq!(seen.business.name.as_deref(), Some("Shop"));
}

#[rstest]
#[tokio::test]
async fn two_instances_may_meet_one_customer_at_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    let numbers: Vec<String> = (0..20).map(|n| format!("+1555020{n:04}")).collect();
    for number in &numbers {
        let post = || {
            let sender = serde_json::json!({ "id": number });
            Arrival::from(inbound(&depot.clock).with("sender", sender).on(ROUTE))
        };
        let (one, two) = ([post(), post()], [post(), post()]);
        let (one, two) = tokio::join!(depot.store.commit(&one), other.commit(&two));
        assert_eq!((one.unwrap().len(), two.unwrap().len()), (2, 2));
    }
    let ids: std::collections::HashSet<_> =
        depot.events().await.iter().map(conversation_and_customer).collect();
    assert_eq!(ids.len(), numbers.len());
    assert_eq!(depot.claim().await.len(), numbers.len(), "one lane each");
}
