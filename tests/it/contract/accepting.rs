//! Accepting deliveries: P1, P2 and P3 as far as a store keeps them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use switchboard::clock::Clock;
use switchboard::model::event::{EventKind, EventType};
use switchboard::model::id::{EventId, JobId};
use switchboard::model::job::{JobKind, JobState};
use switchboard::store::StoreError;
use switchboard::store::arrival::{Arrival, Receipt};
use switchboard::store::query::StoredBody;
use switchboard::store::work::{GroupTurn, Offer};
use tokio::sync::Semaphore;

use crate::support::Backend;
use crate::support::arrivals::{inbound, raw, status};
use crate::support::depot::{Depot, ROUTE};

/// A ULID of a Connectly message.
const MESSAGE: &str = "01K00000000000000000000001";

async fn body(depot: &Depot, id: EventId) -> Bytes {
    match depot.store.event_body(id).await.unwrap() {
        Some(StoredBody::Kept(body)) => body,
        other => panic!("the body is {other:?}"),
    }
}

#[rstest]
#[tokio::test]
async fn p1_a_committed_event_is_there_for_another_instance(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let post = inbound(&depot.clock).text("is anybody there?").on(ROUTE);
    let receipt = depot.accept(post.clone()).await;
    let other = depot.store.second_instance().await;
    let event = other.event(receipt.id).await.unwrap().unwrap();
    assert_eq!(event.event_type(), EventType::MessageReceived);
    assert_eq!(event.content().unwrap().text.as_deref(), Some("is anybody there?"));
    assert_eq!((receipt.duplicate, receipt.jobs, event.duplicates), (false, 1, 0));
    assert_eq!(body(&depot, receipt.id).await, post.body());
}

#[rstest]
#[tokio::test]
async fn p1_a_group_is_kept_whole_or_not_at_all(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let good: Arrival = inbound(&depot.clock).on(ROUTE).into();
    // Two rows of one id: nothing that decoding lets through is refused by the database, but this is.
    let bad = Arrival { id: good.id, ..inbound(&depot.clock).text("another").into() };
    let refused = depot.store.commit(&[good.clone(), bad]).await;
    assert!(matches!(refused, Err(StoreError::Data(_) | StoreError::Contention(_))), "{refused:?}");
    assert!(depot.store.event(good.id).await.unwrap().is_none());
    assert!(depot.jobs(None).await.is_empty());
    let receipt = depot.accept(good).await;
    assert!(!receipt.duplicate, "its key was not kept either");
}

