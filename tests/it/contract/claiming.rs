//! Claiming deliveries: leases and lanes (P6).

use std::collections::HashSet;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use switchboard::model::id::EventId;
use switchboard::model::job::JobState;
use switchboard::model::outcome::StateChange;
use switchboard::store::work::{ClaimDeliveries, Delivery, Settled, Settlement};

use crate::support::Backend;
use crate::support::arrivals::{BEN, Post, inbound, raw, status};
use crate::support::depot::{Depot, LEASE, ROUTE, attempt, claim_from, done_with_state, of_route, say};

const SECOND: Duration = Duration::from_secs(1);

fn events(deliveries: &[Delivery]) -> Vec<EventId> {
    deliveries.iter().map(|delivery| delivery.event.id).collect()
}

/// Inbounds of so many customers, one each, on the usual route.
fn crowd(depot: &Depot, size: u32) -> Vec<Post> {
    let post = |n| {
        let sender = json!({ "id": format!("+1555030{n:04}") });
        inbound(&depot.clock).with("sender", sender).on(ROUTE)
    };
    (0..size).map(post).collect()
}

#[rstest]
#[tokio::test]
async fn a_delivery_comes_with_its_surroundings(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let id = depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert_eq!((delivery.event.id, delivery.context.route.as_str()), (id, ROUTE));
    assert_eq!((delivery.context.attempt, delivery.context.first_contact), (1, true));
    assert_eq!((delivery.context.job, delivery.context.state.is_none()), (delivery.lease.job, true));
    assert!(delivery.context.message.is_none() && delivery.context.latest_message.is_none());
    let conversation = delivery.context.conversation.clone().unwrap();
    assert_eq!(Some(conversation.id), delivery.event.conversation_id);
    let age = depot.clock.now().duration_since(delivery.first_attempt_at);
    assert!(age.unsigned_abs() < SECOND, "{age:?}");

    let changed = done_with_state(StateChange::Set(json!({ "step": 2 })));
    assert!(depot.settle(&delivery, changed).await);
    depot.ana_writes().await;
    let next = depot.claim_one().await;
    assert_eq!(next.context.state, Some(json!({ "step": 2 })));
    assert!(!next.context.first_contact);
}

#[rstest]
#[tokio::test]
async fn a_delivery_knows_the_messages_around_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let id = "01K00000000000000000000001";
    let message = depot.send(id).await;
    let later = depot.queue_text("and another").await;
    let uuid = uuid::Uuid::from_u128(ulid::Ulid::from_string(id).unwrap().0).to_string();
    let reply = inbound(&depot.clock).with("context", json!({ "replyToId": uuid }));
    for post in [status(&depot.clock, id, "read"), reply] {
        depot.accept(post.on(ROUTE)).await;
        let delivery = depot.claim_one().await;
        assert_eq!(delivery.context.message.as_ref().unwrap().id, message);
        assert_eq!(delivery.context.latest_message.as_ref().unwrap().id, later);
        assert!(depot.settle(&delivery, done_with_state(StateChange::Keep)).await);
    }
}

#[rstest]
#[tokio::test]
async fn claim_skips_leased_jobs(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.accept_all(crowd(&depot, 3)).await;
    assert_eq!(depot.claim().await.len(), 3);
    assert!(depot.claim().await.is_empty());
    assert!(depot.jobs(None).await.iter().all(|job| job.state == JobState::Running));
}

#[rstest]
#[tokio::test]
async fn only_the_head_of_a_lane_is_claimed(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let ids = [depot.ana_writes().await, depot.ana_writes().await, depot.ana_writes().await];
    for id in ids {
        let delivery = depot.claim_one().await;
        assert_eq!(delivery.event.id, id);
        assert!(depot.claim().await.is_empty(), "the lane is taken");
        assert!(depot.settle(&delivery, say("noted")).await);
    }
    assert!(depot.claim().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn conversations_and_routes_do_not_wait_for_each_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).on(ROUTE).on("audit")).await;
    depot.accept(inbound(&depot.clock).on(ROUTE).on("audit")).await;
    depot.accept(inbound(&depot.clock).customer(BEN).on(ROUTE)).await;
    assert_eq!(depot.claim().await.len(), 2);
    let audit = depot.claim_on("audit").await;
    assert_eq!(audit.len(), 1);
    assert!(depot.settle(&audit[0], say("noted")).await);
    assert_eq!(depot.claim_on("audit").await.len(), 1, "the other route's first is still running");
}

