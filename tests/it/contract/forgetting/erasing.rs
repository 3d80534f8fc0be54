//! Erasing a customer.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use switchboard::connectly::event::party::Party;
use switchboard::connectly::order::Order;
use switchboard::model::id::{CustomerId, EventId};
use switchboard::model::job::JobState;
use switchboard::model::json::JsonText;
use switchboard::model::outcome::{Effect, Reply, StateChange};
use switchboard::model::retention::Erased;
use switchboard::store::query::JobFilter;
use switchboard::store::submission::{RequestKey, Submission, Submitted};
use switchboard::store::work::{Answer, Departure, SendResult, Settled};

use super::traces::traces;
use crate::support::Backend;
use crate::support::arrivals::{ACCOUNT, BEN, BRANCH, Person, both, echo, inbound, phone, raw, status, user};
use crate::support::depot::{
    Depot, POLICY, ROUTE, WINDOW_CLOSED, done, done_with_state, first, refusal, say,
};

const NUMBER: &str = "+15550177001";
const WORDS: &str = "meet me at the harbour";
const ANSWER: &str = "certainly, at noon";
const KEPT: &str = "remembers their tea";
const ORDER: &str = "order-8812";
const NAME: &str = "Seraphine";
const NEWS: &str = "your parcel is at the gate";
const PARENT: &str = "parent-8812";
const CLERK: &str = "clerk-8812";
/// Everything by which somebody would be recognized.
const TRACES: [&str; 10] = ["15550177001", "US.77001", WORDS, ANSWER, KEPT, ORDER, NAME, NEWS, PARENT, CLERK];
const BY_PHONE: Person = phone(NUMBER);
const BY_ID: Person = user("US.77001");

