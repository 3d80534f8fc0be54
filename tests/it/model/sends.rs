//! Messages: a lane per person, a fence before each request, and what is known of each afterwards.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use switchboard::model::id::EventId;
use switchboard::model::job::JobState;
use switchboard::model::sending::SendPolicy;
use switchboard::store::work::{Answer, Departure, Dispatch, Resolution, SendResult, Sending};

use super::world::{PEOPLE, World};
use crate::support::arrivals::status;
use crate::support::depot::{POLICY, REFUSED, answer_on, rate, refusal, sends};

/// Nothing holds a message back.
const FREE: SendPolicy = SendPolicy { replies_per_minute: 10_000, rate: rate(10_000, 10_000), ..POLICY };
/// The statuses, each outranking those before it.
const STATUSES: [&str; 4] = ["sent", "failed", "delivered", "read"];

pub struct Sends {
    lanes: Vec<VecDeque<Queued>>,
    /// The state of every message by its text.
    states: BTreeMap<String, &'static str>,
    refused: usize,
    accepted: Vec<Accepted>,
    doubtful: Vec<Doubtful>,
    stale: Vec<Sending>,
    statuses: HashSet<EventId>,
}

struct Queued {
    text: String,
    place: Place,
}

enum Place {
    Idle(Timestamp),
    Claimed(Box<Sending>),
    /// Claimed by somebody who said no more: ready again.
    Abandoned(Box<Sending>),
    Left(Box<Sending>, Departure),
    /// It left, and the lease ended: nobody may send it again.
    Unanswered(Box<Sending>, Departure),
}

struct Accepted {
    text: String,
    person: usize,
    id: String,
}

struct Doubtful {
    text: String,
    person: usize,
    sending: Sending,
    at: Departure,
}

impl Sends {
    pub fn new(people: usize) -> Self {
        Self {
            lanes: (0..people).map(|_| VecDeque::new()).collect(),
            states: BTreeMap::new(),
            refused: 0,
            accepted: Vec::new(),
            doubtful: Vec::new(),
            stale: Vec::new(),
            statuses: HashSet::new(),
        }
    }

    pub fn queue(&mut self, person: usize, texts: Vec<String>) {
        for text in texts {
            self.states.insert(text.clone(), "queued");
            self.lanes[person].push_back(Queued { text, place: Place::Idle(Timestamp::MIN) });
        }
    }

    pub fn leases_end(&mut self) {
        for send in self.lanes.iter_mut().flatten() {
            let place = std::mem::replace(&mut send.place, Place::Idle(Timestamp::MIN));
            send.place = match place {
                Place::Claimed(sending) => Place::Abandoned(sending),
                Place::Left(sending, at) => Place::Unanswered(sending, at),
                other => other,
            };
        }
    }

    pub fn states(&self) -> impl Iterator<Item = JobState> {
        let state = |send: &Queued| match send.place {
            Place::Idle(_) | Place::Abandoned(_) => JobState::Ready,
            Place::Claimed(_) | Place::Left(..) | Place::Unanswered(..) => JobState::Running,
        };
        self.lanes.iter().flatten().map(state).chain((0..self.refused).map(|_| JobState::Parked))
    }

    pub fn messages(&self) -> impl Iterator<Item = (&String, &'static str)> {
        self.states.iter().map(|(text, state)| (text, *state))
    }

    /// How many statuses arrived.
    pub fn statuses(&self) -> usize {
        self.statuses.len()
    }

    fn heads(&self, at: impl Fn(&Place) -> bool) -> Vec<usize> {
        let is = |person: &usize| self.lanes[*person].front().is_some_and(|send| at(&send.place));
        (0..self.lanes.len()).filter(is).collect()
    }
}

impl World {
    pub async fn claim_sends(&mut self) {
        let limit = self.random.random_range(1..4);
        self.claim_sends_up_to(limit).await;
    }

    async fn claim_sends_up_to(&mut self, limit: u32) {
        let now = self.depot.clock.now();
        let ready = |place: &Place| match place {
            Place::Idle(due) => *due <= now,
            Place::Abandoned(_) => true,
            Place::Claimed(_) | Place::Left(..) | Place::Unanswered(..) => false,
        };
        let eligible = self.sends.heads(ready);
        let claimed = self.depot.store.claim_sends(&sends(limit)).await.unwrap().sends;
        assert_eq!(claimed.len(), eligible.len().min(limit as usize), "sends: {}", self.told());
        for sending in claimed {
            let text = sending.content["text"].as_str().unwrap().to_owned();
            let heads = eligible.iter().filter(|person| self.sends.lanes[**person][0].text == text);
            let Some(person) = heads.copied().next() else { panic!("{text} is no head: {}", self.told()) };
            let head = &mut self.sends.lanes[person][0];
            if let Place::Abandoned(before) =
                std::mem::replace(&mut head.place, Place::Claimed(sending.into()))
            {
                self.sends.stale.push(*before);
            }
        }
    }

    pub async fn dispatch(&mut self) {
        if let Some(stale) = self.sends.stale.pop() {
            let answer = self.depot.store.dispatch(&stale, &FREE).await.unwrap();
            assert!(matches!(answer, Dispatch::Lost), "{answer:?}: {}", self.told());
        }
        let claimed = self.sends.heads(|place| matches!(place, Place::Claimed(_)));
        let Some(which) = self.any(claimed.len()) else { return };
        self.dispatch_head(claimed[which]).await;
    }