#[rstest]
#[tokio::test]
async fn a_waiting_retry_holds_its_lane(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let (first, second) = (depot.ana_writes().await, depot.ana_writes().await);
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, Settled::Retry(10 * SECOND)).await);
    depot.pass(9 * SECOND);
    assert!(depot.claim().await.is_empty());
    depot.pass(SECOND);
    let again = depot.claim_one().await;
    assert_eq!((again.event.id, again.context.attempt), (first, 2));
    assert_eq!(again.first_attempt_at, delivery.first_attempt_at);
    assert!(depot.settle(&again, say("noted")).await);
    assert_eq!(depot.claim_one().await.event.id, second);
}

#[rstest]
#[tokio::test]
async fn a_parked_job_releases_its_lane(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let second = depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, Settled::Park).await);
    assert_eq!(depot.claim_one().await.event.id, second);
}

#[rstest]
#[tokio::test]
async fn a_retried_job_goes_to_the_end_of_its_lane(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let (first, second) = (depot.ana_writes().await, depot.ana_writes().await);
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, Settled::Park).await);
    let job = depot.store.retry_job(delivery.lease.job).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Ready, 0));
    let third = depot.ana_writes().await;
    for (id, attempt) in [(second, 1), (first, 1), (third, 1)] {
        let delivery = depot.claim_one().await;
        assert_eq!((delivery.event.id, delivery.context.attempt), (id, attempt));
        assert!(depot.settle(&delivery, say("noted")).await);
    }
}

#[rstest]
#[tokio::test]
async fn unordered_jobs_do_not_wait(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    for _ in 0..3 {
        depot.accept(inbound(&depot.clock).on_unordered(ROUTE)).await;
    }
    assert_eq!(depot.claim().await.len(), 3);
}

#[rstest]
#[tokio::test]
async fn events_without_a_conversation_have_no_lane(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let unknown = |body: &'static str| {
        let mut arrival = raw(&depot.clock, body);
        arrival.routes = inbound_routes(&depot);
        arrival
    };
    depot.accept_all([unknown("one"), unknown("two")]).await;
    let deliveries = depot.claim().await;
    assert_eq!(deliveries.len(), 2);
    assert!(deliveries[0].context.conversation.is_none());
}

fn inbound_routes(depot: &Depot) -> Vec<switchboard::store::arrival::RouteMatch> {
    switchboard::store::arrival::Arrival::from(inbound(&depot.clock).on(ROUTE)).routes
}

#[rstest]
#[tokio::test]
async fn two_instances_never_share_a_job_or_a_lane(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for _ in 0..4 {
        let (one, two) = (crowd(&depot, 20), crowd(&depot, 20));
        depot.accept_all(one.into_iter().chain(two)).await;
    }
    let mut seen = HashSet::new();
    loop {
        let claim = of_route(ROUTE, 7);
        let (one, two) = tokio::join!(depot.claim_as(&claim), claim_from(other.as_ref(), &claim));
        let deliveries: Vec<_> = one.into_iter().chain(two).collect();
        if deliveries.is_empty() {
            break;
        }
        let lanes: HashSet<_> = deliveries.iter().map(|delivery| delivery.event.conversation_id).collect();
        assert_eq!(lanes.len(), deliveries.len(), "two of one lane at a time");
        for delivery in &deliveries {
            assert!(seen.insert(delivery.lease.job), "claimed twice");
            assert!(depot.settle(delivery, done_with_state(StateChange::Keep)).await);
        }
    }
    assert_eq!(seen.len(), 160);
}

