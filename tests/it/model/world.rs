//! What both sides are asked to do, and how they are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use switchboard::model::id::EventId;
use switchboard::model::job::{JobKind, JobState};

use super::customers::{Customers, DAY, PEOPLE, WHOLE};
use super::deliveries::Deliveries;
use super::sends::{Sends, text_of};
use crate::support::Backend;
use crate::support::arrivals::{Post, inbound};
use crate::support::depot::{Depot, ROUTE};

/// The store and its model.
pub struct World {
    pub depot: Depot,
    pub random: StdRng,
    pub deliveries: Deliveries,
    pub sends: Sends,
    pub customers: Customers,
    posts: Vec<Posted>,
    seed: u64,
    log: Vec<String>,
}

struct Posted {
    post: Post,
    event: EventId,
    repeats: u32,
}

impl World {
    pub async fn open(backend: Backend, seed: u64) -> Self {
        Self {
            depot: Depot::open(backend).await,
            random: StdRng::seed_from_u64(seed),
            deliveries: Deliveries::new(PEOPLE.len()),
            sends: Sends::new(PEOPLE.len()),
            customers: Customers::new(),
            posts: Vec::new(),
            seed,
            log: Vec::new(),
        }
    }

    /// One random operation on both sides.
    pub async fn step(&mut self) {
        let roll = self.random.random_range(0..100);
        self.log.push(format!("{roll}"));
        match roll {
            0..=13 => self.arrive().await,
            14..=15 => self.show().await,
            16..=18 => self.repeat().await,
            19..=31 => self.claim().await,
            32..=45 => self.settle().await,
            46..=47 => self.release().await,
            48..=50 => self.leases_end(),
            51..=53 => self.reclaim().await,
            54..=55 => self.settle_stale().await,
            56..=57 => self.retry_or_discard().await,
            58..=62 => self.ask().await,
            63..=71 => self.claim_sends().await,
            72..=79 => self.dispatch().await,
            80..=87 => self.answer().await,
            88..=89 => self.sweep().await,
            90..=91 => self.status().await,
            92 => self.marked_status().await,
            93..=95 => self.resolve().await,
            96 => self.retry_or_discard_send().await,
            97 => self.discard_waiting_send().await,
            98 => self.pause_or_resume().await,
            _ => self.a_day_passes(),
        }
    }

    /// Both sides count the same work at the same places.
    pub async fn compare(&self) {
        let now = self.depot.clock.now();
        let mut expected: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        let deliveries = self.deliveries.states().map(|state| (JobKind::Deliver, state));
        let sends = self.sends.states().map(|state| (JobKind::Send, state));
        for (kind, state) in deliveries.chain(sends) {
            *expected.entry((kind.as_str(), JobState::as_str(state))).or_default() += 1;
        }
        let counted = self.depot.store.job_counts().await.unwrap();
        let counted: BTreeMap<_, _> =
            counted.iter().map(|row| ((row.kind.as_str(), row.state.as_str()), row.count)).collect();
        assert_eq!(counted, expected, "{} at {now}", self.told());
        let stored = self.depot.messages().await;
        for (text, known) in self.sends.messages() {
            let is_it = |content: &serde_json::Value| text_of(content) == text;
            let found = stored.iter().find(|message| message.content.as_ref().is_some_and(is_it));
            let found = found.map(|message| (message.state.as_str(), message.kind));
            assert_eq!(found, Some((known.state, known.kind())), "{text}: {}", self.told());
        }
    }

    /// Does all that is left, and sees that nothing was lost or made twice.
    pub async fn finish(mut self) {
        self.leases_end();
        self.sweep().await;
        self.drain().await;
        self.compare().await;
        let events = self.depot.events().await;
        for posted in &self.posts {
            let event = events.iter().find(|event| event.id == posted.event).unwrap();
            assert_eq!(event.duplicates, i64::from(posted.repeats), "{}", self.told());
        }
        assert_eq!(events.len(), self.posts.len() + self.sends.statuses(), "{}", self.told());
    }

    async fn arrive(&mut self) {
        let person = self.random.random_range(0..PEOPLE.len());
        let text = format!("event {}", self.posts.len());
        let at = self.whole_second();
        let post = inbound(&self.depot.clock).customer(PEOPLE[person]).text(&text).at(at).on(ROUTE);
        let repeats = self.random.random_range(0..3);
        let again = (0..repeats).map(|_| post.again(&self.depot.clock));
        let group: Vec<Post> = std::iter::once(post.clone()).chain(again).collect();
        let receipts = self.depot.accept_all(group).await;
        let event = receipts[0].id;
        assert!(!receipts[0].duplicate);
        assert!(receipts[1..].iter().all(|receipt| receipt.duplicate && receipt.id == event));
        self.posts.push(Posted { post, event, repeats });
        self.arrived(person, text, at);
    }

    fn arrived(&mut self, person: usize, text: String, at: Timestamp) {
        self.customers.meet(person);
        self.customers.of(person).writes(at);
        self.deliveries.arrive(self.customers.lane(person), text);
    }

    /// Somebody writes and shows both of their names: who were two so far become one.
    async fn show(&mut self) {
        let whole = self.random.random_range(0..WHOLE.len());
        let text = format!("event {}", self.posts.len());
        let at = self.whole_second();
        let post = inbound(&self.depot.clock).customer(WHOLE[whole]).text(&text).at(at).on(ROUTE);
        let event = self.depot.accept(post.clone()).await.id;
        self.posts.push(Posted { post, event, repeats: 0 });
        if let Some((stays, goes)) = self.customers.show(whole) {
            self.deliveries.merge(stays, goes);
            self.sends.merge(stays, goes);
        }
        self.arrived(whole, text, at);
    }

    async fn repeat(&mut self) {
        if self.posts.is_empty() {
            return;
        }
        let which = self.random.random_range(0..self.posts.len());
        let again = self.posts[which].post.again(&self.depot.clock);
        let receipt = self.depot.accept(again).await;
        assert_eq!((receipt.id, receipt.duplicate), (self.posts[which].event, true));
        self.posts[which].repeats += 1;
    }

    fn leases_end(&mut self) {
        self.depot.leases_end();
        self.deliveries.leases_end();
        self.sends.leases_end();
    }

    /// Windows close, and what was tried for long is tried no more.
    fn a_day_passes(&mut self) {
        self.depot.pass(DAY);
        self.leases_end();
    }

    /// The time as Connectly tells it.
    pub fn whole_second(&self) -> Timestamp {
        Timestamp::from_second(self.depot.clock.now().as_second()).unwrap()
    }

    /// What was done so far, so that a failure can be followed.
    pub fn told(&self) -> String {
        format!("MODEL_SEED={} after {}", self.seed, self.log.join(" "))
    }

    /// A time from now.
    pub fn after(&self, delay: Duration) -> Timestamp {
        self.depot.clock.now().checked_add(delay).unwrap()
    }

    /// One of so many, or none of none.
    pub fn any(&mut self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.random.random_range(0..count))
    }
}
