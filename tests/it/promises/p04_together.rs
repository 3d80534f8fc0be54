//! P4: what a handler hands back is committed with its completion, so it happens once even if the handler ran twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rstest::rstest;
use switchboard::emulator::Inbound;
use switchboard::{App, Context, Event, Handler, HandlerError, HandlerResult, Outcome, Reply};
use tokio::sync::Notify;

use crate::support::{Backend, Desk};

/// Hangs at its first call until it is let go; answers at every call.
#[derive(Clone, Default)]
struct Hanging {
    calls: Arc<AtomicU32>,
    began: Arc<Notify>,
    answered: Arc<Notify>,
    gate: Arc<Notify>,
}

impl Handler for Hanging {
    async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        self.began.notify_one();
        if call == 0 {
            self.gate.notified().await;
        }
        self.answered.notify_one();
        Ok(Outcome::from(Reply::text("once")).state(serde_json::json!({ "call": call })))
    }
}

#[rstest]
#[tokio::test]
async fn p4_replies_happen_once_though_the_handler_ran_twice(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let hanging = Hanging::default();
    let route = "[[routes]]\nname = \"hang\"\non = [\"message.received\"]\nhandler = \"hanging\"\n";
    let desk = Desk::with(backend, App::new().handler("hanging", hanging.clone()), route).await;
    desk.says(Inbound::text("hi")).await;
    hanging.began.notified().await;
    // The lease ends while the handler hangs: somebody else, here the same process, takes the job over.
    desk.advance(Duration::from_secs(20));
    desk.running.worker().wake();
    hanging.began.notified().await;
    hanging.answered.notified().await;
    hanging.gate.notify_one();
    desk.settled().await;
    assert_eq!(hanging.calls.load(Ordering::SeqCst), 2);
    assert_eq!(desk.sent_texts(), ["once"]);
    assert_eq!(desk.list("messages").await.len(), 1);
    desk.stop().await;
}

/// Fails a number of times in each way a handler can, then answers.
#[derive(Clone, Default)]
struct Failing(Arc<AtomicU32>);

impl Handler for Failing {
    async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Err(HandlerError::retry("not yet")),
            1 => panic!("this is contained"),
            2 => std::future::pending().await,
            3 => Err(HandlerError::retry_after(Duration::from_mins(1), "later")),
            _ => Ok(Reply::text("at last").into()),
        }
    }
}

#[rstest]
#[tokio::test]
async fn p4_every_event_is_handled_at_least_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let failing = Failing::default();
    let route = "[[routes]]\nname = \"fail\"\non = [\"message.received\"]\nhandler = \"failing\"\ntimeout = \"100ms\"\n";
    let desk = Desk::with(backend, App::new().handler("failing", failing.clone()), route).await;
    desk.says(Inbound::text("hi")).await;
    for _ in 0..5 {
        desk.settled().await;
        desk.advance(Duration::from_secs(61));
    }
    assert_eq!(failing.0.load(Ordering::SeqCst), 5);
    assert_eq!(desk.sent_texts(), ["at last"]);
    let jobs = desk.list("jobs?state=done&kind=deliver").await;
    let job = desk.get(&format!("/api/v1/jobs/{}", jobs[0]["id"].as_str().unwrap())).await;
    let outcomes: Vec<_> =
        job["log"].as_array().unwrap().iter().map(|attempt| attempt["outcome"].clone()).collect();
    assert_eq!(outcomes, ["retry", "retry", "retry", "retry", "done"]);
    desk.stop().await;
}

/// Says that no retry can help.
struct Refusing;

impl Handler for Refusing {
    async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
        Err(HandlerError::fail("a person must look"))
    }
}

#[rstest]
#[tokio::test]
async fn p4_what_cannot_succeed_is_parked_and_can_be_retried_or_discarded(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let route = "[[routes]]\nname = \"refuse\"\non = [\"message.received\"]\nhandler = \"refusing\"\n";
    let desk = Desk::with(backend, App::new().handler("refusing", Refusing), route).await;
    desk.says(Inbound::text("hi")).await;
    desk.settled().await;
    let parked = desk.list("jobs?state=parked").await;
    assert_eq!(parked[0]["last_error"], "a person must look");
    let path = format!("/api/v1/jobs/{}", parked[0]["id"].as_str().unwrap());
    let nothing = serde_json::Value::Null;
    let retried = desk.admin(reqwest::Method::POST, &format!("{path}/retry"), &nothing).await;
    assert_eq!(retried.status(), 200);
    desk.settled().await;
    assert_eq!(desk.get(&path).await["state"], "parked");
    let discarded = desk.admin(reqwest::Method::POST, &format!("{path}/discard"), &nothing).await;
    assert_eq!(discarded.status(), 200);
    assert_eq!(desk.get(&path).await["state"], "discarded");
    let again = desk.admin(reqwest::Method::POST, &format!("{path}/retry"), &nothing).await;
    assert_eq!(again.status(), 409);
    desk.stop().await;
}
