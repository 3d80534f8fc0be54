//! What the answers to sends lead to, whenever they come.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use switchboard::model::job::JobState;
use switchboard::store::work::{Answer, Dispatch, SendResult, Swept};

use super::{ID, OTHER_ID, SECOND, UNCONFIRMED, accepted, marked, not_processed, queue_texts, window};
use crate::support::Backend;
use crate::support::arrivals::{BEN, inbound, status};
use crate::support::depot::{Depot, REFUSED, ROUTE, WINDOW_CLOSED, answer_on, refusal, say};

#[rstest]
#[tokio::test]
async fn an_accepted_message_has_connectlys_id(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    assert_eq!(depot.state(message).await, "queued", "until its answer is settled");
    assert_eq!(depot.answer(&left, accepted()).await, SendResult::Applied);
    let shown = depot.message(message).await.0;
    assert_eq!((shown.state.as_str(), shown.provider_message_id.as_deref()), ("accepted", Some(ID)));
    assert_eq!(depot.job(left.0.lease).await.state, JobState::Done);
    depot.accept(status(&depot.clock, ID, "delivered")).await;
    assert_eq!(depot.state(message).await, "delivered");
}

#[rstest]
#[tokio::test]
async fn what_was_not_processed_is_tried_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    assert_eq!(depot.answer(&left, not_processed(10 * SECOND, false)).await, SendResult::Applied);
    assert_eq!(depot.state(message).await, "queued");
    depot.pass(9 * SECOND);
    assert!(depot.claim_sends().await.is_empty());
    depot.pass(SECOND);
    let again = depot.leave().await;
    assert_eq!(again.0.attempt, 2);
    assert_eq!(depot.answer(&left, accepted()).await, SendResult::Superseded, "that request is settled");
    assert_eq!(depot.answer(&again, accepted()).await, SendResult::Applied);
    assert_eq!(depot.job(again.0.lease).await.log.unwrap().len(), 2);
}

#[rstest]
#[tokio::test]
async fn a_refusal_for_its_rate_holds_the_account(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.queue_text("to Ana").await;
    depot.accept(inbound(&depot.clock).customer(BEN).on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("to Ben")).await);
    let sendings = depot.claim_sends().await;
    let at = depot.go(&sendings[0]).await;
    depot.answer(&(sendings[0].clone(), at), not_processed(20 * SECOND, true)).await;
    let Dispatch::Later(delay) = depot.dispatch(&sendings[1]).await else { panic!("the account is held") };
    assert!(delay > 19 * SECOND && delay <= 21 * SECOND, "{delay:?}");
    depot.pass(21 * SECOND);
    for sending in depot.claim_sends().await {
        depot.go(&sending).await;
        depot.pass(SECOND);
    }
}

#[rstest]
#[tokio::test]
async fn a_refused_message_fails_and_waits_for_a_person(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    queue_texts(&depot, &["1", "2"]).await;
    let left = depot.leave().await;
    assert_eq!(depot.answer(&left, Answer::Refused(refusal(REFUSED))).await, SendResult::Applied);
    let shown = depot.message(left.0.message).await.0;
    assert_eq!((shown.state.as_str(), shown.error), ("failed", Some(refusal(REFUSED))));
    assert_eq!(depot.job(left.0.lease).await.state, JobState::Parked);
    depot.leases_end();
    assert_eq!(depot.sweep().await, Swept::default(), "its answer is known");

    let job = depot.store.retry_job(left.0.lease.job).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Ready);
    let shown = depot.message(left.0.message).await.0;
    assert_eq!((shown.state.as_str(), shown.error), ("queued", None));
    let second = depot.leave().await;
    assert_eq!(second.0.content, json!({ "text": "2" }), "a retried one goes to the lane's end");
    depot.answer(&second, Answer::Accepted(OTHER_ID.into())).await;
    let again = depot.leave().await;
    assert_eq!(again.0.message, left.0.message);
    assert_eq!(depot.answer(&again, accepted()).await, SendResult::Applied);
    assert_eq!(depot.state(left.0.message).await, "accepted");
}

#[rstest]
#[tokio::test]
async fn p8_a_refusal_by_the_window_expires_the_message(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    queue_texts(&depot, &["1", "2"]).await;
    let left = depot.leave().await;
    assert_eq!(depot.answer(&left, Answer::WindowClosed(refusal(WINDOW_CLOSED))).await, SendResult::Applied);
    assert_eq!(depot.state(left.0.message).await, "expired");
    assert_eq!(depot.job(left.0.lease).await.state, JobState::Done);
    let next = depot.claim_send().await;
    assert_eq!(
        depot.dispatch(&next).await,
        Dispatch::Ended("expired"),
        "the window is closed for it as well"
    );
    assert!(window(&depot).await.closed_at.is_some());
    depot.pass(SECOND);
    depot.queue_text("open again").await;
    depot.leave().await;
}

