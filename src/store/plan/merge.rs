//! What becomes of the conversations of two customers that turn out to be one.
//!
//! With each number of the business one conversation stays, the older one. Jobs of both stand in its lanes then, numbered
//! anew: first what somebody holds already, so that nothing begins beside it, then those of the older conversation, then
//! those of the younger.

#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use crate::model::conversation::Window;
use crate::model::id::{ConversationId, EventId, JobId};
use crate::model::job::{API_PLACES_FROM, JobKind, Lane};

/// A conversation of either customer, locked.
#[derive(Clone, PartialEq, Eq)]
pub struct ConversationRecord {
    /// Its id.
    pub id: ConversationId,
    /// The business number.
    pub business: String,
    /// The last sequence number that was handed out.
    pub last_sequence: i64,
    /// What its window is derived from.
    pub window: Window,
    /// The first inbound.
    pub first_inbound: Option<EventId>,
    /// When its last event was received.
    pub last_event_at: Timestamp,
    /// Until when rules keep quiet.
    pub muted_until: Option<Timestamp>,
    /// When it was last handed back to them.
    pub handed_back_at: Option<Timestamp>,
}

/// An unfinished or parked job of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingJob {
    /// Its id.
    pub id: JobId,
    /// Deliver or send.
    pub kind: JobKind,
    /// The route of a delivery.
    pub route: String,
    /// The conversation it stands in.
    pub conversation: ConversationId,
    /// Whether it is in a lane.
    pub ordered: bool,
    /// Its place there.
    pub sequence: i64,
    /// Whether it waits for a person: then it holds up nobody.
    pub parked: bool,
    /// Whether somebody works on it, or has begun to.
    pub held: bool,
}

/// A job's place in the conversation that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which job.
    pub job: JobId,
    /// Its lane.
    pub lane: Option<Lane>,
    /// Its place there.
    pub sequence: i64,
    /// Whether another one is ahead of it.
    pub blocked: bool,
}

/// The conversations that become one with another: the one that stays, and the one that goes.
pub fn pairs(conversations: Vec<ConversationRecord>) -> Vec<(ConversationRecord, ConversationRecord)> {
    let mut of_business: BTreeMap<String, Vec<ConversationRecord>> = BTreeMap::new();
    for conversation in conversations {
        of_business.entry(conversation.business.clone()).or_default().push(conversation);
    }
    let pair = |mut both: Vec<ConversationRecord>| {
        both.sort_by_key(|conversation| conversation.id);
        let mut both = both.into_iter();
        Some((both.next()?, both.next()?))
    };
    of_business.into_values().filter_map(pair).collect()
}

/// The conversation that stays, with what was known of the other.
pub fn join(stays: ConversationRecord, goes: &ConversationRecord) -> ConversationRecord {
    let last_inbound_at = stays.window.last_inbound_at.max(goes.window.last_inbound_at);
    // A refusal holds until somebody writes after it.
    let closed_at = stays.window.closed_at.max(goes.window.closed_at);
    let closed_at = closed_at.filter(|closed| last_inbound_at.is_none_or(|inbound| inbound <= *closed));
    let first = [stays.first_inbound, goes.first_inbound].into_iter().flatten().min();
    ConversationRecord {
        last_sequence: stays.last_sequence.max(goes.last_sequence),
        window: Window { last_inbound_at, closed_at },
        first_inbound: first,
        last_event_at: stays.last_event_at.max(goes.last_event_at),
        muted_until: stays.muted_until.max(goes.muted_until),
        handed_back_at: stays.handed_back_at.max(goes.handed_back_at),
        ..stays
    }
}

/// Numbers the jobs of both conversations anew, in the one that stays.
pub fn line_up(stays: &mut ConversationRecord, mut jobs: Vec<StandingJob>) -> Vec<Place> {
    jobs.sort_by_key(|job| {
        (!job.held, job.is_behind_replies(), job.conversation != stays.id, job.sequence, job.id)
    });
    let mut begun = HashSet::new();
    let places = jobs.into_iter().map(|job| {
        stays.last_sequence += 1;
        let lane = job.ordered.then(|| match job.kind {
            JobKind::Deliver => Lane::of_route(&job.route, stays.id),
            JobKind::Send => Lane::of_sends(stays.id),
        });
        let behind = job.is_behind_replies();
        let first = if behind { API_PLACES_FROM } else { 0 };
        let blocked = lane.clone().filter(|_| !job.parked).is_some_and(|lane| {
            // A reply waits for replies only; an API message that has not begun waits for both.
            let waits_for_replies = behind && !job.held && begun.contains(&(lane.clone(), false));
            !begun.insert((lane, behind)) || waits_for_replies
        });
        Place { job: job.id, lane, sequence: first + stays.last_sequence, blocked }
    });
    places.collect()
}