#[rstest]
#[tokio::test]
async fn a_claim_takes_no_more_than_its_slots_and_its_limit(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let posts = crowd(&depot, 12).into_iter().map(|post| post.on("audit"));
    depot.accept_all(posts).await;
    let claim = ClaimDeliveries {
        routes: vec![(ROUTE.into(), 3), ("audit".into(), 4)],
        limit: 100,
        ..of_route(ROUTE, 0)
    };
    let claimed = depot.store.claim_deliveries(&claim).await.unwrap();
    let of = |route: &str| claimed.iter().filter(|job| job.route == route).count();
    assert_eq!((of(ROUTE), of("audit")), (3, 4));
    let claim = ClaimDeliveries { limit: 5, ..claim };
    assert_eq!(depot.store.claim_deliveries(&claim).await.unwrap().len(), 5);
    assert_eq!(depot.store.claim_deliveries(&of_route(ROUTE, 0)).await.unwrap().len(), 0);
}

#[rstest]
#[tokio::test]
async fn the_longest_due_is_claimed_first(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let mut ids = Vec::new();
    for post in crowd(&depot, 5) {
        ids.push(depot.accept(post).await.id);
        depot.pass(SECOND);
    }
    let claimed = depot.claim_as(&of_route(ROUTE, 3)).await;
    let claimed: HashSet<_> = events(&claimed).into_iter().collect();
    assert_eq!(claimed, ids[..3].iter().copied().collect());
}

#[rstest]
#[tokio::test]
async fn an_unknown_route_is_not_claimed(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).on("elsewhere")).await;
    assert!(depot.claim().await.is_empty());
    assert_eq!(depot.claim_on("elsewhere").await.len(), 1);
}

/// Longer than a claim looks back.
const LONG: Duration = Duration::from_mins(1);

#[rstest]
#[tokio::test]
async fn a_claim_that_goes_on_finds_what_its_process_let_go(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let lane = [depot.ana_writes().await, depot.ana_writes().await, depot.ana_writes().await];
    depot.pass(LONG);
    let others = crowd(&depot, 2);
    depot.accept_all(others).await;
    let claimed = depot.claim_onwards().await;
    assert_eq!((claimed.len(), claimed[0].event.id), (3, lane[0]));
    assert!(depot.settle(&claimed[0], say("noted")).await);
    let next = depot.claim_onwards().await;
    assert_eq!(events(&next), [lane[1]], "its lane let it go");
    depot.pass(LONG);
    assert!(depot.claim_onwards().await.is_empty());
    depot.store.release(&[next[0].lease]).await.unwrap();
    let again = depot.claim_onwards().await;
    assert_eq!(events(&again), [lane[1]], "it was given back");
    depot.pass(LONG);
    assert!(depot.claim_onwards().await.is_empty());
    assert!(depot.settle(&again[0], Settled::Park).await);
    let last = depot.claim_onwards().await;
    assert_eq!(events(&last), [lane[2]], "what is parked holds up nobody");
    assert!(depot.settle(&last[0], Settled::Retry(LONG)).await);
    depot.pass(LONG);
    assert_eq!(events(&depot.claim_onwards().await), [lane[2]], "it is tried again");
}

#[rstest]
#[tokio::test]
async fn what_another_process_let_go_is_found_in_the_whole_queue(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    let (_, second) = (depot.ana_writes().await, depot.ana_writes().await);
    let first = depot.claim_one().await;
    depot.pass(LONG);
    assert!(depot.claim_onwards().await.is_empty());
    let attempt = attempt(1, depot.clock.now(), "done", None);
    let settlement = Settlement { lease: first.lease, attempt, resolution: say("noted") };
    assert_eq!(other.settle(&[settlement]).await.unwrap(), [true]);
    assert_eq!(events(&depot.claim().await), [second]);
}