#[rstest]
#[tokio::test]
async fn an_inbound_after_the_refused_send_has_opened_the_window(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    let left = depot.leave().await;
    depot.pass(2 * SECOND);
    depot.accept(inbound(&depot.clock)).await;
    depot.pass(2 * SECOND);
    depot.answer(&left, Answer::WindowClosed(refusal(WINDOW_CLOSED))).await;
    assert_eq!(depot.state(left.0.message).await, "expired");
    assert_eq!(window(&depot).await.closed_at, None);
}

#[rstest]
#[tokio::test]
async fn p8_a_refusal_by_status_expires_the_message(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.send(ID).await;
    depot.pass(5 * SECOND);
    depot.accept(status(&depot.clock, ID, "delivery_failed").error(WINDOW_CLOSED)).await;
    assert_eq!(depot.state(message).await, "expired");
    assert!(window(&depot).await.closed_at.is_some());
}

#[rstest]
#[tokio::test]
async fn p5_a_lost_answer_leaves_doubt(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    assert_eq!(depot.answer(&left, Answer::Unknown).await, SendResult::Applied);
    assert_eq!(depot.state(message).await, "unconfirmed");
    assert_eq!(depot.job(left.0.lease).await.state, JobState::Done);
    depot.leases_end();
    assert_eq!(depot.sweep().await, Swept::default());
    assert!(depot.claim_sends().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn an_answer_after_the_lease_still_counts(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    let message = depot.queue_text("hello").await;
    let (sending, at) = depot.leave().await;
    depot.leases_end();
    assert_eq!(depot.sweep().await, UNCONFIRMED);
    assert_eq!(answer_on(other.as_ref(), &sending, at, accepted()).await, SendResult::Applied);
    let shown = depot.message(message).await.0;
    assert_eq!((shown.state.as_str(), shown.provider_message_id.as_deref()), ("accepted", Some(ID)));
}

#[rstest]
#[tokio::test]
async fn a_late_not_processed_queues_the_message_again(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    depot.leases_end();
    assert_eq!(depot.sweep().await, UNCONFIRMED);
    assert_eq!(depot.answer(&left, not_processed(SECOND, false)).await, SendResult::Applied);
    assert_eq!(depot.state(message).await, "queued");
    depot.pass(SECOND);
    let again = depot.leave().await;
    assert_eq!(again.0.message, message);
    assert_eq!(depot.answer(&left, not_processed(SECOND, false)).await, SendResult::Superseded);
}

#[rstest]
#[tokio::test]
async fn an_answer_counts_once(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    depot.answer(&left, accepted()).await;
    for late in [Answer::Unknown, not_processed(SECOND, false), Answer::Refused(refusal(REFUSED))] {
        depot.answer(&left, late).await;
        assert_eq!(depot.state(message).await, "accepted");
    }
    depot.pass(Duration::from_mins(1));
    assert!(depot.claim_sends().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn an_answer_settled_twice_leaves_the_job_as_it_is(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    // As when the connection broke after the commit: whoever holds the answer settles it again.
    for expected in [SendResult::Applied, SendResult::Superseded] {
        assert_eq!(depot.answer(&left, Answer::Refused(refusal(REFUSED))).await, expected);
        assert_eq!(depot.state(message).await, "failed");
        assert_eq!(depot.job(left.0.lease).await.state, JobState::Parked);
    }
}

#[rstest]
#[tokio::test]
async fn p8_a_refusal_by_status_may_come_before_the_answer(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for answered in [false, true] {
        queue_texts(&depot, &["1", "2"]).await;
        let left = depot.leave().await;
        let message = left.0.message;
        let refused = marked(&depot, message, "delivery_failed").error(WINDOW_CLOSED);
        let id = depot.clock.ulid().to_string();
        depot
            .accept(refused.with(
                "statusUpdate",
                json!({
                    "id": id, "status": "delivery_failed", "error": { "code": WINDOW_CLOSED },
                }),
            ))
            .await;
        assert_eq!(depot.state(message).await, "expired");
        if answered {
            assert_eq!(depot.answer(&left, Answer::Accepted(id)).await, SendResult::Applied);
        } else {
            depot.leases_end();
            assert_eq!(depot.sweep().await, Swept::default());
        }
        assert_eq!(depot.state(message).await, "expired");
        assert_eq!(depot.job(left.0.lease).await.state, JobState::Done, "its lane goes on");
        let next = depot.claim_send().await;
        assert_eq!(depot.dispatch(&next).await, Dispatch::Ended("expired"));
        depot.pass(SECOND);
    }
}
