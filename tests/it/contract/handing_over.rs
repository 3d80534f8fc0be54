//! Jobs that are born leased to whoever commits them: as if they had been claimed (P6).

use std::collections::HashMap;

use rstest::rstest;
use serde_json::json;
use switchboard::model::job::JobState;
use switchboard::model::pauses::Pauses;
use switchboard::store::arrival::{Arrival, RouteMatch};
use switchboard::store::work::{Committed, Delivery, GroupTurn, LeasedJob, Offer, Settled};

use crate::support::Backend;
use crate::support::arrivals::{BEN, Post, both, echo, inbound, raw, status, user};
use crate::support::depot::{Depot, LEASE, ROUTE, done, say};

/// Commits a group by somebody who can begin so many jobs of the usual route.
async fn commit(depot: &Depot, slots: u32, group: impl IntoIterator<Item = Post>) -> Committed {
    let group: Vec<Arrival> = group.into_iter().map(Into::into).collect();
    let offer = Offer { slots: HashMap::from([(ROUTE.to_owned(), slots)]), lease: LEASE };
    depot.store.commit_and_lease(&group, &offer, &GroupTurn::default()).await.unwrap()
}

fn ana(depot: &Depot) -> Post {
    inbound(&depot.clock).on(ROUTE)
}

fn ben(depot: &Depot) -> Post {
    inbound(&depot.clock).customer(BEN).on(ROUTE)
}

