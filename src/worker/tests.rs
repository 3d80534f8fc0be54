use super::*;
use crate::connectly::message::Strictness;
use crate::handler::Handler;
use crate::model::context::Context;
use crate::model::event::Event;
use crate::model::id::{EventId, JobId};
use crate::model::job::Lease;
use crate::model::outcome::{HandlerResult, Outcome};
use crate::model::retention::Retention;
use crate::store::arrival::Arrival;
use crate::store::testing::FakeStore;
use crate::store::work::Delivery;

/// Short, since a claim has to take longer than half of it.
const LEASE: Duration = Duration::from_millis(40);

/// Whatever it is called with is settled.
struct Quiet;

impl Handler for Quiet {
    async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
        Ok(Outcome::ignored())
    }
}

fn delivery(clock: &Clock) -> Delivery {
    let (id, now) = (EventId::new(clock.ulid()), clock.now());
    let arrival = Arrival::read(id, "default".to_owned(), now, b"{}".as_slice().into());
    let job = JobId::new(clock.ulid());
    let context = Context {
        job,
        attempt: 1,
        route: "route".to_owned(),
        conversation: None,
        first_contact: false,
        message: None,
        latest_message: None,
        state: None,
        now,
    };
    Delivery {
        lease: Lease { job, token: clock.ulid() },
        event: Event::arriving(id, "default", now, &arrival.decoded),
        context,
        first_attempt_at: now,
    }
}

#[tokio::test]
async fn what_a_late_claim_leased_is_given_back_and_not_begun() {
    let clock = Clock::system();
    let late = delivery(&clock);
    let lease = late.lease;
    let store = Arc::new(FakeStore { late_claim: Some((LEASE, late)), ..FakeStore::default() });
    let settings = Settings {
        concurrency: 4,
        lease: LEASE,
        poll: Duration::from_millis(1),
        drain: Duration::from_secs(5),
        window_margin: Duration::ZERO,
        replies_per_minute: 1,
        strictness: Strictness::Enforce,
        retention: Retention { bodies: Duration::MAX, events: Duration::MAX },
    };
    let route = WorkRoute {
        name: "route".to_owned(),
        handler: AnyHandler::new(Quiet),
        timeout: Duration::from_secs(1),
        concurrency: 1,
        retry: RetryPolicy { attempts: 8, max_age: Duration::from_mins(10) },
    };
    let worker = Worker::start(
        Arc::clone(&store) as Arc<dyn Store>,
        clock,
        Arc::new(Metrics::new()),
        settings,
        vec![route],
        HashMap::new(),
        Wakes::default(),
    );
    while store.released.lock().unwrap().is_empty() && store.settled.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    worker.stop().await;
    assert_eq!(store.released.lock().unwrap()[0], lease);
    assert!(store.settled.lock().unwrap().is_empty(), "it was begun");
}
