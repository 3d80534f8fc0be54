//! P3: a delivery that is repeated makes one event and no second job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rstest::rstest;
use switchboard::{App, Context, Event, Handler, HandlerResult, Outcome};

use crate::support::webhooks::{CUSTOMER, inbound};
use crate::support::{Backend, Desk};

/// Counts how often it is called.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU32>);

impl Handler for Counter {
    async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome::ignored())
    }
}

const ROUTE: &str = "[[routes]]\nname = \"count\"\non = [\"*\"]\nhandler = \"counter\"\n";

#[rstest]
#[tokio::test]
async fn p3_a_repeated_delivery_is_one_event(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let counter = Counter::default();
    let desk = Desk::with(backend, App::new().handler("counter", counter.clone()), ROUTE).await;
    let body = inbound(CUSTOMER, "01K00000000000000000000001", desk.clock.now(), "hi");
    let first: serde_json::Value = desk.post(body.clone()).await.json().await.unwrap();
    let second: serde_json::Value = desk.post(body).await.json().await.unwrap();
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&false.into(), &true.into()));
    assert_eq!(first["id"], second["id"]);
    desk.settled().await;
    let events = desk.list("events").await;
    assert_eq!((events.len(), &events[0]["duplicates"]), (1, &1.into()));
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p3_64_concurrent_deliveries_of_one_body_are_one_event(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let counter = Counter::default();
    let desk = Desk::with(backend, App::new().handler("counter", counter.clone()), ROUTE).await;
    let body = inbound(CUSTOMER, "01K00000000000000000000001", desk.clock.now(), "hi");
    let posts = futures_util::future::join_all((0..64).map(|_| desk.post(body.clone()))).await;
    let mut fresh = 0;
    for answer in posts {
        assert_eq!(answer.status(), 200);
        let answer: serde_json::Value = answer.json().await.unwrap();
        fresh += u32::from(answer["duplicate"] == false);
    }
    assert_eq!(fresh, 1);
    desk.settled().await;
    let events = desk.list("events").await;
    assert_eq!((events.len(), &events[0]["duplicates"]), (1, &63.into()));
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    desk.stop().await;
}

#[rstest]
#[tokio::test]
async fn p3_another_body_under_a_known_id_is_kept_once_without_jobs(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let counter = Counter::default();
    let desk = Desk::with(backend, App::new().handler("counter", counter.clone()), ROUTE).await;
    let at = desk.clock.now();
    let body = |text| inbound(CUSTOMER, "01K00000000000000000000001", at, text);
    let first: serde_json::Value = desk.post(body("one")).await.json().await.unwrap();
    let other: serde_json::Value = desk.post(body("two")).await.json().await.unwrap();
    let again: serde_json::Value = desk.post(body("two")).await.json().await.unwrap();
    assert_eq!((&other["duplicate"], &again["duplicate"]), (&true.into(), &true.into()));
    assert_ne!(first["id"], other["id"]);
    assert_eq!(other["id"], again["id"]);
    desk.settled().await;
    assert_eq!(desk.list("events").await.len(), 2);
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    desk.stop().await;
}
