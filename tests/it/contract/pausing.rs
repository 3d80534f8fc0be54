//! Pausing: what is paused waits where it is, on every instance, and nothing is lost, counted or given up meanwhile.

use std::time::Duration;

use rstest::rstest;
use switchboard::model::job::JobState;
use switchboard::model::pauses::Pauses;
use switchboard::store::work::{ClaimDeliveries, Dispatch, Settled, Swept};
use switchboard::store::{OpenOptions, open};

use crate::support::Backend;
use crate::support::arrivals::inbound;
use crate::support::depot::{Depot, ROUTE, claim_from, of_route, sends};

const HOUR: Duration = Duration::from_hours(1);

fn routes(names: &[&str]) -> Pauses {
    Pauses { sends: false, routes: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn all_sends() -> Pauses {
    Pauses { sends: true, ..Pauses::default() }
}

async fn pause(depot: &Depot, pauses: Pauses) {
    depot.store.pause(&pauses).await.unwrap();
    assert_eq!(depot.store.pauses().await.unwrap(), pauses);
}

async fn resume(depot: &Depot) {
    pause(depot, Pauses::default()).await;
}

#[rstest]
#[tokio::test]
async fn what_waited_for_a_paused_route_is_claimed_at_once_when_it_is_resumed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    pause(&depot, routes(&[ROUTE])).await;
    depot.ana_writes().await;
    depot.pass(HOUR);
    assert!(depot.claim_onwards().await.is_empty());
    resume(&depot).await;
    assert_eq!(depot.claim_onwards().await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn deliveries_to_a_paused_route_wait_on_every_instance(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    depot.accept(inbound(&depot.clock).on(ROUTE).on("other")).await;
    pause(&depot, routes(&[ROUTE])).await;
    depot.accept(inbound(&depot.clock).on(ROUTE)).await;
    let both = ClaimDeliveries {
        routes: vec![(ROUTE.to_owned(), 10), ("other".to_owned(), 10)],
        ..of_route(ROUTE, 10)
    };
    let claimed = claim_from(other.as_ref(), &both).await;
    assert_eq!(claimed.iter().map(|delivery| &delivery.context.route).collect::<Vec<_>>(), ["other"]);
    assert!(depot.claim().await.is_empty() && depot.reclaim().await.is_empty());
    let waiting = depot.jobs(Some(JobState::Ready)).await;
    assert_eq!(waiting.iter().map(|job| job.attempts).collect::<Vec<_>>(), [0, 0]);
    resume(&depot).await;
    for job in waiting {
        let delivery = depot.claim_one().await;
        assert_eq!((delivery.lease.job, delivery.context.attempt), (job.id, 1), "in their order");
        assert!(depot.settle(&delivery, Settled::Park).await);
    }
}

#[rstest]
#[tokio::test]
async fn what_was_left_behind_is_not_taken_over_while_its_route_is_paused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    depot.claim_one().await;
    pause(&depot, routes(&[ROUTE])).await;
    depot.leases_end();
    assert!(depot.reclaim().await.is_empty());
    resume(&depot).await;
    assert_eq!(depot.reclaim().await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_pause_is_no_part_of_a_retrys_age(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, Settled::Retry(Duration::ZERO)).await);
    depot.pass(Duration::from_mins(2));
    pause(&depot, routes(&[ROUTE])).await;
    depot.pass(HOUR);
    // Pausing something else meanwhile leaves the beginning of this pause where it was.
    pause(&depot, routes(&[ROUTE, "other"])).await;
    depot.pass(HOUR);
    resume(&depot).await;
    let again = depot.claim_one().await;
    let age = depot.clock.now().duration_since(again.first_attempt_at);
    assert_eq!((again.context.attempt, age.as_mins()), (2, 2));
}

#[rstest]
#[tokio::test]
async fn a_first_try_during_a_pause_is_as_old_as_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    pause(&depot, routes(&[ROUTE])).await;
    depot.pass(Duration::from_secs(5));
    assert!(depot.settle(&delivery, Settled::Retry(Duration::ZERO)).await, "what runs may finish");
    assert!(depot.claim().await.is_empty());
    depot.pass(HOUR);
    resume(&depot).await;
    let age = depot.clock.now().duration_since(depot.claim_one().await.first_attempt_at);
    assert!(age.as_secs() < 5, "{age}");
}

#[rstest]
#[tokio::test]
async fn a_paused_route_is_not_forgotten(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).on("gone")).await;
    pause(&depot, routes(&["gone"])).await;
    depot.pass(2 * HOUR);
    assert_eq!(depot.sweep().await, Swept::default());
    resume(&depot).await;
    depot.pass(Duration::from_mins(2));
    assert_eq!(depot.sweep().await.forgotten, 1);
}

#[rstest]
#[tokio::test]
async fn sends_wait_while_they_are_paused(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    let message = depot.queue_text("hello").await;
    pause(&depot, all_sends()).await;
    assert!(other.claim_sends(&sends(10)).await.unwrap().sends.is_empty());
    assert_eq!(depot.state(message).await, "queued");
    resume(&depot).await;
    assert_eq!(depot.leave().await.0.attempt, 1);
}

#[rstest]
#[tokio::test]
async fn a_claimed_send_does_not_leave_once_sends_are_paused(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let sending = depot.claim_send().await;
    pause(&depot, all_sends()).await;
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Paused);
    let job = depot.job(sending.lease).await;
    assert_eq!((job.state, job.attempts), (JobState::Ready, 0));
    assert_eq!(depot.state(message).await, "queued");
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Lost, "its lease is gone");
    depot.leases_end();
    assert_eq!(depot.sweep().await, Swept::default(), "nothing left");
    resume(&depot).await;
    assert_eq!(depot.leave().await.0.attempt, 1);
}

#[rstest]
#[tokio::test]
async fn a_paused_send_expires_only_once_sends_are_resumed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let sending = depot.claim_send().await;
    pause(&depot, all_sends()).await;
    depot.pass(Duration::from_hours(25));
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Paused);
    assert_eq!(depot.sweep().await, Swept::default());
    assert_eq!(depot.state(message).await, "queued");
    resume(&depot).await;
    let sending = depot.claim_send().await;
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Ended("expired"));
}

#[rstest]
#[tokio::test]
async fn a_pause_survives_a_restart(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let pauses = Pauses { sends: true, ..routes(&[ROUTE, "other"]) };
    pause(&depot, pauses.clone()).await;
    depot.store.close().await;
    let options = OpenOptions { migrate: true, connections: 2 };
    let store = open(&depot.store.url, &options, depot.clock.clone()).await.unwrap();
    assert_eq!(store.pauses().await.unwrap(), pauses);
    store.close().await;
}

#[tokio::test]
async fn two_people_who_pause_at_once_do_not_mix() {
    let depot = Depot::open(Backend::Postgres).await;
    let other = depot.store.second_instance().await;
    for _ in 0..10 {
        let (one, two) = (routes(&["a", "b"]), Pauses { sends: true, ..routes(&["b", "c"]) });
        let (first, second) = tokio::join!(depot.store.pause(&one), other.pause(&two));
        first.unwrap();
        second.unwrap();
        let left = depot.store.pauses().await.unwrap();
        assert!(left == one || left == two, "{left:?}");
    }
}