/// A customer with everything that one can have, and in every state.
async fn lived(depot: &Depot) -> CustomerId {
    let written = |person| inbound(&depot.clock).customer(person).named(NAME).text(WORDS).on(ROUTE);
    depot.accept(written(BY_PHONE)).await;
    let delivery = depot.claim_one().await;
    let reply = Reply::text(ANSWER).with_callback_data(&json!({ "order": ORDER }));
    assert!(depot.settle(&delivery, done(vec![reply], vec![Effect::OptOut])).await);
    assert!(depot.store.opt(customer_of(depot, delivery.event.id).await, None).await.unwrap().is_some());
    let left = depot.leave().await;
    let accepted = Answer::Accepted("01K0000000000000000000770A".to_owned());
    assert_eq!(depot.answer(&left, accepted).await, SendResult::Applied);
    let delivered = status(&depot.clock, "01K0000000000000000000770A", "delivered").customer(BY_PHONE);
    depot.accept(delivered.with("callbackData", json!({ "order": ORDER }))).await;
    depot.accept(echo(&depot.clock, "01K0000000000000000000770B", ANSWER).customer(BY_PHONE)).await;
    asked_for(depot).await;
    // Two become one, and one conversation a signpost.
    depot.accept(inbound(&depot.clock).customer(BY_ID).text(WORDS)).await;
    depot.accept(inbound(&depot.clock).customer(BY_ID).number(BRANCH).text(WORDS)).await;
    depot.accept(inbound(&depot.clock).customer(both(NUMBER, "US.77001")).text(WORDS)).await;
    // What nobody understood.
    depot.accept(raw(&depot.clock, format!(r#"{{"topic":"news","who":"{NUMBER}","what":"{WORDS}"}}"#))).await;
    // State; a message that waits; a job that is parked; one under way.
    depot.accept(written(BY_PHONE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done_with_state(StateChange::Set(json!({ "note": KEPT })))).await);
    depot.accept(written(BY_PHONE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say(ANSWER)).await);
    depot.accept(written(BY_PHONE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle_because(&delivery, Settled::Park, Some(WORDS)).await);
    let customer = customer_of(depot, delivery.event.id).await;
    assert!(depot.store.opt(customer, Some(CLERK)).await.unwrap().is_some());
    customer
}

/// What was asked for through the API: words that became their template, and words that wait, each under a key.
async fn asked_for(depot: &Depot) {
    submit(depot, "first").await;
    let left = depot.leave().await;
    let closed = Answer::WindowClosed(refusal(WINDOW_CLOSED));
    assert_eq!(depot.answer(&left, closed).await, SendResult::Applied);
    let left = depot.leave().await;
    assert_eq!(left.1.number, 2);
    let refused = Answer::Refused(refusal(NAME));
    assert_eq!(depot.answer(&left, refused).await, SendResult::Applied);
    submit(depot, "second").await;
}

async fn submit(depot: &Depot, key: &str) {
    let parameters = json!([{ "name": "body_1", "value": NAME }]);
    let submission = Submission {
        account: ACCOUNT.to_owned(),
        to: Party { phone: Some(NUMBER.to_owned()), user_id: None, name: None },
        from: None,
        content: json!({ "text": NEWS }),
        fallback: Some(json!({ "template": "reopen", "language": "en", "parameters": parameters })),
        callback_data: JsonText::parse(format!(r#"{{"order":"{ORDER}"}}"#)),
        campaign: Some(format!("for {NAME}")),
        order: Some(Order::after(PARENT)),
        key: Some(RequestKey { key: format!("{key}-{NUMBER}"), body_hash: [1; 32] }),
        window_margin: POLICY.window_margin,
    };
    let submitted = depot.store.submit(&submission).await.unwrap();
    assert!(matches!(submitted, Submitted::Queued(_)), "{submitted:?}");
    depot.pass(std::time::Duration::from_millis(1));
}

async fn customer_of(depot: &Depot, event: EventId) -> CustomerId {
    depot.event(event).await.customer.unwrap().id.unwrap()
}

#[rstest]
#[tokio::test]
async fn nothing_of_an_erased_customer_is_left(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let theirs = lived(&depot).await;
    let bens = depot.accept(inbound(&depot.clock).customer(BEN).text("good morning").on(ROUTE)).await.id;
    depot.accept(raw(&depot.clock, r#"{"topic":"news","who":"+15550199999"}"#)).await;
    depot.accept(inbound(&depot.clock).customer(BY_PHONE).text(WORDS).on(ROUTE)).await;
    let under_way = depot.claim().await.into_iter().find(|delivery| delivery.event.id != bens).unwrap();
    let sending = depot.claim_send().await;
    for text in TRACES {
        assert!(!traces(&depot, backend, &[text]).await.is_empty(), "{text} is there to be found");
    }
    let erased = depot.store.erase(theirs).await.unwrap().unwrap();
    let expected =
        Erased { events: 11, bodies: 11, messages: 5, jobs: 9, states: 1, conversations: 3, identities: 3 };
    assert_eq!(erased, expected);
    assert_eq!(traces(&depot, backend, &TRACES).await, [] as [String; 0]);
    // Who was at work settles nothing.
    assert!(!depot.settle(&under_way, say(ANSWER)).await);
    let left = (sending, Departure { number: 1, at: depot.clock.now() });
    assert_ne!(
        depot.answer(&left, Answer::Accepted("01K0000000000000000000770C".to_owned())).await,
        SendResult::Applied
    );
    assert_eq!(traces(&depot, backend, &TRACES).await, [] as [String; 0]);
    // Others have lost nothing.
    assert_eq!(depot.events().await.len(), 2);
    let jobs = depot.store.jobs(&JobFilter::default(), first(10)).await.unwrap().data;
    assert_eq!((jobs.len(), jobs[0].event_id, jobs[0].state), (1, Some(bens), JobState::Running));
    assert_eq!(depot.store.customers(NUMBER).await.unwrap(), []);
    assert!(depot.store.erase(theirs).await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn who_writes_again_after_being_erased_is_somebody_new(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let post = inbound(&depot.clock).customer(BY_PHONE).on(ROUTE);
    let first_event = depot.accept(post.clone()).await.id;
    let before = customer_of(&depot, first_event).await;
    depot.store.erase(before).await.unwrap().unwrap();
    let repeat = depot.accept(post.again(&depot.clock)).await;
    assert!(repeat.duplicate && repeat.id == first_event, "a repeat brings nothing back");
    assert_eq!(depot.events().await.len(), 0);
    let event = depot.accept(inbound(&depot.clock).customer(BY_PHONE).on(ROUTE)).await.id;
    assert_ne!(customer_of(&depot, event).await, before);
    assert_eq!(depot.claim().await.len(), 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasing_while_events_come_in_loses_none_of_those_that_come_after(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for _ in 0..10 {
        let event = depot.accept(inbound(&depot.clock).customer(BY_PHONE).on(ROUTE)).await.id;
        let customer = customer_of(&depot, event).await;
        let group = [inbound(&depot.clock).customer(BY_PHONE).on(ROUTE).into()];
        let (erased, committed) = tokio::join!(depot.store.erase(customer), other.commit(&group));
        assert!(erased.unwrap().is_some());
        let receipt = committed.unwrap()[0];
        depot.pass(std::time::Duration::from_millis(1));
        // Either it came first and is gone too, or it is of a new customer, with its job.
        let jobs = depot.claim().await;
        match depot.store.event(receipt.id).await.unwrap() {
            None => assert_eq!(jobs.len(), 0),
            Some(event) => {
                assert_ne!(event.customer.unwrap().id, Some(customer));
                assert_eq!(jobs.len(), 1);
                depot.settle(&jobs[0], say("hi")).await;
                depot.claim_send().await;
            }
        }
        for left in depot.store.customers(NUMBER).await.unwrap() {
            depot.store.erase(left.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_job_that_is_finished_meanwhile_leaves_no_outcome_behind() {
    let depot = Depot::open(Backend::Postgres).await;
    let event = depot.accept(inbound(&depot.clock).customer(BY_PHONE).on_unordered(ROUTE)).await.id;
    let customer = customer_of(&depot, event).await;
    let mut other = PgConnection::connect(&depot.store.url).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    // As settling does: a job without a lane, with nothing to say, takes no lock but its own.
    sqlx::raw_sql(
        "WITH gone AS (DELETE FROM jobs RETURNING *)
         INSERT INTO outcomes (id, job_id, kind, route, event_id, run, outcome, at, attempts, log)
         SELECT id, id, kind, route, event_id, run, 'done', created_at, 1, '[]' FROM gone",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    let finished = async {
        while !depot.somebody_waits().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tx.commit().await.unwrap();
    };
    let (erased, ()) = tokio::join!(depot.store.erase(customer), finished);
    assert_eq!(erased.unwrap().unwrap().events, 1);
    assert!(depot.jobs(Some(JobState::Done)).await.is_empty());
}
