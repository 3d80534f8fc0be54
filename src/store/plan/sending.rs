//! What becomes of a send: when it may not leave, when its answer comes, when a person settles it.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::FromRow;

use super::journal::{self, Fate, MessageRecord, SendRecord};
use super::settle::{Finished, Postponed, append};
use crate::connectly::error::ErrorDetail;
use crate::connectly::text::without_nul;
use crate::connectly::throttle::Bucket;
use crate::model::id::{JobId, MessageId};
use crate::model::job::Attempt;
use crate::model::message::{Origin, OwnState, SendKind};
use crate::model::sending::{Facts, SendPolicy, Verdict, decide};
use crate::store::error::StoreError;
use crate::store::rows::ConversationRow;
use crate::store::work::{Answer, ClaimSends, Departure, Resolution, SendAnswered};

/// Why a message cannot be resolved.
pub const NOT_UNCONFIRMED: StoreError = StoreError::Conflict("only an unconfirmed message can be resolved");

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

/// What decides whether a message may leave.
pub fn facts(
    record: &MessageRecord,
    conversation: &ConversationRow,
    job: &JobView,
    brakes: Brakes,
    now: Timestamp,
) -> Facts {
    let Brakes { confirms_opt_out, replies_last_minute } = brakes;
    let newest = record.sends.last();
    Facts {
        now,
        origin: record.origin,
        kind: newest.map_or(SendKind::Session, |send| send.kind),
        has_fallback: record.can_fall_back(),
        own: record.own,
        seen: newest.is_some_and(|send| send.provider_message_id.is_some()),
        window: conversation.window(),
        opted_out_at: conversation.opted_out_at.map(crate::store::rows::timestamp),
        confirms_opt_out,
        replies_last_minute,
        first_attempt_at: job.first_attempt_at.unwrap_or(now),
    }
}

/// What may hold a message back beside its window.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Brakes {
    /// Whether it is the one confirmation of the opt-out.
    pub confirms_opt_out: bool,
    /// The replies of its conversation that left within the last minute.
    pub replies_last_minute: i64,
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

/// What an account's bucket is kept under.
const BUCKETS: &str = "rate/";

/// The key of an account's bucket.
pub fn bucket_key(account: &str) -> String {
    format!("{BUCKETS}{account}")
}

/// The account that a bucket's key belongs to.
pub fn account_of(key: &str) -> Option<&str> {
    key.strip_prefix(BUCKETS)
}

/// How many sends of each account may be claimed.
#[derive(Debug, Default)]
pub struct Budget {
    /// The accounts that may send.
    pub accounts: Vec<String>,
    /// How many messages each may send.
    pub messages: Vec<i64>,
    /// How many of them may be replies.
    pub replies: Vec<i64>,
    /// How many replies may be claimed over all accounts: in the API's turn, half of the requests that may begin.
    pub reply_limit: i64,
    /// The accounts that may not, and how long until they may.
    pub exhausted: Vec<(String, Duration)>,
}

/// What the accounts' rates allow now. `buckets` are as the last sends left them; an account without one has a full one.
pub fn budget(claim: &ClaimSends, buckets: &HashMap<String, Bucket>, now: i64) -> Budget {
    let limit = i64::from(claim.limit);
    let reply_limit = if claim.api_turn { limit / 2 } else { limit };
    let mut budget = Budget { reply_limit, ..Budget::default() };
    for account in &claim.accounts {
        let full = Bucket::new(account.rate);
        let bucket = buckets.get(&account.name).map_or(full, |left| Bucket { rate: account.rate, ..*left });
        match bucket.look(now) {
            Ok(permits) => {
                let messages = i64::from(permits.saturating_sub(account.undrawn));
                budget.accounts.push(account.name.clone());
                budget.messages.push(messages);
                budget.replies.push(if claim.api_turn { messages / 2 } else { messages });
            }
            Err(wait) => budget.exhausted.push((account.name.clone(), wait)),
        }
    }
    budget
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

/// Which message holds the id that Connectly gave, before its answer is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// None, or the message itself.
    Nobody,
    /// One that statuses told of: it turns out to be this one.
    Observed(MessageId),
    /// Another one of ours. Connectly gave one id twice, so neither can be sure of it.
    Another,
}