async fn begin(depot: &Depot, leased: &[LeasedJob]) -> Vec<Delivery> {
    depot.store.deliveries(leased).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_job_that_is_offered_a_slot_is_born_leased(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let Committed { receipts, leased } = commit(&depot, 1, [ana(&depot)]).await;
    assert!(depot.claim().await.is_empty(), "it is leased");

    let [delivery] = <[Delivery; 1]>::try_from(begin(&depot, &leased).await).unwrap();
    assert_eq!((delivery.event.id, delivery.context.route.as_str()), (receipts[0].id, ROUTE));
    assert_eq!((delivery.context.attempt, delivery.context.first_contact), (1, true));
    assert_eq!(Some(delivery.context.conversation.clone().unwrap().id), delivery.event.conversation_id);
    let age = depot.clock.now().duration_since(delivery.first_attempt_at);
    assert!(age.unsigned_abs() < LEASE, "{age:?}");

    assert_eq!(depot.job(delivery.lease).await.state, JobState::Running);
    assert!(depot.settle(&delivery, say("noted")).await);
    let job = depot.job(delivery.lease).await;
    assert_eq!((job.state, job.attempts), (JobState::Done, 1));
}

#[rstest]
#[tokio::test]
async fn p6_only_the_head_of_a_lane_is_born_leased(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let Committed { receipts, leased } = commit(&depot, 9, [ana(&depot), ana(&depot), ben(&depot)]).await;
    let heads: Vec<_> = leased.iter().map(|job| job.event).collect();
    assert_eq!(heads, [receipts[0].id, receipts[2].id]);
    assert!(commit(&depot, 9, [ana(&depot)]).await.leased.is_empty(), "two of hers are there already");

    let held = begin(&depot, &leased).await;
    assert!(depot.claim().await.is_empty());
    assert!(depot.settle(&held[0], say("noted")).await);
    assert_eq!(depot.claim_one().await.event.id, receipts[1].id);
}

#[rstest]
#[tokio::test]
async fn a_waiting_retry_keeps_the_next_from_being_born_leased(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let leased = commit(&depot, 1, [ana(&depot)]).await.leased;
    let held = begin(&depot, &leased).await;
    assert!(depot.settle(&held[0], Settled::Retry(LEASE)).await);
    assert!(commit(&depot, 1, [ana(&depot)]).await.leased.is_empty());
}

#[rstest]
#[tokio::test]
async fn no_more_are_born_leased_than_are_offered(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let crowd = (0..5).map(|n| ana(&depot).with("sender", json!({ "id": format!("+1555030{n:04}") })));
    assert_eq!(commit(&depot, 2, crowd).await.leased.len(), 2);
    let elsewhere = inbound(&depot.clock).customer(BEN).on("audit");
    assert!(commit(&depot, 2, [elsewhere]).await.leased.is_empty(), "nobody offered to run that route");
    assert_eq!(depot.claim().await.len(), 3);
    assert_eq!(depot.claim_on("audit").await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn what_may_not_run_is_not_born_leased(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let first = ana(&depot);
    assert_eq!(commit(&depot, 1, [first.clone()]).await.leased.len(), 1);
    assert!(commit(&depot, 1, [first]).await.leased.is_empty(), "a repeat makes nothing");

    let mut failed = Arrival::from(ben(&depot));
    failed.routes[0].failed = Some("its `when` failed".to_owned());
    let offer = Offer { slots: HashMap::from([(ROUTE.to_owned(), 1)]), lease: LEASE };
    assert!(
        depot
            .store
            .commit_and_lease(&[failed], &offer, &GroupTurn::default())
            .await
            .unwrap()
            .leased
            .is_empty(),
        "it is parked"
    );

    depot.store.pause(&Pauses { sends: false, routes: [ROUTE.to_owned()].into() }).await.unwrap();
    // Nothing of Ben's holds his lane: what was parked does not.
    assert!(commit(&depot, 1, [ben(&depot)]).await.leased.is_empty(), "its route is paused");
}

#[rstest]
#[tokio::test]
async fn what_was_born_leased_and_lost_is_left_behind(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let leased = commit(&depot, 1, [ana(&depot)]).await.leased;
    depot.leases_end();
    assert!(depot.claim().await.is_empty());
    let again = depot.reclaim().await;
    assert_eq!((again[0].lease.job, again[0].context.attempt), (leased[0].lease.job, 2));
}

#[rstest]
#[tokio::test]
async fn what_was_born_leased_and_given_back_is_ready(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let leased = commit(&depot, 1, [ana(&depot)]).await.leased;
    depot.store.release(&[leased[0].lease]).await.unwrap();
    let delivery = depot.claim_one().await;
    assert_eq!((delivery.lease.job, delivery.context.attempt), (leased[0].lease.job, 1));
}

/// What a handler sees of it.
fn shown(delivery: &Delivery) -> (serde_json::Value, String) {
    let context = &delivery.context;
    let refers_to = context.message.as_ref().map(|message| message.id);
    let latest = context.latest_message.as_ref().map(|message| message.id);
    let surroundings = format!(
        "{:?} {refers_to:?} {latest:?} {} {:?} {:?}",
        context.conversation.as_ref().map(|conversation| conversation.id),
        context.first_contact,
        context.state,
        context.person_answered_at,
    );
    (delivery.event.to_value(), surroundings)
}

#[rstest]
#[tokio::test]
async fn what_was_just_committed_begins_as_if_it_had_been_read(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.send("ours").await;
    let nameless = json!({ "id": BEN.phone, "channelType": "whatsapp" });
    depot.accept(inbound(&depot.clock).customer(BEN)).await;
    let set = json!({ "order": "4711", "odd": [1.0, null] });
    let repeated = ana(&depot).text("twice");
    let posts = [
        ("plain", vec![ana(&depot)]),
        ("a name that is only stored", vec![ana(&depot).with("sender", nameless.clone())]),
        ("a name that is new", vec![ben(&depot).named("Benjamin")]),
        ("without a time", vec![ana(&depot).undated()]),
        ("an answer to ours", vec![ana(&depot).with("replyToId", "ours")]),
        ("an answer to what nobody knows", vec![ana(&depot).with("replyToId", "theirs")]),
        (
            "a status of ours",
            vec![status(&depot.clock, "ours", "delivered").with("callbackData", set).on(ROUTE)],
        ),
        ("why ours failed", vec![status(&depot.clock, "ours", "failed").error("131026").on(ROUTE)]),
        ("a status of what nobody knows", vec![status(&depot.clock, "theirs", "read").on(ROUTE)]),
        ("an echo of ours", vec![echo(&depot.clock, "ours", "hello").on(ROUTE)]),
        ("an echo of somebody else's", vec![echo(&depot.clock, "elsewhere", "yes?").on(ROUTE)]),
        (
            "repeated at once",
            vec![repeated.clone(), repeated.again(&depot.clock), repeated.again(&depot.clock)],
        ),
        ("without a lane", vec![inbound(&depot.clock).on_unordered(ROUTE)]),
        ("of another account", vec![ana(&depot).account("other")]),
    ];
    for (what, group) in posts {
        let leased = commit(&depot, 9, group).await.leased;
        assert_eq!(leased.len(), 1, "{what}");
        let unread: Vec<LeasedJob> =
            leased.iter().map(|job| LeasedJob { arrived: None, ..job.clone() }).collect();
        let (begun, read) = (begin(&depot, &leased).await, begin(&depot, &unread).await);
        assert_eq!(shown(&begun[0]), shown(&read[0]), "{what}");
        assert_eq!(begun[0].event.to_value(), depot.event(leased[0].event).await.to_value(), "{what}");
        assert!(depot.settle(&begun[0], done(Vec::new(), Vec::new())).await, "{what}");
    }

    // Those that belong to no conversation.
    let report = json!({ "topic": "report_completed", "report": { "id": "r" } }).to_string();
    for body in [report.as_str(), r#"{"topic":"news"}"#, "no JSON at all"] {
        let mut arrival = raw(&depot.clock, body.to_owned());
        arrival.routes.push(RouteMatch { route: ROUTE.to_owned(), ordered: true, failed: None });
        let offer = Offer { slots: HashMap::from([(ROUTE.to_owned(), 1)]), lease: LEASE };
        let leased =
            depot.store.commit_and_lease(&[arrival], &offer, &GroupTurn::default()).await.unwrap().leased;
        let begun = begin(&depot, &leased).await;
        assert_eq!(begun[0].event.to_value(), depot.event(leased[0].event).await.to_value(), "{body}");
    }
}

#[rstest]
#[tokio::test]
async fn what_was_just_committed_begins_although_its_customer_became_another(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).customer(user("BR.1"))).await;
    let leased = commit(&depot, 1, [ana(&depot)]).await.leased;
    depot.accept(inbound(&depot.clock).customer(both("+15550100001", "BR.1"))).await;
    let begun = begin(&depot, &leased).await;
    assert_eq!(begun.len(), 1, "it is not parked");
    assert_eq!(begun[0].event.to_value(), depot.event(leased[0].event).await.to_value());
}
