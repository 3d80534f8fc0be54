//! Settling doubt: by statuses, by echoes, by a person.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use switchboard::connectly::mark;
use switchboard::model::id::MessageId;
use switchboard::model::job::JobState;
use switchboard::model::message::Origin;
use switchboard::model::outcome::Reply;
use switchboard::store::StoreError;
use switchboard::store::work::{Answer, Dispatch, Resolution, SendResult};

use super::{ID, OTHER_ID, accepted, marked};
use crate::support::Backend;
use crate::support::arrivals::{echo, status};
use crate::support::depot::{Depot, answer_on};

#[rstest]
#[tokio::test]
async fn a_status_with_our_mark_settles_doubt(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.send_in_doubt(Reply::text("hello")).await;
    let event = depot.accept(marked(&depot, message, "delivered")).await.id;
    let shown = depot.message(message).await.0;
    assert_eq!((shown.state.as_str(), shown.provider_message_id.as_deref()), ("delivered", Some(ID)));
    assert_eq!(depot.messages().await.len(), 1);
    let event = depot.event(event).await;
    assert_eq!((event.message_id, event.callback_data), (Some(message), None), "the mark is ours alone");
}

#[rstest]
#[tokio::test]
async fn a_status_with_our_mark_may_come_before_the_answer(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    depot.accept(marked(&depot, message, "sent")).await;
    assert_eq!(depot.state(message).await, "sent");
    assert_eq!(depot.answer(&left, Answer::Unknown).await, SendResult::Applied);
    assert_eq!(depot.state(message).await, "sent", "there is no doubt any more");
    assert_eq!(depot.job(left.0.lease).await.state, JobState::Done);
    assert_eq!(depot.messages().await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn what_a_status_settled_is_not_swept_into_doubt(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let (sending, _) = depot.leave().await;
    depot.accept(marked(&depot, message, "delivered")).await;
    depot.leases_end();
    assert_eq!(depot.sweep().await.unconfirmed, 0);
    assert_eq!(depot.state(message).await, "delivered");
    assert_eq!(depot.job(sending.lease).await.state, JobState::Done);
}

#[rstest]
#[tokio::test]
async fn a_mark_counts_in_its_own_account_only(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.send_in_doubt(Reply::text("hello")).await;
    depot.accept(marked(&depot, message, "delivered").account("other")).await;
    assert_eq!(depot.state(message).await, "unconfirmed");
}

#[rstest]
#[tokio::test]
async fn without_a_mark_the_only_fitting_message_is_settled(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    // Scalars have no room for the mark.
    let five = depot.send_in_doubt(Reply::text("5").with_callback_data(&json!(5))).await;
    let six = depot.send_in_doubt(Reply::text("6").with_callback_data(&json!(6))).await;
    depot.accept(status(&depot.clock, ID, "sent").with("callbackData", 5)).await;
    assert_eq!((depot.state(five).await, depot.state(six).await), ("sent".into(), "unconfirmed".into()));
    depot.accept(status(&depot.clock, OTHER_ID, "sent").with("callbackData", 7)).await;
    assert_eq!(depot.state(six).await, "unconfirmed");
}

#[rstest]
#[tokio::test]
async fn of_two_fitting_messages_neither_is_settled(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let one = depot.send_in_doubt(Reply::text("1").with_callback_data(&json!(5))).await;
    let two = depot.send_in_doubt(Reply::text("2").with_callback_data(&json!(5))).await;
    depot.accept(status(&depot.clock, ID, "sent").with("callbackData", 5)).await;
    assert_eq!(
        (depot.state(one).await, depot.state(two).await),
        ("unconfirmed".into(), "unconfirmed".into())
    );
    assert_eq!(depot.newest_message().await.origin, Origin::Observed, "a person decides");
}

#[rstest]
#[tokio::test]
async fn a_status_from_before_the_send_is_of_another_message(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let earlier = depot.clock.now();
    depot.pass(Duration::from_mins(10));
    let message = depot.send_in_doubt(Reply::text("5").with_callback_data(&json!(5))).await;
    depot.accept(status(&depot.clock, ID, "sent").at(earlier).with("callbackData", 5)).await;
    assert_eq!(depot.state(message).await, "unconfirmed");
}

#[rstest]
#[tokio::test]
async fn p7_a_status_before_the_answer_is_kept_and_joined(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    // Without room for a mark, nothing tells yet whose status it is.
    let message = depot.queue(Reply::text("hello").with_callback_data(&json!(5))).await;
    let left = depot.leave().await;
    depot.accept(status(&depot.clock, ID, "delivered").with("callbackData", 5)).await;
    let observed = depot.newest_message().await;
    assert_eq!((observed.origin, observed.state.as_str()), (Origin::Observed, "delivered"));
    assert_eq!(depot.state(message).await, "queued");

    depot.pass(Duration::from_secs(10));
    assert_eq!(depot.answer(&left, accepted()).await, SendResult::Applied);
    assert_eq!(depot.state(message).await, "delivered");
    assert_eq!(depot.messages().await.len(), 1, "the observed one was ours");
    let told: Vec<_> = depot.message(message).await.1.into_iter().map(|entry| entry.state).collect();
    assert_eq!(told, ["queued", "accepted", "delivered"], "it was accepted before anything was told of it");
    depot.accept(status(&depot.clock, ID, "read")).await;
    assert_eq!(depot.state(message).await, "read");
}

#[rstest]
#[tokio::test]
async fn an_answer_and_a_status_may_come_at_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for n in 0..10 {
        let id = depot.clock.ulid().to_string();
        let message = depot.queue(Reply::text("hello").with_callback_data(&json!(n))).await;
        let (sending, at) = depot.leave().await;
        let post = status(&depot.clock, &id, "sent").with("callbackData", n);
        let (receipts, result) = tokio::join!(
            depot.accept(post),
            answer_on(other.as_ref(), &sending, at, Answer::Accepted(id.clone())),
        );
        assert!(!receipts.duplicate);
        assert_eq!(result, SendResult::Applied);
        assert_eq!(depot.state(message).await, "sent");
    }
    assert_eq!(depot.messages().await.len(), 10);
}

#[rstest]
#[tokio::test]
async fn a_person_resolves_doubt_as_sent(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.send_in_doubt(Reply::text("hello")).await;
    let resolved = depot.store.resolve(message, Resolution::Sent).await.unwrap();
    assert_eq!((resolved.id, resolved.state.as_str()), (message, "accepted"));
    assert!(depot.claim_sends().await.is_empty());
    assert!(matches!(depot.store.resolve(message, Resolution::NotSent).await, Err(StoreError::Conflict(_))));
    // The id may still come to light.
    depot.accept(marked(&depot, message, "read")).await;
    assert_eq!(depot.state(message).await, "read");
}

#[rstest]
#[tokio::test]
async fn a_person_resolves_doubt_as_not_sent(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.send_in_doubt(Reply::text("hello")).await;
    depot.queue_text("later").await;
    let resolved = depot.store.resolve(message, Resolution::NotSent).await.unwrap();
    assert_eq!((resolved.id, resolved.state.as_str()), (message, "queued"));
    let first = depot.leave().await;
    assert_ne!(first.0.message, message, "it is at the lane's end");
    depot.answer(&first, accepted()).await;
    depot.pass(Duration::from_hours(25));
    let sending = depot.claim_send().await;
    assert_eq!(sending.message, message);
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Ended("expired"), "the window is checked anew");
}