impl Holder {
    /// Reads the other message that holds the id, and where it came from.
    pub fn of(row: Option<(MessageId, String)>) -> Self {
        match row {
            None => Self::Nobody,
            Some((id, origin)) if origin == Origin::Observed.as_str() => Self::Observed(id),
            Some(_) => Self::Another,
        }
    }

    /// The observed message.
    pub const fn observed(self) -> Option<MessageId> {
        match self {
            Self::Observed(id) => Some(id),
            Self::Nobody | Self::Another => None,
        }
    }
}

/// What an answer writes.
#[derive(Debug)]
pub struct Answered {
    /// The message, settled.
    pub record: MessageRecord,
    /// The observed message that turned out to be this one.
    pub absorbed: Option<MessageId>,
    /// The job, when it is finished.
    pub finished: Option<Finished>,
    /// The job, when it is tried again or parked.
    pub postponed: Option<Postponed>,
    /// Whether the request was surely not processed, so that another may leave.
    pub clears_fence: bool,
    /// Whether the job's next request is for the template, whose tries begin with it.
    pub begins_anew: bool,
    /// Whether the message needs a new job, because its old one was given up meanwhile.
    pub requeue: bool,
    /// What Connectly says of more than this message.
    pub tells: Tells,
}

/// What an answer says of the conversation or the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// Nothing.
    Nothing,
    /// The 24-hour window is closed.
    WindowClosed,
    /// The customer wants no messages.
    OptedOut,
}

impl Tells {
    const fn of(answer: &Answer) -> Self {
        match answer {
            Answer::WindowClosed(_) => Self::WindowClosed,
            Answer::OptedOut(_) => Self::OptedOut,
            Answer::Accepted(_) | Answer::NotProcessed { .. } | Answer::Refused(_) | Answer::Unknown => {
                Self::Nothing
            }
        }
    }
}

/// Settles a send by its answer; `None` when the answer is not to the request that is in force.
///
/// The job may be gone: a lease that ended has made the message `unconfirmed`, and an answer that was held meanwhile still
/// tells what happened.
pub fn answer(
    mut record: Vec<MessageRecord>,
    mut observed: Vec<MessageRecord>,
    holder: Holder,
    job: Option<JobView>,
    answered: &SendAnswered,
    now: Timestamp,
) -> Option<Answered> {
    let mut record = record.pop()?;
    let observed = observed.pop();
    let Departure { number, at } = answered.departure;
    let asked = record.sends.iter_mut().find(|send| {
        send.number == number
            && (send.dispatched_at == Some(at) || was_sent_after_all(send, &answered.answer))
    })?;
    if let (Answer::Accepted(id), Holder::Nobody) = (&answered.answer, holder) {
        asked.provider_message_id.get_or_insert_with(|| id.clone());
    }
    let is_newest = record.sends.last().is_some_and(|newest| newest.number == number);
    let open = match record.own {
        _ if !is_newest => false,
        OwnState::Queued | OwnState::Unconfirmed | OwnState::Accepted => true,
        OwnState::Expired => false,
        // An answer settled it before; its job is parked, or gone.
        OwnState::Failed | OwnState::Suppressed => return None,
    };
    let absorbed = observed.as_ref().filter(|_| open).map(|observed| observed.id);
    let was_unconfirmed = record.own == OwnState::Unconfirmed;
    let doubtful = holder == Holder::Another && matches!(answered.answer, Answer::Accepted(_));
    let told = if doubtful { &Answer::Unknown } else { &answered.answer };
    let unseen = record.sends.last().is_some_and(|newest| newest.provider_message_id.is_none());
    let fate = match open {
        true => journal::answer(&mut record, told, observed, now),
        // A status was faster and told more than the answer does: that the window was closed. The fallback follows it.
        false if record.own == OwnState::Queued => Fate::Again(Duration::ZERO),
        false => Fate::Done(record.own.as_str()),
    };
    let had_job = job.is_some();
    let job = job.filter(|job| job.dispatched_at == Some(at));
    let again = matches!(fate, Fate::Again(_));
    if again && was_unconfirmed {
        record.own = OwnState::Queued;
    }
    let requeue = again && !had_job;
    let clears_fence = again && job.is_some();
    let (finished, postponed) = job.map_or((None, None), |job| settle_job(&fate, &job, &answered.attempt));
    Some(Answered {
        record,
        absorbed,
        finished,
        postponed,
        clears_fence,
        begins_anew: !matches!(answered.answer, Answer::NotProcessed { .. }),
        requeue,
        tells: if open && unseen { Tells::of(&answered.answer) } else { Tells::Nothing },
    })
}

