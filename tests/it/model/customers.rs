//! Customers: some known by a number, some by a user id, until an event shows that two of them are one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::support::arrivals::{Person, both, phone, user};
use crate::support::depot::POLICY;

/// Who writes. Each of the second half is somebody of the first half.
pub const PEOPLE: [Person; 6] = [
    phone("+15550100001"),
    phone("+15550100005"),
    phone("+15550100009"),
    user("US.1"),
    user("US.5"),
    user("US.9"),
];
/// They again, by both of their names.
pub const WHOLE: [Person; 3] =
    [both("+15550100001", "US.1"), both("+15550100005", "US.5"), both("+15550100009", "US.9")];

/// The customers, one for each of [`PEOPLE`] until they are found to be one.
pub struct Customers {
    lanes: [Customer; PEOPLE.len()],
    /// Whose lane each is in.
    who: [usize; PEOPLE.len()],
    seen: u32,
}

#[derive(Clone, Copy, Default)]
pub struct Customer {
    /// How many had been met before them.
    seen: Option<u32>,
    pub opted_out: bool,
    last_inbound: Option<Timestamp>,
    closed_at: Option<Timestamp>,
}

impl Customers {
    pub fn new() -> Self {
        let lanes = [Customer::default(); PEOPLE.len()];
        Self { lanes, who: std::array::from_fn(|person| person), seen: 0 }
    }

    /// Whose lane somebody is in.
    pub fn lane(&self, person: usize) -> usize {
        self.who[person]
    }

    pub fn of(&mut self, person: usize) -> &mut Customer {
        self.in_lane(self.lane(person))
    }

    /// Whoever is in a lane.
    pub fn in_lane(&mut self, lane: usize) -> &mut Customer {
        &mut self.lanes[lane]
    }

    /// Somebody is met, perhaps for the first time.
    pub fn meet(&mut self, person: usize) {
        let next = self.seen;
        let seen = &mut self.of(person).seen;
        if seen.is_none() {
            *seen = Some(next);
            self.seen += 1;
        }
    }

    /// Somebody shows both of their names. When they were two so far: the lane that stays, and the one that goes.
    pub fn show(&mut self, whole: usize) -> Option<(usize, usize)> {
        let (one, other) = (self.who[whole], self.who[whole + WHOLE.len()]);
        if one == other {
            return None;
        }
        let age = |person: usize| self.lanes[person].seen.unwrap_or(u32::MAX);
        let (stays, goes) = if age(other) < age(one) { (other, one) } else { (one, other) };
        self.lanes[stays].join(self.lanes[goes]);
        for who in self.who.iter_mut().filter(|who| **who == goes) {
            *who = stays;
        }
        Some((stays, goes))
    }
}

impl Customer {
    fn join(&mut self, other: Self) {
        self.opted_out |= other.opted_out;
        self.last_inbound = self.last_inbound.max(other.last_inbound);
        let closed_at = self.closed_at.max(other.closed_at);
        self.closed_at = closed_at.filter(|at| self.last_inbound.is_none_or(|inbound| inbound <= *at));
    }

    /// They wrote, in a whole second.
    pub fn writes(&mut self, at: Timestamp) {
        self.last_inbound = self.last_inbound.max(Some(at));
        self.closed_at = self.closed_at.filter(|closed| at <= *closed);
    }

    /// Connectly said that the window was closed when a message left.
    pub fn refused(&mut self, at: Timestamp) {
        if self.last_inbound.is_none_or(|inbound| inbound <= at) {
            self.closed_at = Some(at);
        }
    }

    /// Whether something free-form may leave.
    pub fn may_be_written_to(&self, now: Timestamp) -> bool {
        let day = SignedDuration::from_hours(24) - SignedDuration::try_from(POLICY.window_margin).unwrap();
        self.closed_at.is_none() && self.last_inbound.is_some_and(|inbound| now.duration_since(inbound) < day)
    }
}

/// Long enough for every window to close and for every template to have been tried for long enough.
pub const DAY: Duration = Duration::from_hours(25);
