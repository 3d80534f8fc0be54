//! Claims, and whether what was claimed may leave.

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::json;
use switchboard::connectly::event::party::Party;
use switchboard::model::pauses::Pauses;
use switchboard::model::payload::kind_of;
use switchboard::model::sending::SendPolicy;
use switchboard::store::submission::{Submission, Submitted};
use switchboard::store::work::{ClaimSends, Dispatch, Sending};

use super::{Lane, Parked, Place, Queued, Spot, asked, text_of};
use crate::model::customers::PEOPLE;
use crate::model::world::World;
use crate::support::arrivals::{ACCOUNT, SHOP};
use crate::support::depot::{POLICY, rate, sends};

/// Nothing but the window, opt-outs and pauses holds a message back.
const FREE: SendPolicy = SendPolicy { replies_per_minute: 10_000, rate: rate(10_000, 10_000), ..POLICY };
/// How long a template is tried.
const PATIENCE: Duration = Duration::from_hours(24);

impl Lane {
    /// Which class may begin: the first reply unless one of the API's is about to leave, or the API's first when there is no
    /// reply. While something is under way, neither may.
    fn may_begin(&self, now: Timestamp) -> Option<bool> {
        let is_ready = |send: &Queued| match send.place {
            Place::Idle(due) => due <= now,
            Place::Abandoned(_) => true,
            Place::Claimed(_) | Place::Left(..) | Place::Unanswered(..) => false,
        };
        if self.all().any(Queued::is_under_way) {
            return None;
        }
        match (self.replies.front(), self.api.front()) {
            (Some(_), Some(Queued { place: Place::Claimed(_), .. })) | (None, None) => None,
            (Some(reply), _) => is_ready(reply).then_some(false),
            (None, Some(api)) => is_ready(api).then_some(true),
        }
    }
}

impl World {
    /// Somebody asks for a message through the API.
    pub async fn ask(&mut self) {
        let person = self.random.random_range(0..PEOPLE.len());
        let (template, fallback) = (self.random.random_range(0..4) == 0, self.random.random_range(0..2) == 0);
        let text = format!("asked {}", self.sends.messages.len());
        let content = if template {
            json!({ "template": { "name": text, "language": "en" } })
        } else {
            json!({ "text": text })
        };
        let phone = PEOPLE[person].phone.map(ToOwned::to_owned);
        let submission = Submission {
            account: ACCOUNT.to_owned(),
            to: Party { phone, user_id: PEOPLE[person].user_id.map(ToOwned::to_owned), name: None },
            from: Some(SHOP.to_owned()),
            content: content.clone(),
            fallback: fallback.then(|| json!({ "template": "reopen", "language": "en" })),
            callback_data: None,
            campaign: None,
            order: None,
            key: None,
            window_margin: POLICY.window_margin,
        };
        let submitted = self.depot.store.submit(&submission).await.unwrap();
        assert!(matches!(submitted, Submitted::Queued(_)), "{}", self.told());
        self.customers.meet(person);
        self.sends.queue(self.customers.lane(person), &text, asked(kind_of(&content), fallback));
    }

    pub async fn pause_or_resume(&mut self) {
        self.pause(!self.sends.paused).await;
    }

    async fn pause(&mut self, sends: bool) {
        self.sends.paused = sends;
        self.depot.store.pause(&Pauses { sends, ..Pauses::default() }).await.unwrap();
    }

    pub async fn claim_sends(&mut self) {
        let limit = self.random.random_range(1..4);
        self.claim_sends_up_to(limit).await;
    }

    async fn claim_sends_up_to(&mut self, limit: u32) {
        let now = self.depot.clock.now();
        let lanes = self.sends.lanes.iter().enumerate().filter(|_| !self.sends.paused);
        let eligible: Vec<Spot> = lanes
            .filter_map(|(person, lane)| Some(Spot { person, api: lane.may_begin(now)?, index: 0 }))
            .collect();
        let replies = eligible.iter().filter(|spot| !spot.api).count();
        let api_turn = self.random.random_range(0..4) == 0;
        let claim = ClaimSends { api_turn, ..sends(limit) };
        let claimed = self.depot.store.claim_sends(&claim).await.unwrap().sends;
        let limit = limit as usize;
        let expected_replies = replies.min(if api_turn { limit / 2 } else { limit });
        let expected = expected_replies + (eligible.len() - replies).min(limit - expected_replies);
        assert_eq!(claimed.len(), expected, "sends: {}", self.told());
        for (place, sending) in claimed.into_iter().enumerate() {
            let text = text_of(&sending.content).to_owned();
            let spot = self.sends.spot_of(&text).filter(|spot| eligible.contains(spot));
            let Some(spot) = spot else { panic!("{text} may not begin: {}", self.told()) };
            assert_eq!(spot.api, place >= expected_replies, "replies first: {}", self.told());
            self.hold(spot, sending, now);
        }
    }