/// Whether an answer shows that a send has left of which a person said that it had not. It waits to leave again, which it must
/// not.
fn was_sent_after_all(send: &SendRecord, answer: &Answer) -> bool {
    let waits = send.dispatched_at.is_none() && send.provider_message_id.is_none();
    waits && matches!(answer, Answer::Accepted(_))
}

fn settle_job(fate: &Fate, job: &JobView, attempt: &Attempt) -> (Option<Finished>, Option<Postponed>) {
    let detail = attempt.detail.as_deref().map(without_nul);
    let log = append(job.log.clone(), attempt.clone());
    match fate {
        Fate::Done(outcome) => (Some(Finished { job: job.id, outcome, detail, log }), None),
        Fate::Again(after) => {
            (None, Some(Postponed { job: job.id, after: Some(*after), reason: detail, log }))
        }
        Fate::Park => (None, Some(Postponed { job: job.id, after: None, reason: detail, log })),
    }
}

/// Settles an unconfirmed message by what a person found out.
pub fn resolve(
    record: Option<MessageRecord>,
    resolution: Resolution,
    now: Timestamp,
) -> Result<MessageRecord, StoreError> {
    let mut record = record.filter(|record| record.own == OwnState::Unconfirmed).ok_or(NOT_UNCONFIRMED)?;
    let send = record.sends.last_mut().ok_or(NOT_UNCONFIRMED)?;
    match resolution {
        Resolution::Sent => {
            record.own = OwnState::Accepted;
            send.accepted_at = Some(now);
        }
        Resolution::NotSent => {
            record.own = OwnState::Queued;
            send.dispatched_at = None;
        }
    }
    Ok(record)
}

/// Readies a refused message for another try, when a person retries its job.
pub fn retry(record: &mut MessageRecord) {
    if record.own == OwnState::Failed {
        record.own = OwnState::Queued;
        record.error = None;
    }
    if let Some(send) = record.sends.last_mut() {
        send.dispatched_at = None;
    }
}

/// Gives up a message whose job a person discarded: it will not leave.
pub fn discard(record: &mut MessageRecord) {
    if record.own == OwnState::Queued {
        record.own = OwnState::Failed;
        record.error = Some(ErrorDetail::from_message("discarded before it was sent"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{ConversationId, JobId};
    use crate::model::message::{Origin, SendKind, Statuses};
    use ulid::Ulid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn record(own: OwnState) -> MessageRecord {
        let send = SendRecord {
            number: 1,
            kind: SendKind::Session,
            provider_message_id: Some("01K00000000000000000000001".into()),
            dispatched_at: Some(at(0)),
            accepted_at: None,
            statuses: Statuses::default(),
        };
        MessageRecord {
            id: MessageId::new(Ulid(7)),
            account: "default".into(),
            conversation: Some(ConversationId::new(Ulid(1))),
            origin: Origin::Reply,
            own,
            content: None,
            has_fallback: false,
            callback_data: None,
            campaign: None,
            error: None,
            created_at: at(0),
            sends: vec![send],
        }
    }

    #[test]
    fn an_answer_after_a_status_that_settled_the_message_still_ends_the_job() {
        let job = JobView {
            id: JobId::new(Ulid(9)),
            dispatched_at: Some(at(0)),
            first_attempt_at: None,
            log: Vec::new(),
        };
        let attempt =
            Attempt { number: 1, at: at(0), duration_ms: 5, outcome: "accepted".into(), detail: None };
        let accepted = Answer::Accepted("01K00000000000000000000001".into());
        let answered =
            SendAnswered { departure: Departure { number: 1, at: at(0) }, attempt, answer: accepted };
        let settled =
            answer(vec![record(OwnState::Expired)], Vec::new(), Holder::Nobody, Some(job), &answered, at(3))
                .unwrap();
        assert_eq!(settled.finished.map(|finished| finished.outcome), Some("expired"));
        assert_eq!(settled.record.own, OwnState::Expired);
    }
}