#[rstest]
#[tokio::test]
async fn only_doubt_can_be_resolved(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let conflict = |result| matches!(result, Err(StoreError::Conflict(_)));
    assert!(conflict(depot.store.resolve(MessageId::new(depot.clock.ulid()), Resolution::Sent).await));
    let message = depot.queue_text("hello").await;
    assert!(conflict(depot.store.resolve(message, Resolution::Sent).await));
    let left = depot.leave().await;
    assert!(conflict(depot.store.resolve(message, Resolution::NotSent).await));
    depot.answer(&left, accepted()).await;
    assert!(conflict(depot.store.resolve(message, Resolution::NotSent).await));
}

#[rstest]
#[tokio::test]
async fn an_answer_after_a_person_resolved_is_superseded(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    depot.leases_end();
    depot.sweep().await;
    depot.store.resolve(message, Resolution::NotSent).await.unwrap();
    assert_eq!(depot.answer(&left, Answer::Unknown).await, SendResult::Superseded);
    assert_eq!(depot.state(message).await, "queued");
}

#[rstest]
#[tokio::test]
async fn p5_an_answer_that_shows_an_id_keeps_what_a_person_queued_again_from_leaving_twice(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    depot.leases_end();
    depot.sweep().await;
    depot.store.resolve(message, Resolution::NotSent).await.unwrap();
    assert_eq!(depot.answer(&left, accepted()).await, SendResult::Applied);
    assert_eq!(depot.state(message).await, "accepted");
    let again = depot.claim_send().await;
    assert_eq!(depot.dispatch(&again).await, Dispatch::Ended("settled"));
    assert_eq!(depot.state(message).await, "accepted");
    assert!(depot.jobs(None).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn an_echo_joins_the_message_it_names(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.send(ID).await;
    let event = depot.accept(echo(&depot.clock, ID, "hello")).await.id;
    assert_eq!(depot.event(event).await.message_id, Some(message));
    assert_eq!(depot.messages().await.len(), 1);
    let doubtful = depot.send_in_doubt(Reply::text("again")).await;
    let data = mark::apply(None, doubtful.ulid()).unwrap();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    depot.accept(echo(&depot.clock, OTHER_ID, "again").with("callbackData", data)).await;
    let shown = depot.message(doubtful).await.0;
    assert_eq!((shown.state.as_str(), shown.provider_message_id.as_deref()), ("accepted", Some(OTHER_ID)));
}

#[rstest]
#[tokio::test]
async fn an_echo_of_a_strange_message_is_observed_with_its_content(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(status(&depot.clock, ID, "sent").with("callbackData", json!({ "order": 5 }))).await;
    depot.accept(echo(&depot.clock, ID, "from the inbox")).await;
    let messages = depot.messages().await;
    assert_eq!(messages.len(), 1);
    let shown = &messages[0];
    assert_eq!((shown.origin, shown.state.as_str()), (Origin::Observed, "sent"));
    assert_eq!(shown.content, Some(json!({ "text": "from the inbox" })));
    assert_eq!(shown.callback_data.as_ref().unwrap().value(), json!({ "order": 5 }));
}
