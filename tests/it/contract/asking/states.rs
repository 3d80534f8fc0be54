//! What handlers keep: read and cleared by a person.

use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use switchboard::model::id::ConversationId;
use switchboard::model::outcome::StateChange;
use switchboard::store::work::Settled;
use ulid::Ulid;

use crate::support::Backend;
use crate::support::arrivals::{Person, both, inbound, phone, user};
use crate::support::depot::{Depot, ROUTE, done_with_state};

const NUMBER: &str = "+15550100001";
const OLDER: Person = phone(NUMBER);
const YOUNGER: Person = user("US.1");
const ONE: Person = both(NUMBER, "US.1");

fn keeps(text: &str) -> Settled {
    done_with_state(StateChange::Set(json!({ "note": text })))
}

/// Somebody writes, and their handler keeps this.
async fn kept(depot: &Depot, person: Person, text: &str) -> ConversationId {
    let event = depot.accept(inbound(&depot.clock).customer(person).on(ROUTE)).await.id;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, keeps(text)).await);
    depot.event(event).await.conversation_id.unwrap()
}

/// What the usual route keeps.
async fn state(depot: &Depot, id: ConversationId) -> Option<String> {
    let state = depot.store.state(id, ROUTE).await.unwrap()?;
    Some(state.state.as_str().to_owned())
}

#[rstest]
#[tokio::test]
async fn a_state_is_found_by_its_route_and_conversation(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let ana = kept(&depot, OLDER, "tea").await;
    let ben = kept(&depot, YOUNGER, "coffee").await;
    let before = depot.clock.now();
    depot.accept(inbound(&depot.clock).customer(OLDER).on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, keeps("cake")).await);

    let found = depot.store.state(ana, ROUTE).await.unwrap().unwrap();
    assert_eq!((found.route.as_str(), found.conversation_id), (ROUTE, ana));
    assert_eq!(found.state.value(), json!({ "note": "cake" }));
    assert!(
        found.updated_at.as_millisecond() >= before.as_millisecond() && found.updated_at <= depot.clock.now()
    );
    assert!(!format!("{found:?}").contains("cake"), "{found:?}");
    assert_eq!(state(&depot, ben).await.as_deref(), Some(r#"{"note":"coffee"}"#));
    assert_eq!(depot.store.state(ana, "audit").await.unwrap(), None);
    let nobody = ConversationId::new(Ulid(1));
    assert_eq!(depot.store.state(nobody, ROUTE).await.unwrap(), None);
    assert!(!depot.store.clear_state(nobody, ROUTE).await.unwrap());
}

#[rstest]
#[tokio::test]
async fn what_is_cleared_is_gone_and_no_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let ana = kept(&depot, OLDER, "tea").await;
    let ben = kept(&depot, YOUNGER, "coffee").await;
    assert!(!depot.store.clear_state(ana, "audit").await.unwrap());
    assert!(depot.store.clear_state(ana, ROUTE).await.unwrap());
    assert!(!depot.store.clear_state(ana, ROUTE).await.unwrap(), "there was none any more");
    assert_eq!(state(&depot, ana).await, None);
    assert!(state(&depot, ben).await.is_some());
    depot.accept(inbound(&depot.clock).customer(OLDER).on(ROUTE)).await;
    assert_eq!(depot.claim_one().await.context.state, None);
}

#[rstest]
#[tokio::test]
async fn a_merged_conversation_answers_for_the_survivor(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let survivor = kept(&depot, OLDER, "tea").await;
    let merged = kept(&depot, YOUNGER, "coffee").await;
    depot.accept(inbound(&depot.clock).customer(ONE)).await;
    let found = depot.store.state(merged, ROUTE).await.unwrap().unwrap();
    assert_eq!((found.conversation_id, found.state.value()), (survivor, json!({ "note": "coffee" })));
    assert!(depot.store.clear_state(merged, ROUTE).await.unwrap());
    assert_eq!(state(&depot, survivor).await, None);
}

#[rstest]
#[tokio::test]
async fn a_job_that_runs_has_its_state_still_and_may_write_it_anew(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let ana = kept(&depot, OLDER, "tea").await;
    for (resolution, left) in
        [(done_with_state(StateChange::Keep), None), (keeps("cake"), Some(r#"{"note":"cake"}"#))]
    {
        depot.accept(inbound(&depot.clock).customer(OLDER).on(ROUTE)).await;
        let under_way = depot.claim_one().await;
        let cleared = depot.store.clear_state(ana, ROUTE).await.unwrap();
        assert_eq!(cleared, under_way.context.state.is_some());
        assert!(depot.settle(&under_way, resolution).await);
        assert_eq!(state(&depot, ana).await.as_deref(), left);
    }
}

/// A merge moves the state just when it is to be cleared: it is cleared where it went.
#[tokio::test]
async fn a_state_that_is_moved_meanwhile_is_cleared_where_it_went() {
    let depot = Depot::open(Backend::Postgres).await;
    let survivor = kept(&depot, OLDER, "tea").await;
    let merged = kept(&depot, YOUNGER, "coffee").await;
    let mut other = PgConnection::connect(&depot.store.url).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    let statements = [
        "SELECT id FROM conversations WHERE id IN ($1, $2) FOR UPDATE",
        "UPDATE conversations SET merged_into = $1 WHERE id = $2",
        "DELETE FROM handler_state WHERE conversation_id = $1 AND $1 <> $2",
        "UPDATE handler_state SET conversation_id = $1 WHERE conversation_id = $2",
    ];
    for statement in statements {
        sqlx::query(statement).bind(survivor).bind(merged).execute(&mut *tx).await.unwrap();
    }
    let merges = async {
        while !somebody_waits(&depot).await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        tx.commit().await.unwrap();
    };
    let (cleared, ()) = tokio::join!(depot.store.clear_state(merged, ROUTE), merges);
    assert!(cleared.unwrap());
    assert_eq!(state(&depot, survivor).await, None);
}

async fn somebody_waits(depot: &Depot) -> bool {
    let mut looking = PgConnection::connect(&depot.store.url).await.unwrap();
    // Whoever waits for a row waits for the transaction that holds it.
    let waiting = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE NOT l.granted AND a.datname = current_database())",
    );
    let waits = waiting.fetch_one(&mut looking).await.unwrap();
    looking.close().await.unwrap();
    waits
}
