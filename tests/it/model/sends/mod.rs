//! Messages: a lane per person with replies before what the API queued, a fence before each request, and what is known of
//! each afterwards.

mod answers;
mod leaving;
mod resolving;
mod statuses;

use std::collections::{BTreeMap, HashSet, VecDeque};

use jiff::Timestamp;
use serde_json::Value;
use switchboard::model::id::EventId;
use switchboard::model::job::JobState;
use switchboard::model::message::SendKind;
use switchboard::store::work::{Departure, Sending};

use self::statuses::Seen;

pub struct Sends {
    lanes: Vec<Lane>,
    /// Every message by its text.
    messages: BTreeMap<String, Known>,
    parked: Vec<Parked>,
    /// Those that Connectly gave an id.
    seen: Vec<Seen>,
    doubtful: Vec<Doubtful>,
    /// What a person said had not been sent, with the claim under which it may have been.
    denied: Vec<Doubtful>,
    /// Claims that somebody else has taken over since.
    stale: Vec<Sending>,
    statuses: HashSet<EventId>,
    paused: bool,
}

#[derive(Default)]
struct Lane {
    replies: VecDeque<Queued>,
    api: VecDeque<Queued>,
}

/// What was queued, and what is known of it.
#[derive(Clone, Copy)]
pub struct Known {
    pub state: &'static str,
    api: bool,
    /// What its content is.
    content: SendKind,
    fallback: bool,
    confirms: bool,
    /// 1, or 2 for the fallback.
    number: i64,
}

struct Queued {
    text: String,
    place: Place,
    attempts: u32,
    first_attempt: Option<Timestamp>,
    /// Whether a status, or a late answer, has told that it was sent.
    told: bool,
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

/// Where a job stands: the person's lane, whether among what the API queued, and how far behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    person: usize,
    api: bool,
    index: usize,
}

struct Parked {
    person: usize,
    text: String,
}

struct Doubtful {
    text: String,
    person: usize,
    sending: Sending,
    at: Departure,
}

impl Known {
    pub fn kind(&self) -> SendKind {
        if self.is_template() { SendKind::Template } else { SendKind::Session }
    }

    fn is_template(&self) -> bool {
        self.content == SendKind::Template || self.number > 1
    }

    fn can_fall_back(&self) -> bool {
        self.fallback && !self.is_template()
    }
}

impl Queued {
    fn new(text: &str) -> Self {
        let place = Place::Idle(Timestamp::MIN);
        Self { text: text.to_owned(), place, attempts: 0, first_attempt: None, told: false }
    }

    fn is_held(&self) -> bool {
        !matches!(self.place, Place::Idle(_))
    }

    fn is_under_way(&self) -> bool {
        matches!(self.place, Place::Left(..) | Place::Unanswered(..))
    }

    fn has_left(&self) -> Option<(Sending, Departure)> {
        match &self.place {
            Place::Left(sending, at) | Place::Unanswered(sending, at) => {
                Some((sending.as_ref().clone(), *at))
            }
            Place::Idle(_) | Place::Claimed(_) | Place::Abandoned(_) => None,
        }
    }
}

impl Lane {
    fn class(&mut self, api: bool) -> &mut VecDeque<Queued> {
        if api { &mut self.api } else { &mut self.replies }
    }

    fn all(&self) -> impl Iterator<Item = &Queued> {
        self.replies.iter().chain(&self.api)
    }
}

impl Sends {
    pub fn new(people: usize) -> Self {
        Self {
            lanes: (0..people).map(|_| Lane::default()).collect(),
            messages: BTreeMap::new(),
            parked: Vec::new(),
            seen: Vec::new(),
            doubtful: Vec::new(),
            denied: Vec::new(),
            stale: Vec::new(),
            statuses: HashSet::new(),
            paused: false,
        }
    }

