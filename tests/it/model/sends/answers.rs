//! What Connectly answers, in time or late, and what time settles.

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use switchboard::store::work::{Answer, Departure, SendResult, Sending};

use super::statuses::Seen;
use super::{Doubtful, Parked, Place, Queued, Spot};
use crate::model::world::World;
use crate::support::depot::{REFUSED, WINDOW_CLOSED, answer_on, refusal};

/// What Connectly says when the customer wants no messages.
const OPTED_OUT: &str = "ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT";
/// What a 429 asks for.
pub const LATER: Duration = Duration::from_secs(5);

/// An answer by its number; from 5 on, it was taken under this id.
pub fn answer(how: u32, id: &str) -> Answer {
    match how {
        0 => Answer::Unknown,
        1 => Answer::Refused(refusal(REFUSED)),
        2 => Answer::NotProcessed { after: LATER, drain: false },
        3 => Answer::WindowClosed(refusal(WINDOW_CLOSED)),
        4 => Answer::OptedOut(refusal(OPTED_OUT)),
        _ => Answer::Accepted(id.to_owned()),
    }
}

impl World {
    pub async fn answer(&mut self) {
        let left = self.sends.spots(Queued::is_under_way);
        let Some(which) = self.any(left.len()) else { return };
        let how = self.random.random_range(0..10);
        self.answer_at(left[which], how).await;
    }

    pub async fn answer_at(&mut self, spot: Spot, how: u32) {
        let Some((sending, at)) = self.sends.at(spot).has_left() else { panic!("it left: {}", self.told()) };
        let text = self.sends.at(spot).text.clone();
        let id = self.sends.id_of(&text, at.number).unwrap_or_else(|| self.depot.clock.ulid().to_string());
        let result = answer_on(self.depot.store.as_ref(), &sending, at, answer(how, &id)).await;
        assert_eq!(result, SendResult::Applied, "{}", self.told());
        if self.sends.messages[&text].number > at.number {
            // A status has told that the window was closed: the fallback follows, whatever the answer was.
            self.tried_anew(spot);
        } else if self.sends.at(spot).told {
            self.sends.take(spot);
        } else {
            self.settle_answer(spot, how, &id, sending, at);
        }
    }

    fn settle_answer(&mut self, spot: Spot, how: u32, id: &str, sending: Sending, at: Departure) {
        let (person, due) = (spot.person, self.after(LATER));
        let text = self.sends.at(spot).text.clone();
        match how {
            2 => self.sends.at(spot).place = Place::Idle(due),
            3 if self.sends.messages[&text].can_fall_back() => {
                self.customers.in_lane(person).refused(at.at);
                self.sends.fall_back(&text);
                self.tried_anew(spot);
            }
            _ => {
                self.sends.take(spot);
                self.conclude(person, &text, how, id, at);
                match how {
                    0 => self.sends.doubtful.push(Doubtful { text, person, sending, at }),
                    1 => self.sends.parked.push(Parked { person, text }),
                    _ => {}
                }
            }
        }
    }

    /// What an answer makes of a message that goes on no more.
    pub fn conclude(&mut self, person: usize, text: &str, how: u32, id: &str, at: Departure) {
        let state = match how {
            0 => "unconfirmed",
            1 => "failed",
            3 => "expired",
            4 => "suppressed",
            _ => "accepted",
        };
        self.sends.known(text).state = state;
        match how {
            0..=2 => {}
            3 => self.customers.in_lane(person).refused(at.at),
            4 => self.customers.in_lane(person).opted_out = true,
            _ => self.sends.seen.push(Seen::new(text, person, id, at.number, Some(at.at))),
        }
    }

    /// The fallback is the same job's next request.
    fn tried_anew(&mut self, spot: Spot) {
        let send = self.sends.at(spot);
        (send.place, send.first_attempt, send.told) = (Place::Idle(Timestamp::MIN), None, false);
    }

    /// What left and was never answered is in doubt, unless a status has told, and its lane goes on.
    pub async fn sweep(&mut self) {
        let swept = self.depot.sweep().await.unconfirmed;
        let mut doubtful = 0;
        let unanswered = |send: &Queued| matches!(send.place, Place::Unanswered(..));
        while let Some(spot) = self.sends.spots(unanswered).first().copied() {
            let Some((sending, at)) = self.sends.at(spot).has_left() else { continue };
            let text = self.sends.at(spot).text.clone();
            if self.sends.messages[&text].number > at.number {
                self.tried_anew(spot);
            } else if self.sends.at(spot).told {
                self.sends.take(spot);
            } else {
                self.sends.take(spot);
                self.conclude(spot.person, &text, 0, "", at);
                self.sends.doubtful.push(Doubtful { text, person: spot.person, sending, at });
                doubtful += 1;
            }
        }
        assert_eq!(swept, doubtful, "{}", self.told());
    }
}
