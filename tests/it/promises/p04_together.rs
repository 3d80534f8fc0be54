//! P4: what a handler hands back is committed with its completion, so it happens once even if the handler ran twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use rstest::rstest;
use switchboard::emulator::Inbound;
use switchboard::{App, Context, Event, Handler, HandlerError, HandlerResult, Outcome, Reply};
use tokio::sync::Notify;

use crate::support::{Backend, Desk};

/// Hangs at its first two calls, each until it is let go; answers which call it was and what the state was before.
#[derive(Clone, Default)]
struct Hanging {
    calls: Arc<AtomicUsize>,
    began: Arc<Notify>,
    gates: Arc<[Notify; 2]>,
}

impl Handler for Hanging {
    async fn handle(&self, _event: &Event, context: &Context) -> HandlerResult {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        self.began.notify_one();
        if let Some(gate) = self.gates.get(call) {
            gate.notified().await;
        }
        let before = context.state.clone().unwrap_or_default();
        Ok(Outcome::from(Reply::text(format!("{call} after {before}"))).state(call.into()))
    }
}

/// How each try of a job ended.
async fn outcomes(desk: &Desk, job: &serde_json::Value) -> Vec<String> {
    let job = desk.get(&format!("/api/v1/jobs/{}", job["id"].as_str().unwrap())).await;
    let log = job["log"].as_array().unwrap();
    log.iter().map(|attempt| attempt["outcome"].as_str().unwrap().to_owned()).collect()
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
    // Whose lease was taken over answers first, while the job is still another's: nothing of it counts.
    hanging.gates[0].notify_one();
    hanging.gates[1].notify_one();
    desk.settled().await;
    assert_eq!(hanging.calls.load(Ordering::SeqCst), 2);
    assert_eq!(desk.sent_texts(), ["1 after null"]);
    assert_eq!(outcomes(&desk, &desk.list("jobs?state=done&kind=deliver").await[0]).await, ["done"]);
    desk.says(Inbound::text("again")).await;
    desk.settled().await;
    assert_eq!(desk.sent_texts(), ["1 after null", "2 after 1"]);
    assert_eq!(desk.list("messages").await.len(), 2);
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
    let (one, other) = (Failing::default(), Failing::default());
    let app = App::new().handler("one", one.clone()).handler("other", other.clone());
    let route = |name| {
        let route = format!("[[routes]]\nname = \"{name}\"\nhandler = \"{name}\"\n");
        route + "on = [\"message.received\"]\ntimeout = \"100ms\"\n"
    };
    let desk = Desk::with(backend, app, &(route("one") + &route("other"))).await;
    desk.says(Inbound::text("hi")).await;
    for _ in 0..5 {
        desk.settled().await;
        desk.advance(Duration::from_secs(61));
    }
    assert_eq!([one, other].map(|failing| failing.0.load(Ordering::SeqCst)), [5, 5]);
    assert_eq!(desk.sent_texts(), ["at last", "at last"]);
    let jobs = desk.list("jobs?state=done&kind=deliver").await;
    assert_eq!(jobs.len(), 2, "every matching route has its own");
    for job in &jobs {
        assert_eq!(outcomes(&desk, job).await, ["retry", "retry", "retry", "retry", "done"]);
    }
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