    /// Queues a message: a reply that may confirm an opt-out, or the API's.
    pub fn queue(&mut self, person: usize, text: &str, known: Known) {
        self.messages.insert(text.to_owned(), known);
        self.line_up(person, text);
    }

    /// Puts a message at the end of its class in a lane.
    fn line_up(&mut self, person: usize, text: &str) {
        let api = self.messages[text].api;
        self.lanes[person].class(api).push_back(Queued::new(text));
    }

    pub fn leases_end(&mut self) {
        for lane in &mut self.lanes {
            for send in lane.replies.iter_mut().chain(&mut lane.api) {
                let place = std::mem::replace(&mut send.place, Place::Idle(Timestamp::MIN));
                send.place = match place {
                    Place::Claimed(sending) => Place::Abandoned(sending),
                    Place::Left(sending, at) => Place::Unanswered(sending, at),
                    other => other,
                };
            }
        }
    }

    /// Two lanes become one: whoever has begun stands first, then those of the older.
    pub fn merge(&mut self, stays: usize, goes: usize) {
        let gone = std::mem::take(&mut self.lanes[goes]);
        for (api, others) in [(false, gone.replies), (true, gone.api)] {
            let lane = self.lanes[stays].class(api);
            let all = lane.drain(..).chain(others);
            let (held, idle): (Vec<_>, Vec<_>) = all.partition(Queued::is_held);
            lane.extend(held.into_iter().chain(idle));
        }
    }

    pub fn states(&self) -> impl Iterator<Item = JobState> {
        let state = |send: &Queued| match send.place {
            Place::Idle(_) | Place::Abandoned(_) => JobState::Ready,
            Place::Claimed(_) | Place::Left(..) | Place::Unanswered(..) => JobState::Running,
        };
        let waiting = self.lanes.iter().flat_map(Lane::all).map(state);
        waiting.chain(self.parked.iter().map(|_| JobState::Parked))
    }

    pub fn messages(&self) -> impl Iterator<Item = (&String, &Known)> {
        self.messages.iter()
    }

    /// How many statuses arrived.
    pub fn statuses(&self) -> usize {
        self.statuses.len()
    }

    /// The jobs of which this holds.
    fn spots(&self, holds: impl Fn(&Queued) -> bool) -> Vec<Spot> {
        let mut spots = Vec::new();
        for (person, lane) in self.lanes.iter().enumerate() {
            for (api, class) in [(false, &lane.replies), (true, &lane.api)] {
                let of_class = class.iter().enumerate().filter(|(_, send)| holds(send));
                spots.extend(of_class.map(|(index, _)| Spot { person, api, index }));
            }
        }
        spots
    }

    fn at(&mut self, spot: Spot) -> &mut Queued {
        &mut self.lanes[spot.person].class(spot.api)[spot.index]
    }

    fn take(&mut self, spot: Spot) -> Queued {
        self.lanes[spot.person].class(spot.api).remove(spot.index).unwrap()
    }

    fn spot_of(&self, text: &str) -> Option<Spot> {
        self.spots(|send| send.text == text).first().copied()
    }

    fn known(&mut self, text: &str) -> &mut Known {
        self.messages.get_mut(text).unwrap()
    }

    /// Makes the template the newest send of a message.
    fn fall_back(&mut self, text: &str) {
        let known = self.known(text);
        (known.number, known.state) = (2, "queued");
    }
}

/// The text by which a message is known here: a template is named by it.
pub fn text_of(content: &Value) -> &str {
    content["text"].as_str().or_else(|| content["template"]["name"].as_str()).unwrap()
}

/// A reply.
pub fn reply(fallback: bool, confirms: bool) -> Known {
    Known { state: "queued", api: false, content: SendKind::Session, fallback, confirms, number: 1 }
}

/// A message of the API's.
pub fn asked(content: SendKind, fallback: bool) -> Known {
    Known { state: "queued", api: true, content, fallback, confirms: false, number: 1 }
}
