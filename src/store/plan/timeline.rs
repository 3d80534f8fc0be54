//! A message's timeline: what we did, and each status that came, in the order of time.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::model::id::EventId;
use crate::model::message::{Message, Origin, OwnState, TimelineEntry};
use crate::store::rows::{SendRow, timestamp};

/// A status event of a message.
#[derive(Debug, FromRow)]
#[expect(missing_docs, reason = "the columns of `migrations/`")]
pub struct StatusSeen {
    pub id: EventId,
    pub status: String,
    pub at: i64,
    pub number: i64,
}

/// Puts the timeline together. `settled_at` is when we last changed the message, which dates what we made of it ourselves.
pub fn of(
    message: &Message,
    sends: &[SendRow],
    statuses: Vec<StatusSeen>,
    settled_at: i64,
) -> Vec<TimelineEntry> {
    let mut timeline = Vec::new();
    if message.origin != Origin::Observed {
        timeline.push(ours(OwnState::Queued, message.created_at, FIRST));
    }
    let accepted = sends.iter().filter_map(|send| Some((send.accepted_at?, send.number)));
    timeline.extend(accepted.map(|(at, number)| {
        // Whatever Connectly tells of a send, it had taken it by then: its answer may be settled after that.
        let told = statuses.iter().filter(|seen| seen.number == number).map(|seen| seen.at).min();
        ours(OwnState::Accepted, timestamp(told.map_or(at, |told| told.min(at))), number)
    }));
    let newest = sends.iter().map(|send| send.number).max().unwrap_or(FIRST);
    let unsent = [OwnState::Unconfirmed, OwnState::Failed, OwnState::Expired, OwnState::Suppressed];
    let told = statuses.iter().any(|seen| seen.number == newest && seen.status == message.state);
    let settled = unsent.into_iter().find(|own| own.as_str() == message.state && !told);
    timeline.extend(settled.map(|own| ours(own, timestamp(settled_at), newest)));
    timeline.extend(statuses.into_iter().map(|seen| TimelineEntry {
        state: seen.status,
        at: timestamp(seen.at),
        lag_ms: None,
        event_id: Some(seen.id),
        send: shown(seen.number),
    }));
    // Connectly's clock prints whole seconds: of equal times, the earlier send comes first, then what we did, then the usual
    // order.
    timeline.sort_by_key(|entry| (entry.at.as_second(), entry.send, rank(&entry.state), entry.at));
    measure(&mut timeline);
    timeline
}

/// Notes how long each step took. One that seems to go back within a second took no time that anybody knows of.
fn measure(timeline: &mut [TimelineEntry]) {
    let mut before = None;
    for entry in timeline {
        let lag = |before: Timestamp| entry.at.as_millisecond() - before.as_millisecond();
        entry.lag_ms = before.map(|before| lag(before).max(0));
        before = before.max(Some(entry.at));
    }
}

fn ours(state: OwnState, at: Timestamp, number: i64) -> TimelineEntry {
    TimelineEntry { state: state.as_str().to_owned(), at, lag_ms: None, event_id: None, send: shown(number) }
}

/// The number of the send that most messages have only.
const FIRST: i64 = 1;

fn shown(number: i64) -> Option<i64> {
    (number > FIRST).then_some(number)
}

fn rank(state: &str) -> usize {
    let usual = ["queued", "accepted", "unconfirmed", "sent", "delivered", "read"];
    usual.iter().position(|known| *known == state).unwrap_or(usual.len())
}
