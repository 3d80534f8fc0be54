//! Deliveries: a lane per person, whose head runs while the others wait.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::json;
use switchboard::model::id::JobId;
use switchboard::model::job::JobState;
use switchboard::model::outcome::{Effect, Reply};
use switchboard::store::work::{ClaimDeliveries, Delivery, Look, Settled};

use super::sends;
use super::world::World;
use crate::support::depot::{ROUTE, done, of_route};

pub struct Deliveries {
    lanes: Vec<VecDeque<Waiting>>,
    parked: Vec<Parked>,
    /// Claims that somebody else has taken over since.
    stale: Vec<Delivery>,
}

struct Waiting {
    text: String,
    place: Place,
}

enum Place {
    Idle(Timestamp),
    Held(Box<Delivery>),
    /// Held by nobody any more; settled still, if it is before another claim.
    Lapsed(Box<Delivery>),
}

struct Parked {
    person: usize,
    text: String,
    job: JobId,
}

impl Deliveries {
    pub fn new(people: usize) -> Self {
        let lanes = (0..people).map(|_| VecDeque::new()).collect();
        Self { lanes, parked: Vec::new(), stale: Vec::new() }
    }

    pub fn arrive(&mut self, person: usize, text: String) {
        self.lanes[person].push_back(Waiting { text, place: Place::Idle(Timestamp::MIN) });
    }

    pub fn leases_end(&mut self) {
        for job in self.lanes.iter_mut().flatten() {
            let place = std::mem::replace(&mut job.place, Place::Idle(Timestamp::MIN));
            job.place = match place {
                Place::Held(delivery) => Place::Lapsed(delivery),
                other => other,
            };
        }
    }

    /// Two lanes become one: what somebody holds stands first, then what is of the older.
    pub fn merge(&mut self, stays: usize, goes: usize) {
        let gone = std::mem::take(&mut self.lanes[goes]);
        let all = self.lanes[stays].drain(..).chain(gone);
        let (held, idle): (Vec<_>, Vec<_>) = all.partition(|job| !matches!(job.place, Place::Idle(_)));
        self.lanes[stays].extend(held.into_iter().chain(idle));
    }

    pub fn states(&self) -> impl Iterator<Item = JobState> {
        let state = |job: &Waiting| match job.place {
            Place::Idle(_) | Place::Lapsed(_) => JobState::Ready,
            Place::Held(_) => JobState::Running,
        };
        self.lanes.iter().flatten().map(state).chain(self.parked.iter().map(|_| JobState::Parked))
    }

    /// The lanes whose head is at such a place.
    fn heads(&self, at: impl Fn(&Place) -> bool) -> Vec<usize> {
        let is = |person: &usize| self.lanes[*person].front().is_some_and(|job| at(&job.place));
        (0..self.lanes.len()).filter(is).collect()
    }

    /// Everything that is at such a place: its lane, and how far behind it stands there.
    fn spots(&self, at: impl Fn(&Place) -> bool) -> Vec<(usize, usize)> {
        let mut spots = Vec::new();
        for (person, lane) in self.lanes.iter().enumerate() {
            let of_lane = lane.iter().enumerate().filter(|(_, job)| at(&job.place));
            spots.extend(of_lane.map(|(index, _)| (person, index)));
        }
        spots
    }

    /// Takes claimed deliveries in: each must be a head that could be claimed.
    fn claimed(&mut self, claimed: Vec<Delivery>, eligible: &[usize]) -> bool {
        claimed.into_iter().all(|delivery| {
            let text = delivery.event.content().unwrap().text.clone().unwrap();
            let heads = eligible.iter().filter(|person| self.lanes[**person][0].text == text);
            let Some(person) = heads.copied().next() else { return false };
            let head = &mut self.lanes[person][0];
            if let Place::Lapsed(before) = std::mem::replace(&mut head.place, Place::Held(delivery.into())) {
                self.stale.push(*before);
            }
            true
        })
    }
}

impl World {
    pub async fn claim(&mut self) {
        let now = self.depot.clock.now();
        let eligible = self.deliveries.heads(|place| matches!(place, Place::Idle(due) if *due <= now));
        let limit = self.random.random_range(1..4);
        let claim = ClaimDeliveries { limit, ..of_route(ROUTE, 100) };
        let claimed = self.depot.claim_as(&claim).await;
        assert_eq!(claimed.len(), eligible.len().min(limit as usize), "claimed: {}", self.told());
        assert!(self.deliveries.claimed(claimed, &eligible), "no head: {}", self.told());
    }

