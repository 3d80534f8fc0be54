//! Erasing a customer with a long history: what is finished goes first, bit by bit.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use switchboard::model::id::CustomerId;
use switchboard::model::retention::Erased;
use switchboard::store::query::MessageFilter;

use super::traces::traces;
use crate::support::Backend;
use crate::support::arrivals::{BEN, Person, Post, inbound, phone, status};
use crate::support::depot::{Depot, ROUTE, done, first, say};

const NUMBER: &str = "+15550177001";
const ANA: Person = phone(NUMBER);
const WORDS: &str = "meet me at the harbour";
/// More than two steps of each kind.
const MANY: usize = 1_100;

/// Ana's history: what she wrote, and as many statuses of messages that somebody else sent.
async fn long_history(depot: &Depot) -> CustomerId {
    let (mut written, mut told): (Vec<Post>, Vec<Post>) = (Vec::new(), Vec::new());
    for number in 0..MANY {
        written.push(inbound(&depot.clock).customer(ANA).text(WORDS));
        let status = status(&depot.clock, &format!("01K0000000000000000077{number:04}"), "delivered");
        told.push(status.customer(ANA).with("callbackData", json!({ "order": number })));
    }
    for group in written.chunks(200).chain(told.chunks(200)) {
        depot.accept_all(group.to_vec()).await;
    }
    depot.store.customers(NUMBER).await.unwrap()[0].id
}

async fn counted(depot: &Depot, table: &str) -> i64 {
    let mut looking = PgConnection::connect(&depot.store.url).await.unwrap();
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
    let count = count.fetch_one(&mut looking).await.unwrap();
    looking.close().await.unwrap();
    count
}

#[rstest]
#[tokio::test]
async fn a_long_history_goes_as_a_whole_and_takes_nobody_elses(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let ana = long_history(&depot).await;
    depot.accept(inbound(&depot.clock).customer(BEN).text("good morning")).await;
    depot.accept(status(&depot.clock, "01K00000000000000000780000", "sent").customer(BEN)).await;
    let erased = depot.store.erase(ana).await.unwrap().unwrap();
    let many = MANY as u64;
    let expected = Erased {
        events: 2 * many,
        bodies: 2 * many,
        messages: many,
        conversations: 1,
        identities: 1,
        ..Erased::default()
    };
    assert_eq!(erased, expected);
    assert_eq!(traces(&depot, backend, &["15550177001", WORDS]).await, [] as [String; 0]);
    assert_eq!(depot.events().await.len(), 2);
    assert_eq!(depot.store.messages(&MessageFilter::default(), first(10)).await.unwrap().data.len(), 1);
    if backend == Backend::Postgres {
        assert_eq!(counted(&depot, "callback_keys").await, 0);
    }
}

/// The last transaction has to wait here: until then, what is under way goes on.
#[tokio::test]
async fn what_is_finished_goes_while_work_goes_on() {
    let depot = Depot::open(Backend::Postgres).await;
    let ana = long_history(&depot).await;
    let waiting = depot.accept(inbound(&depot.clock).customer(ANA).text(WORDS).on(ROUTE)).await.id;
    let behind = depot.accept(inbound(&depot.clock).customer(ANA).text(WORDS).on(ROUTE)).await.id;
    let mut other = PgConnection::connect(&depot.store.url).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    sqlx::query("SELECT id FROM customers WHERE id = $1 FOR UPDATE")
        .bind(ana)
        .execute(&mut *tx)
        .await
        .unwrap();
    let work = async {
        let finished = async {
            while counted(&depot, "events").await > 2 || counted(&depot, "messages").await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), finished).await.unwrap();
        let delivery = depot.claim_one().await;
        assert_eq!(delivery.event.id, waiting);
        assert_eq!(delivery.event.content().unwrap().text.as_deref(), Some(WORDS));
        assert!(depot.settle(&delivery, say("certainly, at noon")).await);
        let next = depot.claim_one().await;
        assert_eq!(next.event.id, behind, "the lane goes on");
        assert!(depot.settle(&next, done(Vec::new(), Vec::new())).await);
        tx.commit().await.unwrap();
    };
    let (erased, ()) = tokio::join!(depot.store.erase(ana), work);
    let erased = erased.unwrap().unwrap();
    assert_eq!((erased.events, erased.messages), (2 * MANY as u64 + 2, MANY as u64 + 1));
    assert_eq!(traces(&depot, Backend::Postgres, &["15550177001", WORDS, "noon"]).await, [] as [String; 0]);
}