#[rstest]
#[tokio::test]
async fn what_was_left_behind_is_claimed_only_when_asked_for(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let first = depot.ana_writes().await;
    depot.ana_writes().await;
    let held = depot.claim_one().await;
    assert!(depot.reclaim().await.is_empty(), "the lease lasts");
    depot.leases_end();
    assert!(depot.claim().await.is_empty(), "neither it nor what is behind it");
    let again = depot.reclaim().await;
    assert_eq!(events(&again), [first]);
    assert_eq!(again[0].context.attempt, 2);
    assert_ne!(again[0].lease.token, held.lease.token);
    assert!(depot.reclaim().await.is_empty());
    assert!(depot.settle(&again[0], say("noted")).await);
    assert!(depot.reclaim().await.is_empty(), "what nobody held is not left behind");
    assert_eq!(depot.claim().await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_lease_that_ended_leaves_the_job_ready(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let held = depot.claim_one().await;
    assert_eq!(depot.job(held.lease).await.state, JobState::Running);
    depot.leases_end();
    assert_eq!(depot.job(held.lease).await.state, JobState::Ready);
}

#[rstest]
#[tokio::test]
async fn a_renewed_lease_lasts_longer(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let held = depot.claim_one().await;
    depot.pass(20 * SECOND);
    assert_eq!(depot.store.renew(&[held.lease], LEASE).await.unwrap(), [held.lease]);
    depot.pass(20 * SECOND);
    assert!(depot.reclaim().await.is_empty());
    depot.pass(11 * SECOND);
    // Nobody took it over, so it is still held and may be renewed.
    assert_eq!(depot.store.renew(&[held.lease], LEASE).await.unwrap(), [held.lease]);
    depot.leases_end();
    let taken = depot.reclaim().await.remove(0);
    let renewed = depot.store.renew(&[held.lease, taken.lease], LEASE).await.unwrap();
    assert_eq!(renewed, [taken.lease]);
}

#[rstest]
#[tokio::test]
async fn a_released_job_is_ready_and_its_attempt_uncounted(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let id = depot.ana_writes().await;
    let held = depot.claim_one().await;
    depot.store.release(&[held.lease]).await.unwrap();
    assert_eq!(depot.job(held.lease).await.attempts, 0);
    depot.pass(5 * SECOND);
    let again = depot.claim_one().await;
    assert_eq!((again.event.id, again.context.attempt), (id, 1));
    let age = depot.clock.now().duration_since(again.first_attempt_at);
    assert!(age.unsigned_abs() < SECOND, "the first attempt is this one, not one {age:?} ago");
    depot.store.release(&[held.lease]).await.unwrap();
    assert_eq!(
        depot.job(again.lease).await.state,
        JobState::Running,
        "a lease gives back only its own claim"
    );
}

#[rstest]
#[tokio::test]
async fn a_stale_lease_settles_nothing(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let stale = depot.claim_one().await;
    depot.leases_end();
    let taken = depot.reclaim().await.remove(0);
    for resolution in [say("from the dead"), Settled::Retry(SECOND), Settled::Park] {
        assert!(!depot.settle(&stale, resolution).await);
    }
    assert!(depot.messages().await.is_empty());
    assert_eq!(depot.job(taken.lease).await.state, JobState::Running);
    assert!(depot.settle(&taken, say("alive")).await);
    assert_eq!(depot.messages().await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_lease_that_ended_untaken_still_settles(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let slow = depot.claim_one().await;
    depot.leases_end();
    assert!(depot.settle(&slow, say("slow")).await);
    assert!(depot.reclaim().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_job_whose_event_is_gone_is_parked_and_releases_its_lane(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let gone = depot.ana_writes().await;
    let next = depot.ana_writes().await;
    forget(&depot, gone).await;
    assert!(depot.claim().await.is_empty());
    let parked = depot.jobs(Some(JobState::Parked)).await;
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (parked[0].event_id, parked[0].last_error.as_deref()),
        (Some(gone), Some("its event is gone"))
    );
    assert_eq!(events(&depot.claim().await), [next]);
}

/// Drops an event as retention does.
async fn forget(depot: &Depot, id: EventId) {
    let url = &depot.store.url;
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::query("DELETE FROM events WHERE id = $1").bind(id).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query("DELETE FROM events WHERE id = $1").bind(id).execute(&mut connection).await.unwrap();
    }
}