    pub async fn reclaim(&mut self) {
        let eligible = self.deliveries.heads(|place| matches!(place, Place::Lapsed(_)));
        let claim = ClaimDeliveries { limit: 1, look: Look::Ended, ..of_route(ROUTE, 100) };
        let claimed = self.depot.claim_as(&claim).await;
        assert_eq!(claimed.len(), eligible.len().min(1), "reclaimed: {}", self.told());
        assert!(self.deliveries.claimed(claimed, &eligible), "no head: {}", self.told());
    }

    pub async fn settle(&mut self) {
        let held = self.deliveries.spots(|place| !matches!(place, Place::Idle(_)));
        let Some(which) = self.any(held.len()) else { return };
        let how = self.random.random_range(0..8);
        self.settle_at(held[which], how).await;
    }

    async fn settle_at(&mut self, (person, index): (usize, usize), how: u32) {
        let Some(mut job) = self.deliveries.lanes[person].remove(index) else { return };
        let (Place::Held(delivery) | Place::Lapsed(delivery)) = &job.place else {
            panic!("it is held: {}", self.told());
        };
        let texts: Vec<String> = (1..how.clamp(1, 4)).map(|n| format!("reply {n} to {}", job.text)).collect();
        let delay = Duration::from_secs(5);
        let fallback = self.random.random_range(0..2) == 0;
        let effects = match how {
            6 => vec![Effect::OptOut],
            7 => vec![Effect::OptIn],
            _ => Vec::new(),
        };
        let resolution = match how {
            4 => Settled::Retry(delay),
            5 => Settled::Park,
            _ => done(texts.iter().map(|text| said(text, fallback)).collect(), effects),
        };
        assert!(self.depot.settle_because(delivery, resolution, Some("told")).await, "{}", self.told());
        match how {
            4 => {
                job.place = Place::Idle(self.after(delay));
                self.deliveries.lanes[person].insert(index, job);
            }
            5 => {
                let parked = Parked { person, job: delivery.lease.job, text: job.text };
                self.deliveries.parked.push(parked);
            }
            _ => self.reply(person, &texts, fallback, how),
        }
    }

    fn reply(&mut self, person: usize, texts: &[String], fallback: bool, how: u32) {
        let customer = self.customers.in_lane(person);
        let confirms = how == 6 && !customer.opted_out;
        customer.opted_out = how == 6 || (customer.opted_out && how != 7);
        for (index, text) in texts.iter().enumerate() {
            self.sends.queue(person, text, sends::reply(fallback, confirms && index == 0));
        }
    }

    pub async fn release(&mut self) {
        let held = self.deliveries.spots(|place| matches!(place, Place::Held(_)));
        let Some(which) = self.any(held.len()) else { return };
        let (person, index) = held[which];
        let job = &mut self.deliveries.lanes[person][index];
        if let Place::Held(delivery) = std::mem::replace(&mut job.place, Place::Idle(Timestamp::MIN)) {
            self.depot.store.release(&[delivery.lease]).await.unwrap();
            self.deliveries.stale.push(*delivery);
        }
    }

    /// Whoever lost a lease can change nothing.
    pub async fn settle_stale(&mut self) {
        let Some(which) = self.any(self.deliveries.stale.len()) else { return };
        let delivery = self.deliveries.stale.swap_remove(which);
        let reply = done(vec![Reply::text("too late")], Vec::new());
        assert!(!self.depot.settle(&delivery, reply).await, "{}", self.told());
    }

    /// A person looks at what is parked.
    pub async fn retry_or_discard(&mut self) {
        let Some(which) = self.any(self.deliveries.parked.len()) else { return };
        let Parked { person, text, job } = self.deliveries.parked.swap_remove(which);
        if self.random.random_range(0..3) == 0 {
            let discarded = self.depot.store.discard_job(job).await.unwrap().unwrap();
            assert_eq!(discarded.state, JobState::Discarded);
        } else {
            let retried = self.depot.store.retry_job(job).await.unwrap().unwrap();
            assert_eq!(retried.state, JobState::Ready);
            self.deliveries.arrive(self.customers.lane(person), text);
        }
    }

    /// Claims and finishes whatever is left.
    pub async fn drain(&mut self) {
        self.depot.pass(Duration::from_mins(1));
        while self.deliveries.lanes.iter().any(|lane| !lane.is_empty()) {
            self.reclaim().await;
            self.claim().await;
            let held = |place: &Place| !matches!(place, Place::Idle(_));
            while let Some(spot) = self.deliveries.spots(held).first().copied() {
                self.settle_at(spot, 1).await;
            }
        }
        self.drain_sends().await;
    }
}

fn said(text: &str, fallback: bool) -> Reply {
    let template = json!({ "template": "reopen", "language": "en" });
    Reply { fallback: fallback.then_some(template), ..Reply::text(text) }
}
