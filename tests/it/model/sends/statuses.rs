//! Statuses: by the id that Connectly gave, or by our mark.

use jiff::Timestamp;
use rand::RngExt as _;
use switchboard::connectly::mark;
use switchboard::model::id::MessageId;

use super::{Doubtful, Queued, Sends};
use crate::model::customers::PEOPLE;
use crate::model::world::World;
use crate::support::arrivals::{Post, status};
use crate::support::depot::{REFUSED, WINDOW_CLOSED};

/// The statuses, each outranking those before it.
const STATUSES: [&str; 4] = ["sent", "failed", "delivered", "read"];
const FAILED: usize = 1;

/// A send that Connectly gave an id.
pub struct Seen {
    text: String,
    person: usize,
    id: String,
    number: i64,
    left_at: Option<Timestamp>,
    reached: [bool; STATUSES.len()],
    /// Whether the first failure was that the window was closed.
    refused: bool,
}

/// What a status tells.
#[derive(Clone, Copy)]
struct Told {
    status: usize,
    /// Of a failure: whether the window was closed.
    refused: bool,
    at: Timestamp,
}

impl Seen {
    pub fn new(text: &str, person: usize, id: &str, number: i64, left_at: Option<Timestamp>) -> Self {
        let (text, id) = (text.to_owned(), id.to_owned());
        Self { text, person, id, number, left_at, reached: [false; STATUSES.len()], refused: false }
    }

    fn fold(&mut self, told: Told) {
        if told.status == FAILED && !self.reached[FAILED] {
            self.refused = told.refused;
        }
        self.reached[told.status] = true;
    }

    /// Whether it failed for good because the window was closed.
    fn was_refused(&self) -> bool {
        let [_, failed, delivered, read] = self.reached;
        failed && self.refused && !delivered && !read
    }

    fn state(&self, template: bool) -> Option<&'static str> {
        let highest = (0..STATUSES.len()).rev().find(|status| self.reached[*status])?;
        Some(if self.was_refused() && !template { "expired" } else { STATUSES[highest] })
    }
}

impl Sends {
    pub fn id_of(&self, text: &str, number: i64) -> Option<String> {
        let seen = self.seen.iter().find(|seen| seen.text == text && seen.number == number);
        seen.map(|seen| seen.id.clone())
    }
}

impl World {
    /// A status only ever adds to what is known.
    pub async fn status(&mut self) {
        let Some(which) = self.any(self.sends.seen.len()) else { return };
        let told = self.tell();
        let Seen { id, person, .. } = &self.sends.seen[which];
        let post = self.post(id, told).customer(PEOPLE[*person]);
        self.deliver(post).await;
        self.learn(which, told);
    }

    /// A status with our mark tells of what is under way, or in doubt.
    pub async fn marked_status(&mut self) {
        let mut told = self.tell();
        let sends = &self.sends;
        let is_newest = |send: &Queued| {
            send.has_left().is_some_and(|(_, at)| at.number == sends.messages[&send.text].number)
        };
        let under_way = sends.spots(|send| is_newest(send) && !send.told);
        let Some(which) = self.any(self.sends.doubtful.len() + under_way.len()) else { return };
        let (text, person, message, at) = match which.checked_sub(self.sends.doubtful.len()) {
            None => {
                let Doubtful { text, person, sending, at } = self.sends.doubtful.swap_remove(which);
                (text, person, sending.message, at)
            }
            Some(which) => {
                let spot = under_way[which];
                let send = self.sends.at(spot);
                let Some((sending, at)) = send.has_left() else { return };
                send.told = true;
                (send.text.clone(), spot.person, sending.message, at)
            }
        };
        // No template fails for that.
        told.refused &= !self.sends.messages[&text].is_template();
        let id = self.depot.clock.ulid().to_string();
        let post = marked(self.post(&id, told), message).customer(PEOPLE[person]);
        self.deliver(post).await;
        self.sends.known(&text).state = "accepted";
        self.sends.seen.push(Seen::new(&text, person, &id, at.number, Some(at.at)));
        self.learn(self.sends.seen.len() - 1, told);
    }

    fn tell(&mut self) -> Told {
        let status = self.random.random_range(0..STATUSES.len());
        let refused = status == FAILED && self.random.random_range(0..2) == 0;
        Told { status, refused, at: self.whole_second() }
    }

    fn post(&self, id: &str, told: Told) -> Post {
        let word = if told.status == FAILED { "delivery_failed" } else { STATUSES[told.status] };
        let post = status(&self.depot.clock, id, word).at(told.at);
        match told.status {
            FAILED => post.error(if told.refused { WINDOW_CLOSED } else { REFUSED }),
            _ => post,
        }
    }

    async fn deliver(&mut self, post: Post) {
        let receipt = self.depot.accept(post).await;
        // The same status again is the same event, or with another time an event of its own.
        self.sends.statuses.insert(receipt.id);
    }

    fn learn(&mut self, which: usize, told: Told) {
        self.sends.seen[which].fold(told);
        let seen = &self.sends.seen[which];
        let (text, person) = (seen.text.clone(), self.customers.lane(seen.person));
        let known = self.sends.messages[&text];
        if seen.number < known.number {
            return;
        }
        let refused = told.status == FAILED && seen.was_refused() && !known.is_template();
        let since = seen.left_at.map_or(told.at, |left| left.min(told.at));
        if let Some(state) = seen.state(known.is_template()) {
            self.sends.known(&text).state = state;
        }
        if !refused {
            return;
        }
        self.customers.in_lane(person).refused(since);
        if known.can_fall_back() {
            self.sends.fall_back(&text);
            // What is still being sent, or waits to be, has its job already.
            match self.sends.spot_of(&text) {
                Some(spot) => self.sends.at(spot).told = false,
                None => self.sends.line_up(person, &text),
            }
        }
    }
}

/// With the mark of a message.
fn marked(post: Post, message: MessageId) -> Post {
    let data = mark::apply(None, message.ulid()).unwrap();
    post.with("callbackData", serde_json::from_str::<serde_json::Value>(&data).unwrap())
}
