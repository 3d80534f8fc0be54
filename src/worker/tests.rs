use std::num::NonZeroU32;
use std::sync::Mutex;

use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::connectly::client::ClientSettings;
use crate::connectly::message::Strictness;
use crate::handler::Handler;
use crate::model::context::Context;
use crate::model::event::Event;
use crate::model::id::{ConversationId, EventId, JobId, MessageId};
use crate::model::job::Lease;
use crate::model::message::Origin;
use crate::model::outcome::{HandlerResult, Outcome};
use crate::model::retention::Retention;
use crate::store::arrival::Arrival;
use crate::store::testing::{Dispatching, FakeStore, leased};
use crate::store::work::{ClaimSends, Delivery, Sending};

/// Short, since a claim has to take longer than half of it.
const LEASE: Duration = Duration::from_millis(40);

const SETTINGS: Settings = Settings {
    concurrency: 4,
    lease: LEASE,
    poll: Duration::from_millis(1),
    drain: Duration::from_secs(5),
    window_margin: Duration::ZERO,
    replies_per_minute: 1,
    strictness: Strictness::Enforce,
    retention: Retention { bodies: Duration::MAX, events: Duration::MAX },
};

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
    let context = Context::new(job, 1, "route".to_owned(), now);
    Delivery {
        lease: Lease { job, token: clock.ulid() },
        event: Event::arriving(id, "default", now, &arrival.decoded),
        context,
        first_attempt_at: now,
    }
}

/// A worker of one route.
fn deliverer(store: &Arc<FakeStore>, clock: Clock, handler: impl Handler) -> Worker {
    deliverer_with(SETTINGS, store, clock, handler)
}

fn deliverer_with(settings: Settings, store: &Arc<FakeStore>, clock: Clock, handler: impl Handler) -> Worker {
    let route = WorkRoute {
        name: "route".to_owned(),
        handler: AnyHandler::new(handler),
        timeout: Duration::from_secs(1),
        concurrency: 1,
        retry: RetryPolicy { attempts: 8, max_age: Duration::from_mins(10) },
    };
    Worker::start(
        Arc::clone(store) as Arc<dyn Store>,
        clock,
        Arc::new(Metrics::new()),
        settings,
        vec![route],
        HashMap::new(),
        Wakes::default(),
    )
}

#[tokio::test]
async fn what_a_late_claim_leased_is_given_back_and_not_begun() {
    let clock = Clock::system();
    let late = delivery(&clock);
    let lease = late.lease;
    let store = Arc::new(FakeStore { late_claim: Some((LEASE, late)), ..FakeStore::default() });
    let worker = deliverer(&store, clock, Quiet);
    while store.released.lock().unwrap().is_empty() && store.settled.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    worker.stop().await;
    assert_eq!(store.released.lock().unwrap()[0], lease);
    assert!(store.settled.lock().unwrap().is_empty(), "it was begun");
}

/// Takes its time.
struct Slow;

impl Handler for Slow {
    async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Ok(Outcome::ignored())
    }
}

/// The most that was claimed at a time, by a worker that finished so many deliveries in one slot.
async fn largest_claim(handler: impl Handler, deliveries: usize) -> usize {
    let clock = Clock::system();
    let waiting = Mutex::new((0..deliveries).map(|_| delivery(&clock)).collect());
    let store = Arc::new(FakeStore { waiting, ..FakeStore::default() });
    let worker = deliverer(&store, clock, handler);
    let finished = async {
        // A machine that stands still lets some of them wait for too long.
        while store.settled.lock().unwrap().len() + store.released.lock().unwrap().len() < deliveries {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), finished).await.unwrap();
    worker.stop().await;
    store.largest_claim.load(Ordering::Relaxed)
}

