//! What becomes of a send: when it may not leave, when its answer comes, when a person settles it.

mod answer;
mod budget;
mod fence;
mod person;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::journal::MessageRecord;
use super::settle::{Finished, Postponed, append};
use crate::model::id::JobId;
use crate::model::job::Attempt;
use crate::model::message::{OwnState, SendKind};
use crate::model::sending::{Facts, SendPolicy, Verdict, decide};
use crate::store::work::Departure;

pub use self::answer::{Answered, Holder, Tells, answer};
pub use self::budget::{Budget, account_of, bucket_key, budget};
pub use self::fence::Fence;
pub use self::person::{NOT_UNCONFIRMED, discard, resolve, retry};

/// A job as far as its send needs it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// The fence.
    pub dispatched_at: Option<Timestamp>,
    /// When its first attempt began.
    pub first_attempt_at: Option<Timestamp>,
    /// Its tries so far.
    pub log: Vec<Attempt>,
}

/// Decides whether a message leaves. When its window is closed and it has a template instead, the record's newest send is
/// that template afterwards, and its tries begin now.
pub fn judge(record: &mut MessageRecord, facts: Facts, policy: &SendPolicy) -> Judgement {
    match decide(&facts, policy) {
        Verdict::FallBack => {
            record.fall_back();
            let (kind, first_attempt_at) = (SendKind::Template, facts.now);
            let facts = Facts { kind, first_attempt_at, has_fallback: false, seen: false, ..facts };
            Judgement { verdict: decide(&facts, policy), fell_back: true }
        }
        verdict => Judgement { verdict, fell_back: false },
    }
}

/// What a message that asked to leave was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// What to do with it.
    pub verdict: Verdict,
    /// Whether its template takes its place from now on.
    pub fell_back: bool,
}

/// Notes that a message's newest send leaves now.
pub fn depart(record: &mut MessageRecord, at: Timestamp) -> Departure {
    let newest = record.sends.last_mut();
    let number = newest.map_or(1, |send| {
        send.dispatched_at = Some(at);
        send.number
    });
    Departure { number, at }
}

/// A send that will not leave.
#[derive(Debug)]
pub struct Ended {
    /// The message, settled.
    pub record: MessageRecord,
    /// The job, when it is finished.
    pub finished: Option<Finished>,
    /// The job, when it is parked.
    pub postponed: Option<Postponed>,
    /// What became of it, in a word.
    pub outcome: &'static str,
}

/// Settles a send that may not leave.
pub fn end(verdict: Verdict, mut record: MessageRecord, job: &JobView, number: i64, now: Timestamp) -> Ended {
    let (own, outcome, detail) = match verdict {
        Verdict::Expire => {
            (OwnState::Expired, "expired", "the 24-hour window is closed and there is no fallback".to_owned())
        }
        Verdict::Suppress => (OwnState::Suppressed, "suppressed", "the customer has opted out".to_owned()),
        Verdict::Park(reason) => (record.own, "parked", reason.to_string()),
        Verdict::Settled | Verdict::Leave | Verdict::FallBack => {
            (record.own, "settled", "it was settled before it left".to_owned())
        }
    };
    record.own = own;
    let detail = Some(detail);
    let attempt =
        Attempt { number, at: now, duration_ms: 0, outcome: outcome.to_owned(), detail: detail.clone() };
    let log = append(job.log.clone(), attempt);
    if matches!(verdict, Verdict::Park(_)) {
        let postponed = Postponed { job: job.id, after: None, reason: detail, log };
        return Ended { record, finished: None, postponed: Some(postponed), outcome };
    }
    Ended { record, finished: Some(Finished { job: job.id, outcome, detail, log }), postponed: None, outcome }
}
