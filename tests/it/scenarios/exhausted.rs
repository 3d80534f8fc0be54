//! Every connection to PostgreSQL waits for something.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};

use crate::support::desk::ECHO;
use crate::support::webhooks::inbound;
use crate::support::{Backend, Desk};

/// How many deliver at a time: more than there are connections.
const DELIVERIES: usize = 12;

/// Somebody else's transaction holds what every verb needs. Deliveries are answered 503, not kept waiting for good, and once
/// it has ended everything goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_connections_all_wait_is_unavailable_and_comes_back() {
    let desk = Desk::start(Backend::Postgres, ECHO).await;
    let mut hog = PgConnection::connect(desk.database_url()).await.unwrap();
    let mut held = hog.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE events, dedupe, jobs, conversations IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    let now = desk.clock.now();
    let bodies: Vec<String> = (0..DELIVERIES)
        .map(|number| inbound("+15550200001", &format!("delivery-{number}"), now, &number.to_string()))
        .collect();
    let answers = join_all(bodies.iter().map(|body| desk.post(body.clone()))).await;
    for answer in answers {
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
    }
    held.rollback().await.unwrap();
    for body in &bodies {
        // What was told to come again does so until it is kept.
        while desk.post(body.clone()).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    desk.settled().await;
    let received = desk.list("events?type=message.received").await;
    assert_eq!(received.len(), DELIVERIES);
    assert_eq!(desk.list("messages").await.len(), DELIVERIES);
    hog.close().await.unwrap();
    desk.stop().await;
}
