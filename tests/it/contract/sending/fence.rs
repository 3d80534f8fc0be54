//! The fence: what left once never leaves again on our own initiative (P5).

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use switchboard::model::job::JobState;
use switchboard::store::StoreError;
use switchboard::store::work::{Answer, Dispatch, SendResult, Swept};

use super::{SECOND, UNCONFIRMED, accepted, queue_texts};
use crate::support::Backend;
use crate::support::depot::{Depot, LEASE, POLICY};

#[rstest]
#[tokio::test]
async fn p5_a_send_leaves_once_per_lease(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    let (sending, _) = depot.leave().await;
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Lost);
}

#[rstest]
#[tokio::test]
async fn p5_two_instances_dispatch_one_send_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for _ in 0..5 {
        depot.queue_text("hello").await;
        let sending = depot.claim_send().await;
        let (one, two) =
            tokio::join!(depot.store.dispatch(&sending, &POLICY), other.dispatch(&sending, &POLICY));
        let told = [one.unwrap(), two.unwrap()];
        let at =
            told.iter().find_map(|told| if let Dispatch::Go(at) = told { Some(*at) } else { None }).unwrap();
        assert!(told.contains(&Dispatch::Lost), "{told:?}");
        depot.answer(&(sending, at), Answer::Accepted(depot.clock.ulid().to_string())).await;
    }
}

#[rstest]
#[tokio::test]
async fn p5_what_left_is_never_claimed_again(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let (sending, _) = depot.leave().await;
    assert_eq!(depot.sweep().await, Swept::default(), "the lease lasts");
    assert_eq!(depot.state(message).await, "queued");
    depot.leases_end();
    assert!(depot.claim_sends().await.is_empty());
    assert_eq!(depot.sweep().await, UNCONFIRMED);
    assert_eq!(depot.sweep().await, Swept::default());
    assert_eq!(depot.state(message).await, "unconfirmed");
    depot.pass(Duration::from_hours(48));
    assert!(depot.claim_sends().await.is_empty());
    let job = depot.job(sending.lease).await;
    assert_eq!(job.state, JobState::Done, "its lane goes on");
    assert!(matches!(depot.store.retry_job(sending.lease.job).await, Err(StoreError::Conflict(_))));
}

#[rstest]
#[tokio::test]
async fn a_send_that_leaves_has_a_whole_lease(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    let sending = depot.claim_send().await;
    depot.pass(LEASE * 9 / 10);
    depot.go(&sending).await;
    depot.pass(LEASE * 9 / 10);
    assert_eq!(depot.sweep().await, Swept::default(), "its request may still be answered");
    depot.pass(LEASE / 10);
    assert_eq!(depot.sweep().await, UNCONFIRMED);
}

#[rstest]
#[tokio::test]
async fn what_did_not_leave_is_claimed_again(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let stale = depot.claim_send().await;
    assert!(depot.claim_sends().await.is_empty());
    depot.leases_end();
    assert_eq!(depot.sweep().await, Swept::default());
    let again = depot.claim_send().await;
    assert_eq!((again.message, again.attempt), (message, 2));
    assert_eq!(depot.dispatch(&stale).await, Dispatch::Lost);
    depot.go(&again).await;
}

#[rstest]
#[tokio::test]
async fn a_lane_goes_on_after_doubt(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    queue_texts(&depot, &["1", "2"]).await;
    depot.leave().await;
    depot.leases_end();
    assert!(depot.claim_sends().await.is_empty(), "not before it is settled");
    depot.sweep().await;
    assert_eq!(depot.claim_send().await.content, json!({ "text": "2" }));
}

#[rstest]
#[tokio::test]
async fn a_released_send_is_ready_at_once(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    let sending = depot.claim_send().await;
    depot.store.release(&[sending.lease]).await.unwrap();
    let (again, _) = depot.leave().await;
    assert_eq!(again.attempt, 1);
    depot.store.release(&[again.lease]).await.unwrap();
    assert!(depot.claim_sends().await.is_empty(), "what left cannot be given back");
}

#[rstest]
#[tokio::test]
async fn a_renewed_send_is_not_swept(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    let left = depot.leave().await;
    depot.pass(20 * SECOND);
    assert_eq!(depot.store.renew(&[left.0.lease], LEASE).await.unwrap(), [left.0.lease]);
    depot.pass(20 * SECOND);
    assert_eq!(depot.sweep().await, Swept::default());
    assert_eq!(depot.answer(&left, accepted()).await, SendResult::Applied);
}

#[rstest]
#[tokio::test]
async fn a_send_that_is_given_up_fails(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let sending = depot.claim_send().await;
    assert!(matches!(depot.store.discard_job(sending.lease.job).await, Err(StoreError::Conflict(_))));
    assert_eq!(depot.state(message).await, "queued", "it is running");
    depot.store.release(&[sending.lease]).await.unwrap();
    let job = depot.store.discard_job(sending.lease.job).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Discarded);
    assert_eq!(depot.state(message).await, "failed");
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Lost);
}