#[tokio::test]
async fn quick_handlers_are_claimed_ahead_for_and_slow_ones_are_not() {
    assert_eq!(largest_claim(Quiet, 200).await, 5, "one for the slot, and four that find it free soon");
    assert_eq!(largest_claim(Slow, 5).await, 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_given_back_and_not_claimed_again_at_once() {
    let clock = Clock::system();
    let waiting = Mutex::new((0..100).map(|_| delivery(&clock)).collect());
    let store = Arc::new(FakeStore { waiting, unreadable: true, ..FakeStore::default() });
    let settings = Settings { poll: Duration::from_hours(1), lease: Duration::from_hours(1), ..SETTINGS };
    let worker = deliverer_with(settings, &store, clock, Quiet);
    while store.released.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // As often as its task may come round: its slot is kept for a poll.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.waiting.lock().unwrap().len(), 99);
    worker.stop().await;
    assert_eq!(store.released.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_read_when_the_process_stops_is_given_back() {
    let clock = Clock::system();
    let waiting = delivery(&clock);
    let lease = waiting.lease;
    let store = Arc::new(FakeStore {
        waiting: Mutex::new(vec![waiting]),
        read_gate: Some(Semaphore::new(0)),
        ..FakeStore::default()
    });
    let settings = Settings { lease: Duration::from_hours(1), ..SETTINGS };
    let worker = deliverer_with(settings, &store, clock, Quiet);
    while store.claimed.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let read = async { store.read_gate.as_ref().unwrap().add_permits(1) };
    tokio::join!(biased; worker.stop(), read);
    assert_eq!(*store.released.lock().unwrap(), [lease]);
    assert!(store.settled.lock().unwrap().is_empty(), "it was begun");
}

#[tokio::test]
async fn what_was_born_leased_begins_without_a_claim() {
    let clock = Clock::system();
    let delivery = delivery(&clock);
    let (lease, job) = (delivery.lease, leased(&delivery));
    let store = Arc::new(FakeStore { born: vec![delivery], ..FakeStore::default() });
    let worker = deliverer(&store, clock.clone(), Quiet);
    assert!(worker.handover().hand(job, clock.stopwatch()).is_none(), "it is taken");
    worker.idle().await;
    assert_eq!(*store.settled.lock().unwrap(), [lease]);
    worker.stop().await;
    assert!(store.released.lock().unwrap().is_empty());
}

/// Never done.
struct Hangs;

impl Handler for Hangs {
    async fn handle(&self, _event: &Event, _context: &Context) -> HandlerResult {
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_finds_no_slot_for_too_long_is_given_back() {
    let clock = Clock::system();
    let born_leased = [delivery(&clock), delivery(&clock)];
    let store = Arc::new(FakeStore { born: born_leased.to_vec(), ..FakeStore::default() });
    let worker = deliverer(&store, clock.clone(), Hangs);
    let handover = worker.handover();
    for delivery in &born_leased {
        assert!(handover.hand(leased(delivery), clock.stopwatch()).is_none(), "it is taken");
    }
    let given_back = async {
        while store.released.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), given_back).await.unwrap();
    let released = store.released.lock().unwrap().clone();
    assert!(born_leased.iter().filter(|delivery| released.contains(&delivery.lease)).count() == 1);
    assert!(handover.hand(leased(&born_leased[0]), clock.stopwatch()).is_some(), "its route is behind");
}

#[tokio::test]
async fn after_a_stop_nothing_is_handed_over() {
    let clock = Clock::system();
    let delivery = delivery(&clock);
    let store = Arc::new(FakeStore { born: vec![delivery.clone()], ..FakeStore::default() });
    let worker = deliverer(&store, clock.clone(), Quiet);
    let handover = worker.handover();
    worker.stop().await;
    assert_eq!(handover.hand(leased(&delivery), clock.stopwatch()), Some(delivery.lease));
    assert!(store.settled.lock().unwrap().is_empty());
}

fn sending(clock: &Clock, origin: Origin) -> Sending {
    Sending {
        lease: Lease { job: JobId::new(clock.ulid()), token: clock.ulid() },
        attempt: 1,
        message: MessageId::new(clock.ulid()),
        account: "default".to_owned(),
        conversation: ConversationId::new(clock.ulid()),
        origin,
        from: "+15550100002".to_owned(),
        to_phone: Some("+15550100001".to_owned()),
        to_user_id: None,
        content: json!({ "text": "hello" }),
        fallback: None,
        callback_data: None,
        campaign: None,
        order: None,
    }
}

/// A worker of nothing but sends, which are claimed at once.
fn sender(store: &Arc<FakeStore>, clock: &Clock) -> Worker {
    let settings = ClientSettings {
        business_id: "business".to_owned(),
        api_key: "key".into(),
        base_url: "http://127.0.0.1:9".to_owned(),
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
    };
    let rate = Rate { per_second: NonZeroU32::MAX, burst: NonZeroU32::MAX };
    let account = WorkAccount { client: Client::new(&settings).unwrap(), rate };
    Worker::start(
        Arc::clone(store) as Arc<dyn Store>,
        clock.clone(),
        Arc::new(Metrics::new()),
        SETTINGS,
        Vec::new(),
        HashMap::from([("default".to_owned(), account)]),
        Wakes::default(),
    )
}

/// The first claim of which this holds.
async fn claim_with(store: &FakeStore, holds: impl Fn(&ClaimSends) -> bool) -> ClaimSends {
    let looked = async {
        loop {
            let found = store.claims.lock().unwrap().iter().find(|claim| holds(claim)).cloned();
            if let Some(claim) = found {
                return claim;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), looked).await.unwrap()
}

#[tokio::test]
async fn a_send_whose_task_panics_leaves_nothing_behind() {
    let clock = Clock::system();
    let sends = Mutex::new(vec![sending(&clock, Origin::Api)]);
    let store = Arc::new(FakeStore { sends, dispatching: Dispatching::Panics, ..FakeStore::default() });
    let worker = sender(&store, &clock);
    tokio::time::timeout(Duration::from_secs(5), worker.idle()).await.unwrap();
    let claim = store.claims.lock().unwrap().pop().unwrap();
    assert_eq!((claim.limit, claim.api_limit, claim.accounts[0].undrawn), (8, 80, 0));
    worker.stop().await;
    assert!(store.released.lock().unwrap().is_empty(), "its lease was renewed to the end");
}

#[tokio::test]
async fn replies_that_take_most_requests_leave_some_to_the_api() {
    let clock = Clock::system();
    let replies = (0..97).map(|_| sending(&clock, Origin::Reply)).collect();
    let store =
        FakeStore { sends: Mutex::new(replies), dispatching: Dispatching::Leaves, ..FakeStore::default() };
    let store = Arc::new(store);
    let _worker = sender(&store, &clock);
    let claim = claim_with(&store, |claim| claim.limit == 3).await;
    assert!(claim.api_limit >= 3, "{claim:?}");
}

#[tokio::test]
async fn no_more_is_claimed_than_can_leave_soon() {
    let clock = Clock::system();
    let asked = (0..3).map(|_| sending(&clock, Origin::Api)).collect();
    let store =
        FakeStore { sends: Mutex::new(asked), dispatching: Dispatching::Hangs, ..FakeStore::default() };
    let store = Arc::new(store);
    let _worker = sender(&store, &clock);
    let claim = claim_with(&store, |claim| claim.limit == 5).await;
    assert_eq!(claim.accounts[0].undrawn, 3);
}

#[tokio::test]
async fn some_requests_are_kept_for_replies_whatever_the_api_asks_for() {
    let clock = Clock::system();
    let asked = (0..75).map(|_| sending(&clock, Origin::Api)).collect();
    let store =
        FakeStore { sends: Mutex::new(asked), dispatching: Dispatching::Leaves, ..FakeStore::default() };
    let store = Arc::new(store);
    let _worker = sender(&store, &clock);
    assert_eq!(claim_with(&store, |claim| claim.api_limit == 5).await.limit, 8);
}
