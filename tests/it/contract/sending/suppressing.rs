//! Who wants no messages gets none: by a handler's word, by the API's, by Connectly's.

use std::time::Duration;

use rstest::rstest;
use sqlx::{Connection as _, PgConnection};
use switchboard::model::job::JobState;
use switchboard::model::outcome::{Effect, Reply};
use switchboard::store::work::{Answer, Dispatch, SendResult};

use super::{ID, accepted};
use crate::support::Backend;
use crate::support::arrivals::status;
use crate::support::depot::{Depot, done, refusal};

const OPTED_OUT: &str = "ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT";

async fn opted_out_by(depot: &Depot) -> Option<String> {
    depot.store.customers("+15550100001").await.unwrap()[0].opted_out_by.clone()
}

#[rstest]
#[tokio::test]
async fn connectlys_answer_that_the_customer_opted_out_suppresses_this_and_everything_after(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let left = depot.leave().await;
    assert_eq!(depot.answer(&left, Answer::OptedOut(refusal(OPTED_OUT))).await, SendResult::Applied);
    let shown = depot.message(message).await.0;
    assert_eq!((shown.state.as_str(), shown.error), ("suppressed", Some(refusal(OPTED_OUT))));
    assert_eq!(depot.job(left.0.lease).await.state, JobState::Done, "there is nothing for a person to do");
    assert_eq!(opted_out_by(&depot).await.as_deref(), Some("connectly"));
    let next = depot.queue_text("hello again").await;
    let sending = depot.claim_send().await;
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Ended("suppressed"));
    assert_eq!(depot.state(next).await, "suppressed");
}

#[rstest]
#[tokio::test]
async fn a_failed_status_that_says_so_counts_as_well(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.send(ID).await;
    depot.accept(status(&depot.clock, ID, "delivery_failed").error(OPTED_OUT)).await;
    assert_eq!(depot.state(message).await, "failed");
    assert_eq!(opted_out_by(&depot).await.as_deref(), Some("connectly"));
}

#[rstest]
#[tokio::test]
async fn one_confirmation_goes_out_however_often_the_customer_says_stop(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let goodbye = || done(vec![Reply::text("goodbye"), Reply::text("and more")], vec![Effect::OptOut]);
    let mut sent = Vec::new();
    for _ in 0..3 {
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, goodbye()).await);
        while let Some(sending) = depot.claim_sends().await.pop() {
            if let Dispatch::Go(departure) = depot.dispatch(&sending).await {
                sent.push(sending.content["text"].clone());
                depot.answer(&(sending, departure), Answer::Accepted(depot.clock.ulid().to_string())).await;
            }
        }
    }
    assert_eq!(sent, ["goodbye"]);
    assert_eq!(opted_out_by(&depot).await.as_deref(), Some("route:greeter"));
}

#[rstest]
#[tokio::test]
async fn who_opts_in_again_is_written_to_and_confirmed_once_more(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for effect in [Effect::OptOut, Effect::OptIn, Effect::OptOut] {
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, done(vec![Reply::text("noted")], vec![effect])).await);
        let left = depot.leave().await;
        depot.answer(&left, accepted()).await;
        depot.pass(super::SECOND);
    }
}

#[rstest]
#[tokio::test]
async fn the_first_who_said_so_stays_noted(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let ana = depot.store.customers("+15550100001").await.unwrap()[0].id;
    let first = depot.store.opt(ana, Some("Ben")).await.unwrap().unwrap();
    depot.pass(super::SECOND);
    let again = depot.store.opt(ana, Some("api")).await.unwrap().unwrap();
    assert_eq!(again, first);
    assert_eq!(again.opted_out_by.as_deref(), Some("Ben"));
    let back = depot.store.opt(ana, None).await.unwrap().unwrap();
    assert_eq!((back.opted_out_at, back.opted_out_by), (None, None));
}

/// A handler that opts the customer out holds them first, and then waits for their conversation.
#[tokio::test]
async fn a_failed_status_that_opts_out_waits_for_the_customer_before_it_holds_their_conversation() {
    let depot = Depot::open(Backend::Postgres).await;
    depot.send(ID).await;
    let mut other = PgConnection::connect(&depot.store.url).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    sqlx::raw_sql("SELECT id FROM customers FOR UPDATE").execute(&mut *tx).await.unwrap();
    let looks_for_the_conversation = async {
        while !depot.somebody_waits().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let free = sqlx::raw_sql("SELECT id FROM conversations FOR UPDATE NOWAIT").execute(&mut *tx).await;
        tx.commit().await.unwrap();
        free
    };
    let opted_out = status(&depot.clock, ID, "delivery_failed").error(OPTED_OUT);
    let (_, free) = tokio::join!(depot.accept(opted_out), looks_for_the_conversation);
    free.unwrap();
    assert_eq!(opted_out_by(&depot).await.as_deref(), Some("connectly"));
}
