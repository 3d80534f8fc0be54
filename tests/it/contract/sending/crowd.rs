//! Many at once, on two instances: customers write, are answered, opt out, turn out to be one; messages leave, are answered
//! and told of. Nobody waits for another in a circle, nothing leaves twice, and no lane stands still afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use switchboard::clock::Clock;
use switchboard::connectly::mark;
use switchboard::model::id::MessageId;
use switchboard::model::outcome::{Effect, Reply};
use switchboard::model::sending::SendPolicy;
use switchboard::store::Store;
use switchboard::store::work::{Answer, Dispatch, SendResult, Settlement};

use super::precedence::submission;
use crate::support::Backend;
use crate::support::arrivals::{Person, Post, both, inbound, phone, status, user};
use crate::support::depot::{
    Depot, POLICY, REFUSED, ROUTE, WINDOW_CLOSED, answer_on, attempt, claim_from, done, of_route, rate,
    refusal, sends,
};

const OPTED_OUT: &str = "ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT";
const FREE: SendPolicy = SendPolicy { replies_per_minute: 10_000, rate: rate(10_000, 10_000), ..POLICY };
const PHONES: [&str; 4] = ["+15550100001", "+15550100005", "+15550100009", "+15550100013"];
const USERS: [&str; 4] = ["US.1", "US.5", "US.9", "US.13"];
/// Whoever works at a time, and how long.
const WORKERS: u64 = 6;
const ROUNDS: u32 = 40;

/// One of those that work at a time.
struct Worker {
    store: Arc<dyn Store>,
    clock: Clock,
    random: StdRng,
    /// The requests that left and were not surely unprocessed.
    gone: Arc<Mutex<HashMap<(MessageId, i64), u32>>>,
    /// Whether customers turn out to be one.
    merging: bool,
}

impl Worker {
    async fn work(mut self) {
        for _ in 0..ROUNDS {
            match self.random.random_range(0..10) {
                0..=2 => self.write().await,
                3..=4 => self.handle().await,
                5 => self.ask().await,
                6..=8 => self.send().await,
                _ => self.sweep().await,
            }
        }
    }

    fn person(&mut self) -> Person {
        let which = self.random.random_range(0..PHONES.len());
        match self.random.random_range(0..8) {
            0..=3 => phone(PHONES[which]),
            7 if self.merging => both(PHONES[which], USERS[which]),
            _ => user(USERS[which]),
        }
    }

    async fn write(&mut self) {
        let group: Vec<Post> =
            (0..3).map(|_| inbound(&self.clock).customer(self.person()).on(ROUTE)).collect();
        self.commit(group).await;
    }

    async fn commit(&self, group: Vec<Post>) {
        let group: Vec<_> = group.into_iter().map(Into::into).collect();
        self.store.commit(&group).await.unwrap();
    }

    async fn handle(&mut self) {
        let claimed = claim_from(self.store.as_ref(), &of_route(ROUTE, 3)).await;
        let template = json!({ "template": "reopen", "language": "en" });
        let settlements: Vec<Settlement> = claimed
            .iter()
            .map(|delivery| {
                let effects = match self.random.random_range(0..6) {
                    0 => vec![Effect::OptOut],
                    1..=3 => vec![Effect::OptIn],
                    _ => Vec::new(),
                };
                let reply = Reply { fallback: Some(template.clone()), ..Reply::text("hello") };
                let attempt = attempt(1, self.clock.now(), "done", None);
                Settlement { lease: delivery.lease, attempt, resolution: done(vec![reply; 2], effects) }
            })
            .collect();
        if !settlements.is_empty() {
            self.store.settle(&settlements).await.unwrap();
        }
    }

    async fn ask(&mut self) {
        let which = self.random.random_range(0..PHONES.len());
        self.store.submit(&submission(PHONES[which], "asked")).await.unwrap();
    }

    async fn send(&mut self) {
        let most = self.random.random_range(1..5);
        for sending in self.store.claim_sends(&sends(most)).await.unwrap().sends {
            let Dispatch::Go(at) = self.store.dispatch(&sending, &FREE).await.unwrap() else { continue };
            let id = self.clock.ulid().to_string();
            let how = self.random.random_range(0..10_usize);
            *self.gone.lock().unwrap().entry((sending.message, at.number)).or_default() +=
                u32::from(how != 0);
            let answer = match how {
                0 => Answer::NotProcessed { after: Duration::ZERO, drain: false },
                1 => Answer::Unknown,
                2 => Answer::WindowClosed(refusal(WINDOW_CLOSED)),
                3 => Answer::OptedOut(refusal(OPTED_OUT)),
                _ => Answer::Accepted(id.clone()),
            };
            let post = (how > 5).then(|| {
                let data = mark::apply(None, sending.message.ulid()).unwrap();
                let data: serde_json::Value = serde_json::from_str(&data).unwrap();
                let told = status(&self.clock, &id, "delivery_failed").with("callbackData", data);
                told.error([WINDOW_CLOSED, OPTED_OUT, REFUSED][how % 3])
            });
            let told = async {
                if let Some(post) = post {
                    self.commit(vec![post]).await;
                }
            };
            let (result, ()) = tokio::join!(answer_on(self.store.as_ref(), &sending, at, answer), told);
            assert_eq!(result, SendResult::Applied);
        }
    }

    async fn sweep(&self) {
        let known = switchboard::store::work::RouteKnowledge {
            routes: vec![ROUTE.to_owned()],
            accounts: vec!["default".to_owned()],
            patience: Duration::from_hours(1),
        };
        self.store.sweep(&known).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn no_lane_stands_still_after_a_crowd(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(false, true)] merging: bool,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    let gone = Arc::new(Mutex::new(HashMap::new()));
    let workers = (0..WORKERS).map(|seed| {
        let store = if seed % 2 == 0 { Arc::clone(&*depot.store) } else { Arc::clone(&other) };
        let (clock, random) = (depot.clock.clone(), StdRng::seed_from_u64(seed));
        tokio::spawn(Worker { store, clock, random, gone: Arc::clone(&gone), merging }.work())
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    assert!(gone.lock().unwrap().values().all(|times| *times <= 1), "it left twice");
    drain(&depot).await;
    // A merge takes a customer away from under whoever looks at them: then one of the two is repeated.
    if backend == Backend::Postgres && !merging {
        assert_eq!(deadlocks(&depot).await, 0);
    }
}

/// Does what is left; parked sends aside there is nothing then.
async fn drain(depot: &Depot) {
    for _ in 0..500 {
        depot.leases_end();
        depot.sweep().await;
        for delivery in depot.claim().await.into_iter().chain(depot.reclaim().await) {
            depot.settle(&delivery, done(Vec::new(), Vec::new())).await;
        }
        for sending in depot.claim_sends().await {
            if let Dispatch::Go(at) = depot.store.dispatch(&sending, &FREE).await.unwrap() {
                let accepted = Answer::Accepted(depot.clock.ulid().to_string());
                depot.answer(&(sending, at), accepted).await;
            }
        }
        if depot.store.job_counts().await.unwrap().is_empty() {
            return;
        }
    }
    panic!("a lane stands still: {:?}", depot.store.job_counts().await.unwrap());
}

/// How often two transactions waited for each other in this database.
async fn deadlocks(depot: &Depot) -> i64 {
    let mut looking = PgConnection::connect(&depot.store.url).await.unwrap();
    let counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query_scalar(counted).fetch_one(&mut looking).await.unwrap()
}
