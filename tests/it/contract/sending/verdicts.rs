//! Whether a message may leave: the window (P8), opt-outs, the reply limit (P10) and the rate.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use switchboard::model::job::JobState;
use switchboard::model::outcome::Effect;
use switchboard::model::sending::SendPolicy;
use switchboard::store::work::{Answer, Dispatch};

use super::{SECOND, accepted, queue_texts};
use crate::support::Backend;
use crate::support::arrivals::inbound;
use crate::support::depot::{Depot, POLICY, ROUTE, done, rate, say};

#[rstest]
#[tokio::test]
async fn p8_nothing_leaves_into_a_closed_window(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    depot.pass(Duration::from_mins(24 * 60 - 1));
    depot.pass(10 * SECOND);
    let sending = depot.claim_send().await;
    assert_eq!(
        depot.dispatch(&sending).await,
        Dispatch::Ended("expired"),
        "50 s before the end, with 60 s of margin"
    );
    assert_eq!(depot.state(message).await, "expired");
    assert_eq!(depot.job(sending.lease).await.state, JobState::Done);
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Lost);
}

#[rstest]
#[tokio::test]
async fn what_comes_in_meanwhile_keeps_the_window_open(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    depot.pass(Duration::from_hours(23));
    depot.accept(inbound(&depot.clock)).await;
    depot.pass(Duration::from_hours(23));
    depot.leave().await;
}

#[rstest]
#[tokio::test]
async fn nothing_leaves_to_who_opted_out(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let message = depot.queue_text("hello").await;
    let sending = depot.claim_send().await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done(Vec::new(), vec![Effect::OptOut])).await);
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Ended("suppressed"));
    assert_eq!(depot.state(message).await, "suppressed");
}

#[rstest]
#[tokio::test]
async fn p10_the_reply_over_the_limit_is_parked(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let policy = SendPolicy { replies_per_minute: 2, ..POLICY };
    queue_texts(&depot, &["1", "2", "3", "4"]).await;
    for _ in 0..2 {
        let sending = depot.claim_send().await;
        let Dispatch::Go(at) = depot.store.dispatch(&sending, &policy).await.unwrap() else {
            panic!("under the limit")
        };
        depot.answer(&(sending, at), Answer::Accepted(depot.clock.ulid().to_string())).await;
    }
    let over = depot.claim_send().await;
    assert_eq!(depot.store.dispatch(&over, &policy).await.unwrap(), Dispatch::Ended("parked"));
    let job = depot.job(over.lease).await;
    assert_eq!((job.state, job.last_error.is_some()), (JobState::Parked, true));
    assert_eq!(depot.state(over.message).await, "queued");

    depot.pass(61 * SECOND);
    let next = depot.claim_send().await;
    assert_eq!(next.content, json!({ "text": "4" }));
    let Dispatch::Go(departure) = depot.store.dispatch(&next, &policy).await.unwrap() else {
        panic!("under the limit again")
    };
    depot.answer(&(next, departure), accepted()).await;
    depot.store.retry_job(over.lease.job).await.unwrap();
    assert_eq!(depot.jobs(Some(JobState::Parked)).await.len(), 0);
}

#[rstest]
#[tokio::test]
async fn the_rate_is_never_exceeded_over_two_instances(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    // Slow enough that the test's own time grows no permit back.
    let policy = SendPolicy { rate: rate(1, 5), ..POLICY };
    let hour = Duration::from_hours(1);
    for n in 0..12 {
        let sender = json!({ "id": format!("+1555040{n:04}") });
        depot.accept(inbound(&depot.clock).with("sender", sender).on(ROUTE)).await;
    }
    for delivery in depot.claim().await {
        assert!(depot.settle(&delivery, say("hello")).await);
    }
    // The bucket fills while nobody sends, and holds its burst.
    depot.pass(hour);
    let started = depot.clock.now();
    let sendings = depot.claim_sends().await;
    let (mut gone, mut later) = (0, Vec::new());
    for pair in sendings.chunks(2) {
        let (one, two) =
            tokio::join!(depot.store.dispatch(&pair[0], &policy), other.dispatch(&pair[1], &policy));
        for told in [one.unwrap(), two.unwrap()] {
            match told {
                Dispatch::Go(_) => gone += 1,
                Dispatch::Later(delay) => later.push(delay),
                ended => panic!("{ended:?}"),
            }
        }
    }
    let elapsed = depot.clock.now().duration_since(started).as_secs();
    assert!((5..=5 + elapsed).contains(&gone), "{gone} left within {elapsed} s");
    assert!(later.iter().all(|delay| *delay > Duration::ZERO && *delay <= SECOND), "{later:?}");

    // Those that wait come by themselves, uncounted.
    depot.pass(SECOND);
    let due = depot.claim_sends().await;
    assert_eq!(i64::try_from(due.len()).unwrap(), 12 - gone);
    assert!(due.iter().all(|sending| sending.attempt == 1));
    assert!(matches!(depot.store.dispatch(&due[0], &policy).await.unwrap(), Dispatch::Go(_)));
}
