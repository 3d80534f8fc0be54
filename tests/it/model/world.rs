//! What both sides are asked to do, and how they are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use switchboard::model::id::EventId;
use switchboard::model::job::{JobKind, JobState};

use super::deliveries::Deliveries;
use super::sends::Sends;
use crate::support::Backend;
use crate::support::arrivals::{Person, Post, inbound, phone};
use crate::support::depot::{Depot, ROUTE};

/// Who writes.
pub const PEOPLE: [Person; 3] = [phone("+15550100001"), phone("+15550100005"), phone("+15550100009")];

/// The store and its model.
pub struct World {
    pub depot: Depot,
    pub random: StdRng,
    pub deliveries: Deliveries,
    pub sends: Sends,
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
            0..=17 => self.arrive().await,
            18..=21 => self.repeat().await,
            22..=38 => self.claim().await,
            39..=54 => self.settle().await,
            55..=57 => self.release().await,
            58..=61 => self.leases_end(),
            62..=65 => self.reclaim().await,
            66..=68 => self.settle_stale().await,
            69..=72 => self.retry_or_discard().await,
            73..=79 => self.claim_sends().await,
            80..=86 => self.dispatch().await,
            87..=93 => self.answer().await,
            94..=95 => self.sweep().await,
            96..=97 => self.status().await,
            _ => self.resolve().await,
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
        for (text, state) in self.sends.messages() {
            let stored = self.depot.messages().await;
            let found = stored.iter().find(|message| {
                message.content.as_ref().is_some_and(|content| content["text"] == text.as_str())
            });
            assert_eq!(found.map(|message| message.state.as_str()), Some(state), "{text}: {}", self.told());
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
        let post = inbound(&self.depot.clock).customer(PEOPLE[person]).text(&text).on(ROUTE);
        let repeats = self.random.random_range(0..3);
        let again = (0..repeats).map(|_| post.again(&self.depot.clock));
        let group: Vec<Post> = std::iter::once(post.clone()).chain(again).collect();
        let receipts = self.depot.accept_all(group).await;
        let event = receipts[0].id;
        assert!(!receipts[0].duplicate);
        assert!(receipts[1..].iter().all(|receipt| receipt.duplicate && receipt.id == event));
        self.posts.push(Posted { post, event, repeats });
        self.deliveries.arrive(person, text);
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