    async fn dispatch_head(&mut self, person: usize) {
        let head = &mut self.sends.lanes[person][0];
        let Place::Claimed(sending) = std::mem::replace(&mut head.place, Place::Idle(Timestamp::MIN)) else {
            return;
        };
        let answer = self.depot.store.dispatch(&sending, &FREE).await.unwrap();
        let Dispatch::Go(at) = answer else { panic!("{answer:?}: {}", self.told()) };
        let again = self.depot.store.dispatch(&sending, &FREE).await.unwrap();
        assert!(matches!(again, Dispatch::Lost), "the fence is set once: {}", self.told());
        self.sends.lanes[person][0].place = Place::Left(sending, at);
    }

    pub async fn answer(&mut self) {
        let left = self.sends.heads(|place| matches!(place, Place::Left(..) | Place::Unanswered(..)));
        let Some(which) = self.any(left.len()) else { return };
        let how = self.random.random_range(0..6);
        self.answer_head(left[which], how).await;
    }

    async fn answer_head(&mut self, person: usize, how: u32) {
        let Some(mut send) = self.sends.lanes[person].pop_front() else { return };
        let (Place::Left(sending, at) | Place::Unanswered(sending, at)) = &send.place else {
            panic!("it left: {}", self.told());
        };
        let (sending, at) = (sending.as_ref().clone(), *at);
        let after = Duration::from_secs(5);
        let (answer, state) = match how {
            0 => (Answer::Unknown, "unconfirmed"),
            1 => (Answer::Refused(refusal(REFUSED)), "failed"),
            2 => (Answer::NotProcessed { after, drain: false }, "queued"),
            _ => (Answer::Accepted(sending.message.to_string()), "accepted"),
        };
        let result = answer_on(self.depot.store.as_ref(), &sending, at, answer).await;
        assert_eq!(result, SendResult::Applied, "{}", self.told());
        self.sends.states.insert(send.text.clone(), state);
        match how {
            0 => self.sends.doubtful.push(Doubtful { text: send.text, person, sending, at }),
            1 => self.sends.refused += 1,
            2 => {
                send.place = Place::Idle(self.after(after));
                self.sends.lanes[person].push_front(send);
            }
            _ => {
                let id = sending.message.to_string();
                self.sends.accepted.push(Accepted { text: send.text, person, id });
            }
        }
    }

    /// What left and was never answered is in doubt, and its lane goes on.
    pub async fn sweep(&mut self) {
        let unanswered = self.sends.heads(|place| matches!(place, Place::Unanswered(..)));
        let swept = self.depot.sweep().await;
        assert_eq!(swept.unconfirmed, unanswered.len() as u64, "{}", self.told());
        for person in unanswered {
            let Some(send) = self.sends.lanes[person].pop_front() else { continue };
            let Place::Unanswered(sending, at) = send.place else { continue };
            self.sends.states.insert(send.text.clone(), "unconfirmed");
            self.sends.doubtful.push(Doubtful { text: send.text, person, sending: *sending, at });
        }
    }

    /// A late answer, or a person, settles a doubt.
    pub async fn resolve(&mut self) {
        let Some(which) = self.any(self.sends.doubtful.len()) else { return };
        let Doubtful { text, person, sending, at } = self.sends.doubtful.swap_remove(which);
        let message = sending.message;
        let state = match self.random.random_range(0..3) {
            0 => {
                let accepted = Answer::Accepted(message.to_string());
                let result = answer_on(self.depot.store.as_ref(), &sending, at, accepted).await;
                assert_eq!(result, SendResult::Applied, "{}", self.told());
                self.sends.accepted.push(Accepted { text: text.clone(), person, id: message.to_string() });
                "accepted"
            }
            1 => {
                self.depot.store.resolve(message, Resolution::Sent).await.unwrap();
                "accepted"
            }
            _ => {
                self.depot.store.resolve(message, Resolution::NotSent).await.unwrap();
                let place = Place::Idle(Timestamp::MIN);
                self.sends.lanes[person].push_back(Queued { text: text.clone(), place });
                "queued"
            }
        };
        self.sends.states.insert(text, state);
    }

    /// A status only ever adds to what is known.
    pub async fn status(&mut self) {
        let Some(which) = self.any(self.sends.accepted.len()) else { return };
        let rank = |state: &str| STATUSES.iter().position(|status| *status == state);
        let told = STATUSES[self.random.random_range(0..STATUSES.len())];
        let Accepted { text, person, id } = &self.sends.accepted[which];
        let wire = if told == "failed" { "delivery_failed" } else { told };
        let post = status(&self.depot.clock, id, wire).customer(PEOPLE[*person]);
        let receipt = self.depot.accept(post).await;
        let known = self.sends.states.get_mut(text).unwrap();
        if rank(told) > rank(known) {
            *known = told;
        }
        // The same status again is the same event, or with another time an event of its own.
        self.sends.statuses.insert(receipt.id);
    }

    pub async fn drain_sends(&mut self) {
        while self.sends.lanes.iter().any(|lane| !lane.is_empty()) {
            self.claim_sends_up_to(100).await;
            for person in self.sends.heads(|place| matches!(place, Place::Claimed(_))) {
                self.dispatch_head(person).await;
                self.answer_head(person, 5).await;
            }
        }
    }
}