impl StandingJob {
    /// Whether it sends an API message, which stands behind every reply.
    const fn is_behind_replies(&self) -> bool {
        self.sequence >= API_PLACES_FROM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn conversation(id: u128, business: &str) -> ConversationRecord {
        ConversationRecord {
            id: ConversationId::new(Ulid(id)),
            business: business.to_owned(),
            last_sequence: 0,
            window: Window::default(),
            first_inbound: None,
            last_event_at: at(0),
            muted_until: None,
            handed_back_at: None,
        }
    }

    fn job(id: u128, conversation: u128, sequence: i64) -> StandingJob {
        StandingJob {
            id: JobId::new(Ulid(id)),
            kind: JobKind::Deliver,
            route: "desk".to_owned(),
            conversation: ConversationId::new(Ulid(conversation)),
            ordered: true,
            sequence,
            parked: false,
            held: false,
        }
    }

    #[test]
    fn the_older_conversation_with_a_number_stays() {
        let all =
            vec![conversation(4, "+2"), conversation(3, "+1"), conversation(2, "+3"), conversation(1, "+2")];
        let ids: Vec<_> =
            pairs(all).iter().map(|(stays, goes)| (stays.id.ulid().0, goes.id.ulid().0)).collect();
        assert_eq!(ids, [(1, 4)]);
    }

    #[test]
    fn the_later_inbound_wins_and_reopens_a_window_that_was_refused_before_it() {
        let window = |inbound: Option<i64>, closed: Option<i64>| Window {
            last_inbound_at: inbound.map(at),
            closed_at: closed.map(at),
        };
        for (one, other, joined) in [
            (window(Some(5), None), window(Some(9), None), window(Some(9), None)),
            (window(Some(5), Some(7)), window(Some(9), None), window(Some(9), None)),
            (window(Some(5), Some(12)), window(Some(9), None), window(Some(9), Some(12))),
            (window(None, None), window(None, Some(3)), window(None, Some(3))),
        ] {
            let (mut stays, mut goes) = (conversation(1, "+1"), conversation(2, "+1"));
            (stays.window, goes.window) = (one, other);
            assert_eq!(join(stays.clone(), &goes).window, joined);
            assert_eq!(join(goes, &stays).window, joined);
        }
    }

    #[test]
    fn held_jobs_stand_first_then_the_older_conversations() {
        let mut stays = ConversationRecord { last_sequence: 40, ..conversation(1, "+1") };
        let held = StandingJob { held: true, ..job(12, 2, 7) };
        let jobs = vec![job(13, 2, 8), held, job(11, 1, 30), job(10, 1, 29)];
        let places = line_up(&mut stays, jobs);
        let order: Vec<_> =
            places.iter().map(|place| (place.job.ulid().0, place.sequence, place.blocked)).collect();
        assert_eq!(order, [(12, 41, false), (10, 42, true), (11, 43, true), (13, 44, true)]);
        assert_eq!(stays.last_sequence, 44);
        assert!(places.iter().all(|place| place.lane == Some(Lane::of_route("desk", stays.id))));
    }

    #[test]
    fn a_parked_job_holds_up_nobody() {
        let mut stays = conversation(1, "+1");
        let parked = StandingJob { parked: true, ..job(10, 1, 1) };
        let unordered = StandingJob { ordered: false, ..job(12, 2, 2) };
        let sends = StandingJob { kind: JobKind::Send, route: String::new(), ..job(13, 2, 3) };
        let places = line_up(&mut stays, vec![parked, job(11, 2, 1), unordered, sends]);
        assert!(places.iter().all(|place| !place.blocked), "{places:?}");
        assert_eq!(places[2].lane, None);
        assert_eq!(places[3].lane, Some(Lane::of_sends(stays.id)));
    }
}
