//! Retention.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use switchboard::model::id::EventId;
use switchboard::model::job::Job;
use switchboard::model::outcome::StateChange;
use switchboard::model::retention::{Keep, Purged, Retention};
use switchboard::store::query::StoredBody;
use switchboard::store::retention;
use switchboard::store::work::Settled;

use crate::support::Backend;
use crate::support::arrivals::{BEN, inbound, raw, status};
use crate::support::depot::{Depot, ROUTE, done_with_state};

const MONTH: Duration = Duration::from_hours(31 * 24);

/// Bodies are kept for a month, events for four.
fn keep(depot: &Depot) -> Keep {
    Retention { bodies: MONTH, events: 4 * MONTH }.keep(depot.clock.now())
}

async fn purge(depot: &Depot) -> Purged {
    retention::purge(depot.store.as_ref(), &keep(depot)).await.unwrap()
}

/// Lets months pass as they do: with partitions made ahead.
async fn months_pass(depot: &Depot, months: u32) {
    for _ in 0..months {
        depot.pass(MONTH);
        depot.store.upkeep().await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn bodies_go_first_and_the_event_says_so(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let old = depot.ana_writes().await;
    assert_eq!(purge(&depot).await, Purged::default());
    // Whole months go on PostgreSQL: the last day of one may be two of ours ago.
    months_pass(&depot, 3).await;
    let young = depot.accept(inbound(&depot.clock)).await.id;
    assert_eq!(purge(&depot).await, Purged { bodies: 1, ..Purged::default() });
    let event = depot.event(old).await;
    assert!(event.body_purged);
    assert!(matches!(depot.store.event_body(old).await.unwrap(), Some(StoredBody::Purged(id)) if id == old));
    assert!(!depot.event(young).await.body_purged);
    assert_eq!(purge(&depot).await, Purged::default());
}

#[rstest]
#[tokio::test]
async fn events_go_at_last_with_everything_that_became_of_them(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let post = inbound(&depot.clock);
    depot.accept(post.clone()).await;
    depot.send("01K0000000000000000000990A").await;
    depot.accept(status(&depot.clock, "01K0000000000000000000990A", "read")).await;
    depot.accept(raw(&depot.clock, "what is this?")).await;
    // Parked for all the time, and waiting for all the time.
    depot.accept(inbound(&depot.clock).customer(BEN).on(ROUTE)).await;
    let parked = depot.claim_one().await;
    assert!(depot.settle(&parked, Settled::Park).await);
    months_pass(&depot, 6).await;
    depot.accept(inbound(&depot.clock)).await;
    let purged = purge(&depot).await;
    let expected =
        Purged { bodies: 5, events: 5, messages: 1, jobs: 1, conversations: 1, customers: 1, more: false };
    assert_eq!(purged, expected);
    assert_eq!(
        (depot.events().await.len(), depot.messages().await.len(), depot.jobs(None).await.len()),
        (1, 0, 0)
    );
    assert_eq!(purge(&depot).await, Purged::default());
    // Its ledger row went too: what comes again after so long is new.
    assert!(!depot.accept(post.again(&depot.clock)).await.duplicate);
}

#[rstest]
#[tokio::test]
async fn who_opted_out_is_remembered_and_what_waits_stays(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let event = depot.accept(inbound(&depot.clock)).await.id;
    let ana = depot.event(event).await.customer.unwrap();
    depot.store.opt(ana.id.unwrap(), Some("api")).await.unwrap().unwrap();
    depot.accept(inbound(&depot.clock).customer(BEN).on(ROUTE)).await;
    let waiting = depot.jobs(None).await;
    months_pass(&depot, 6).await;
    let purged = purge(&depot).await;
    assert_eq!((purged.events, purged.jobs, purged.conversations, purged.customers), (2, 0, 1, 0));
    let remembered = depot.store.customers(&ana.phone.unwrap()).await.unwrap();
    assert!(remembered[0].opted_out_at.is_some());
    let ids = |jobs: &[Job]| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(&depot.jobs(None).await), ids(&waiting));
    assert!(depot.claim().await.is_empty(), "its event is gone, and a person has to look");
    assert_eq!(purge(&depot).await.jobs, 1);
}

#[rstest]
#[tokio::test]
async fn many_go_in_rounds(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let again = inbound(&depot.clock);
    for _ in 0..12 {
        depot.accept_all((0..100).map(|_| inbound(&depot.clock))).await;
    }
    depot.accept(again.clone()).await;
    assert!(depot.accept(again.again(&depot.clock)).await.duplicate);
    months_pass(&depot, 6).await;
    let purged = purge(&depot).await;
    assert_eq!((purged.events, purged.conversations, purged.customers), (1_201, 1, 1));
    depot.store.close().await;
    let left = "SELECT (SELECT count(*) FROM dedupe) + (SELECT count(*) FROM repeats)";
    let left: i64 = match backend {
        Backend::Postgres => {
            let mut connection = PgConnection::connect(&depot.store.url).await.unwrap();
            sqlx::query_scalar(left).fetch_one(&mut connection).await.unwrap()
        }
        Backend::Sqlite => {
            let mut connection = SqliteConnection::connect(&depot.store.url).await.unwrap();
            sqlx::query_scalar(left).fetch_one(&mut connection).await.unwrap()
        }
    };
    assert_eq!(left, 0);
}

#[rstest]
#[tokio::test]
async fn two_instances_may_purge_at_once_beside_ingest(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    depot.ana_writes().await;
    months_pass(&depot, 6).await;
    let keep = keep(&depot);
    let group = [inbound(&depot.clock).on(ROUTE).into()];
    let (one, two, committed) =
        tokio::join!(depot.store.purge(&keep), other.purge(&keep), depot.store.commit(&group));
    assert_eq!(one.unwrap().events + two.unwrap().events, 1);
    let kept = committed.unwrap()[0].id;
    assert_eq!(depot.event(kept).await.customer.unwrap().phone.as_deref(), Some("+15550100001"));
}

/// Something happens in a conversation just when it is taken for empty: it and its state stay or go together.
#[tokio::test]
async fn a_conversation_that_comes_to_life_keeps_its_state() {
    let depot = Depot::open(Backend::Postgres).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done_with_state(StateChange::Set(json!({ "step": 2 })))).await);
    let conversation = depot.event(delivery.event.id).await.conversation_id.unwrap();
    months_pass(&depot, 6).await;
    let mut other = PgConnection::connect(&depot.store.url).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE handler_state IN ACCESS EXCLUSIVE MODE").execute(&mut *tx).await.unwrap();
    let keep = keep(&depot);
    let comes_to_life = async {
        // The months go first, and then the purge stands at the state.
        while !waits_for_the_state(&depot).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sqlx::query("INSERT INTO events (id, account, type, conversation_id, received_at) VALUES ($1, 'default', 'unknown', $2, 0)")
            .bind(EventId::new(depot.clock.ulid()))
            .bind(conversation)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    let (purged, ()) = tokio::join!(depot.store.purge(&keep), comes_to_life);
    purged.unwrap();
    let left: (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM handler_state)")
            .fetch_one(&mut other)
            .await
            .unwrap();
    assert_eq!(left.0, left.1);
}

async fn waits_for_the_state(depot: &Depot) -> bool {
    let mut looking = PgConnection::connect(&depot.store.url).await.unwrap();
    let waiting = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'handler_state'::regclass)",
    );
    let waits = waiting.fetch_one(&mut looking).await.unwrap();
    looking.close().await.unwrap();
    waits
}

/// A long export reads a month that is to go: nobody waits for it, and the month goes afterwards.
#[tokio::test]
async fn a_month_that_is_being_read_goes_later() {
    let depot = Depot::open(Backend::Postgres).await;
    depot.ana_writes().await;
    months_pass(&depot, 6).await;
    let mut reading = PgConnection::connect(&depot.store.url).await.unwrap();
    let mut tx = reading.begin().await.unwrap();
    let read: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(read, 1);
    let keep = keep(&depot);
    let beside = async {
        let mut committed = 0;
        for _ in 0..20 {
            depot.accept(inbound(&depot.clock)).await;
            committed += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        committed
    };
    let (purged, committed) = tokio::join!(depot.store.purge(&keep), beside);
    purged.unwrap();
    assert_eq!(committed, 20);
    tx.rollback().await.unwrap();
    let purged = purge(&depot).await;
    assert_eq!((purged.more, depot.events().await.len()), (false, 20));
}