#[rstest]
#[tokio::test]
async fn p2_what_cannot_be_decoded_is_kept_with_its_bytes(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let bodies: [&[u8]; 5] = [b"", b"not json", b"\xff\x00\xfe", b"[1,2]", br#"{"surprise":1}"#];
    let receipts = depot.accept_all(bodies.map(|body| raw(&depot.clock, body))).await;
    for (receipt, bytes) in receipts.iter().zip(bodies) {
        assert_eq!(depot.event(receipt.id).await.event_type(), EventType::Unknown);
        assert_eq!(body(&depot, receipt.id).await, bytes);
    }
}

#[rstest]
#[tokio::test]
async fn p2_a_body_stored_opaque_is_kept_with_its_bytes(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let arrival = Arrival::from(inbound(&depot.clock).on(ROUTE));
    let receipt = depot.accept(arrival.opaque()).await;
    let event = depot.event(receipt.id).await;
    assert_eq!((event.event_type(), receipt.jobs), (EventType::Unknown, 0));
    assert!(matches!(event.kind, EventKind::Unknown), "the stored type stands");
    assert_eq!(body(&depot, receipt.id).await, arrival.body);
}

#[rstest]
#[tokio::test]
async fn p3_repeats_within_a_group_are_one_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let post = inbound(&depot.clock).on(ROUTE);
    let group: Vec<_> = (0..64).map(|_| post.again(&depot.clock)).collect();
    let receipts = depot.accept_all(group).await;
    let id = receipts[0].id;
    assert_eq!(receipts[0], Receipt { id, duplicate: false, jobs: 1 });
    let repeat = Receipt { id, duplicate: true, jobs: 0 };
    assert!(receipts[1..].iter().all(|receipt| *receipt == repeat));
    assert_eq!(depot.events().await.len(), 1);
    assert_eq!(depot.event(id).await.duplicates, 63);
    assert_eq!(depot.jobs(None).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn p3_repeats_in_later_groups_are_counted(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let post = status(&depot.clock, MESSAGE, "sent").on(ROUTE);
    let first = depot.accept(post.clone()).await;
    for _ in 0..3 {
        let other = inbound(&depot.clock);
        let receipts = depot.accept_all([other, post.again(&depot.clock)]).await;
        assert_eq!((receipts[0].duplicate, receipts[1].duplicate), (false, true));
        assert_eq!(receipts[1].id, first.id);
    }
    assert_eq!(depot.event(first.id).await.duplicates, 3);
    assert_eq!(depot.jobs(None).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn p3_concurrent_repeats_make_one_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for _ in 0..10 {
        let posts: Vec<_> = (0..8).map(|_| inbound(&depot.clock).on(ROUTE)).collect();
        let one: Vec<Arrival> = posts.iter().map(|post| post.again(&depot.clock).into()).collect();
        // The other way round: both lock the same keys.
        let two: Vec<Arrival> = posts.iter().rev().map(|post| post.again(&depot.clock).into()).collect();
        let (one, two) = tokio::join!(depot.store.commit(&one), other.commit(&two));
        let (one, two) = (one.unwrap(), two.unwrap());
        for (one, two) in one.iter().zip(two.iter().rev()) {
            assert_eq!(one.id, two.id);
            assert_ne!(one.duplicate, two.duplicate);
        }
    }
    assert_eq!(depot.events().await.len(), 80);
    assert_eq!(depot.jobs(None).await.len(), 80);
    assert!(depot.events().await.iter().all(|event| event.duplicates == 1));
}

#[rstest]
#[tokio::test]
async fn p3_concurrent_repeats_are_all_counted(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    let posts: Vec<_> = (0..8).map(|_| inbound(&depot.clock)).collect();
    depot.accept_all(posts.clone()).await;
    for _ in 0..10 {
        let again = || posts.iter().map(|post| Arrival::from(post.again(&depot.clock)));
        let (one, two): (Vec<_>, Vec<_>) = (again().collect(), again().rev().collect());
        let (one, two) = tokio::join!(depot.store.commit(&one), other.commit(&two));
        assert!(one.unwrap().iter().chain(&two.unwrap()).all(|receipt| receipt.duplicate));
    }
    assert!(depot.events().await.iter().all(|event| event.duplicates == 20));
}

#[rstest]
#[tokio::test]
async fn another_body_under_a_known_key_is_an_event_without_jobs(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let post = status(&depot.clock, MESSAGE, "sent").on(ROUTE);
    let first = depot.accept(post.clone()).await;
    let variant = post.again(&depot.clock).with("metadata", json!({ "campaign_name": "spring" }));
    let kept = depot.accept(variant.clone()).await;
    assert_ne!(kept.id, first.id);
    assert_eq!((kept.duplicate, kept.jobs), (true, 0));
    assert_eq!(body(&depot, kept.id).await, variant.body());
    assert_eq!(depot.jobs(None).await.len(), 1);

    let again = depot.accept(variant.again(&depot.clock)).await;
    assert_eq!((again.id, again.duplicate), (kept.id, true));
    assert_eq!(depot.event(kept.id).await.duplicates, 1);
    assert_eq!(depot.event(first.id).await.duplicates, 0);
    assert_eq!(depot.events().await.len(), 2);
}

#[rstest]
#[tokio::test]
async fn variants_in_one_group_are_kept_once_each(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let post = inbound(&depot.clock).on(ROUTE);
    let variant = post.again(&depot.clock).text("edited");
    let group = [post.clone(), variant.clone(), post.again(&depot.clock), variant.again(&depot.clock)];
    let receipts = depot.accept_all(group).await;
    let told: Vec<_> = receipts.iter().map(|receipt| (receipt.duplicate, receipt.jobs)).collect();
    assert_eq!(told, [(false, 1), (true, 0), (true, 0), (true, 0)]);
    assert_eq!((receipts[2].id, receipts[3].id), (receipts[0].id, receipts[1].id));
    let repeats: Vec<_> = depot.events().await.iter().map(|event| event.duplicates).collect();
    assert_eq!(repeats, [1, 1]);
}

#[rstest]
#[tokio::test]
async fn accounts_do_not_share_keys(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let post = inbound(&depot.clock);
    let receipts =
        depot.accept_all([post.again(&depot.clock), post.again(&depot.clock).account("other")]).await;
    assert!(receipts.iter().all(|receipt| !receipt.duplicate));
    assert_eq!(depot.event(receipts[1].id).await.account, "other");
    let repeat = depot.accept(post.again(&depot.clock).account("other")).await;
    assert_eq!((repeat.id, repeat.duplicate), (receipts[1].id, true));
    assert_eq!(depot.event(receipts[0].id).await.duplicates, 0);
}

#[rstest]
#[tokio::test]
async fn every_matching_route_has_a_job(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let post = inbound(&depot.clock).on("one").on_unordered("two").failing("three", "no such field");
    assert_eq!(depot.accept(post).await.jobs, 3);
    let mut jobs: Vec<_> =
        depot.jobs(None).await.into_iter().map(|job| (job.route.unwrap(), job.state)).collect();
    jobs.sort_by(|one, two| one.0.cmp(&two.0));
    let expected = [("one", JobState::Ready), ("three", JobState::Parked), ("two", JobState::Ready)];
    assert_eq!(jobs, expected.map(|(route, state)| (route.to_owned(), state)));
    let parked = depot.jobs(Some(JobState::Parked)).await.remove(0);
    assert_eq!((parked.kind, parked.last_error.as_deref()), (JobKind::Deliver, Some("no such field")));
}

#[rstest]
#[tokio::test]
async fn strange_values_are_stored(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let long = "x".repeat(4096);
    let nul = "a\0b";
    let strange = |value: &str| {
        inbound(&depot.clock)
            .message_id(value)
            .number(value)
            .text(value)
            .with("context", json!({ "replyToId": value }))
            .with("metadata", json!({ "campaign_name": value }))
            .with("callbackData", json!({ value: value }))
            .on(ROUTE)
    };
    let named = |value: &str| {
        let endpoint = json!({ "id": value, "name": value, "userId": value });
        status(&depot.clock, value, "delivery_failed").error(value).with("recipient", endpoint).on(ROUTE)
    };
    let posts = [strange(&long), strange(nul), named(&long), named(nul), named("\u{1F600}")];
    let receipts = depot.accept_all(posts.clone()).await;
    for (receipt, post) in receipts.iter().zip(posts) {
        assert_eq!((receipt.duplicate, receipt.jobs), (false, 1));
        assert_eq!(body(&depot, receipt.id).await, post.body());
        assert!(depot.event(receipt.id).await.conversation_id.is_some());
    }
    assert_eq!(depot.claim().await.len(), 5);
}

#[rstest]
#[tokio::test]
async fn callback_data_is_kept_as_it_was_received(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let megabyte = format!("\"{}\"", "y".repeat(1 << 20));
    let values = [r#""\ud800""#, r#"{"b":1e400,"a":"\u0000","\udfff":[ ]}"#, "null", "7", megabyte.as_str()];
    for value in values {
        let text = String::from_utf8(inbound(&depot.clock).body().to_vec()).unwrap();
        let body = text.replacen('{', &format!("{{\"callbackData\":{value},"), 1);
        let event = depot.accept(raw(&depot.clock, body)).await.id;
        let stored = depot.event(event).await.callback_data.unwrap();
        assert!(stored.as_str() == value, "{} bytes", value.len());
    }
}

#[rstest]
#[tokio::test]
async fn a_status_without_an_id_is_an_event_of_no_message(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let post = status(&depot.clock, "", "delivered").on(ROUTE);
    let receipt = depot.accept(post.clone()).await;
    let event = depot.event(receipt.id).await;
    assert_eq!((event.event_type(), receipt.jobs), (EventType::MessageDelivered, 1));
    assert_eq!((event.provider_message_id, event.message_id), (None, None));
    assert!(depot.messages().await.is_empty());
    assert!(depot.accept(post.again(&depot.clock)).await.duplicate);
    assert_eq!(depot.claim().await.len(), 1);
}

/// An event whose own time is this many seconds since 1970, by its id and by its timestamp.
fn dated(clock: &Clock, seconds: i64) -> [Arrival; 2] {
    let millis = u64::try_from(seconds).unwrap() * 1000;
    let id = ulid::Ulid::from_parts(millis, 7).to_string();
    let undated_id = inbound(clock).message_id(Value::Null).with("timestamp", seconds.to_string());
    [inbound(clock).message_id(id).on(ROUTE).into(), undated_id.on(ROUTE).into()]
}

#[rstest]
#[tokio::test]
async fn keys_of_any_time_are_told_apart(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let now = depot.clock.now().as_second();
    let year = 365 * 24 * 3600;
    let times = [0, 1, now - 10 * year, now - year / 6, now + year / 6, now + 10 * year, 253_402_300_799];
    let group: Vec<Arrival> = times.iter().flat_map(|time| dated(&depot.clock, *time)).collect();
    let receipts = depot.accept_all(group.clone()).await;
    assert!(receipts.iter().all(|receipt| !receipt.duplicate));
    let repeats =
        group.into_iter().map(|arrival| Arrival { id: EventId::new(depot.clock.ulid()), ..arrival });
    let repeated = depot.accept_all(repeats).await;
    assert!(repeated.iter().all(|receipt| receipt.duplicate));
    assert_eq!(depot.events().await.len(), times.len() * 2);
}

#[rstest]
#[tokio::test]
async fn time_may_pass_the_last_month_that_was_made_ready(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let month = Duration::from_hours(31 * 24);
    for _ in 0..3 {
        depot.pass(5 * month);
        let post = inbound(&depot.clock).on(ROUTE);
        assert!(!depot.accept(post.clone()).await.duplicate);
        assert!(depot.accept(post.again(&depot.clock)).await.duplicate);
        // What becomes of the job is partitioned as well, and may come later.
        depot.pass(5 * month);
        let delivery = depot.claim_as(&crate::support::depot::of_route(ROUTE, 1)).await;
        assert!(depot.settle(&delivery[0], crate::support::depot::say("late")).await);
    }
    assert_eq!(depot.events().await.len(), 3);
}

#[rstest]
#[tokio::test]
async fn nobody_finds_what_is_not_there(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let ulid = depot.clock.ulid();
    assert!(depot.store.event(EventId::new(ulid)).await.unwrap().is_none());
    assert!(depot.store.event_body(EventId::new(ulid)).await.unwrap().is_none());
    assert!(depot.store.job(JobId::new(ulid)).await.unwrap().is_none());
    assert!(depot.store.message(&ulid.to_string()).await.unwrap().is_none());
    assert!(depot.store.message("wamid.none").await.unwrap().is_none());
    assert!(depot.store.commit(&[]).await.unwrap().is_empty());
    depot.store.ping().await.unwrap();
}

/// How long something is waited for that is to happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A group is held up first by a lock that its statements need, then by one that only its commit needs.
#[tokio::test]
async fn p1_the_next_group_may_begin_before_the_commit_and_nothing_is_told_before_it() {
    let depot = Depot::open(Backend::Postgres).await;
    let mut statements = PgConnection::connect(&depot.store.url).await.unwrap();
    let mut commits = PgConnection::connect(&depot.store.url).await.unwrap();
    sqlx::raw_sql(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON conversations DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION hold();
         SELECT pg_advisory_lock(1)",
    )
    .execute(&mut commits)
    .await
    .unwrap();
    let mut locked = statements.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE events IN ACCESS EXCLUSIVE MODE").execute(&mut *locked).await.unwrap();

    let turns = Arc::new(Semaphore::new(1));
    let turn = GroupTurn::new(Arc::clone(&turns).acquire_owned().await.unwrap());
    let (store, group) = (Arc::clone(&*depot.store), [Arrival::from(inbound(&depot.clock))]);
    let committing =
        tokio::spawn(async move { store.commit_and_lease(&group, &Offer::default(), &turn).await });
    wait_for_a_lock(&mut commits).await;
    assert_eq!(turns.available_permits(), 0, "its statements are not done");
    locked.rollback().await.unwrap();

    let next = tokio::time::timeout(PATIENCE, turns.acquire()).await;
    assert!(next.is_ok(), "the next group waits for the commit");
    wait_for_a_lock(&mut commits).await;
    assert!(!committing.is_finished() && depot.events().await.is_empty(), "it is not committed");
    sqlx::raw_sql("SELECT pg_advisory_unlock(1)").execute(&mut commits).await.unwrap();
    assert_eq!(committing.await.unwrap().unwrap().receipts.len(), 1);
    assert_eq!(depot.events().await.len(), 1);
}

/// Until somebody waits for a lock in this database.
async fn wait_for_a_lock(connection: &mut PgConnection) {
    let waiting = async {
        loop {
            let waits: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock')",
            )
            .fetch_one(&mut *connection)
            .await
            .unwrap();
            if waits {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("nobody waits for a lock");
}