    fn hold(&mut self, spot: Spot, sending: Sending, now: Timestamp) {
        let send = self.sends.at(spot);
        send.attempts += 1;
        send.first_attempt.get_or_insert(now);
        if let Place::Abandoned(before) = std::mem::replace(&mut send.place, Place::Claimed(sending.into())) {
            self.sends.stale.push(*before);
        }
    }

    /// Somebody asks whether what they claimed may leave, perhaps long after their lease ended.
    pub async fn dispatch(&mut self) {
        if let Some(stale) = self.sends.stale.pop() {
            let answer = self.depot.store.dispatch(&stale, &FREE).await.unwrap();
            assert!(matches!(answer, Dispatch::Lost), "{answer:?}: {}", self.told());
        }
        let claimed = self.sends.spots(|send| matches!(send.place, Place::Claimed(_) | Place::Abandoned(_)));
        let Some(which) = self.any(claimed.len()) else { return };
        self.dispatch_at(claimed[which]).await;
    }

    async fn dispatch_at(&mut self, spot: Spot) {
        let behind = self.sends.lanes[spot.person].all().any(Queued::is_under_way);
        let place = std::mem::replace(&mut self.sends.at(spot).place, Place::Idle(Timestamp::MIN));
        let (Place::Claimed(sending) | Place::Abandoned(sending)) = place else {
            panic!("it was claimed: {}", self.told());
        };
        let answer = self.depot.store.dispatch(&sending, &FREE).await.unwrap();
        if self.sends.paused || behind {
            let expected = if self.sends.paused { Dispatch::Paused } else { Dispatch::Behind };
            assert_eq!(answer, expected, "{}", self.told());
            let send = self.sends.at(spot);
            send.attempts -= 1;
            send.first_attempt = send.first_attempt.filter(|_| send.attempts > 0);
            return;
        }
        match self.verdict(spot) {
            Ok(number) => {
                let Dispatch::Go(at) = answer else { panic!("{answer:?}: {}", self.told()) };
                assert_eq!(at.number, number, "{}", self.told());
                let again = self.depot.store.dispatch(&sending, &FREE).await.unwrap();
                assert!(matches!(again, Dispatch::Lost), "the fence is set once: {}", self.told());
                self.sends.at(spot).place = Place::Left(sending, at);
            }
            Err(outcome) => {
                assert_eq!(answer, Dispatch::Ended(outcome), "{}", self.told());
                self.end(spot, outcome);
            }
        }
    }

    /// Which send leaves, or what becomes of it instead.
    fn verdict(&mut self, spot: Spot) -> Result<i64, &'static str> {
        let now = self.depot.clock.now();
        let send = self.sends.at(spot);
        let (text, told) = (send.text.clone(), send.told);
        let customer = *self.customers.in_lane(spot.person);
        if told {
            return Err("settled");
        }
        if customer.opted_out && !self.sends.messages[&text].confirms {
            return Err("suppressed");
        }
        if !self.sends.messages[&text].is_template() && !customer.may_be_written_to(now) {
            if !self.sends.messages[&text].can_fall_back() {
                return Err("expired");
            }
            self.sends.fall_back(&text);
            self.sends.at(spot).first_attempt = Some(now);
        }
        let known = self.sends.messages[&text];
        let tried = self.sends.at(spot).first_attempt.map_or(Duration::ZERO, |first| {
            Duration::try_from(now.duration_since(first)).unwrap_or_default()
        });
        if known.is_template() && tried > PATIENCE { Err("parked") } else { Ok(known.number) }
    }

    fn end(&mut self, spot: Spot, outcome: &'static str) {
        let Queued { text, .. } = self.sends.take(spot);
        match outcome {
            "settled" => {}
            "parked" => self.sends.parked.push(Parked { person: spot.person, text }),
            state => self.sends.known(&text).state = state,
        }
    }

    /// Sends whatever is left.
    pub async fn drain_sends(&mut self) {
        self.pause(false).await;
        for _ in 0..1000 {
            if self.sends.lanes.iter().all(|lane| lane.all().next().is_none()) {
                return;
            }
            self.claim_sends_up_to(100).await;
            let claimed = |send: &Queued| matches!(send.place, Place::Claimed(_));
            while let Some(spot) = self.sends.spots(claimed).first().copied() {
                self.dispatch_at(spot).await;
            }
            while let Some(spot) = self.sends.spots(Queued::is_under_way).first().copied() {
                self.answer_at(spot, 9).await;
            }
        }
        panic!("a lane stands still: {}", self.told());
    }
}
