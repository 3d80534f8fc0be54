//! What the answer to a send comes to: for its message, for its job, and for more than that.

use std::time::Duration;

use jiff::Timestamp;

use super::super::journal::{self, Fate, MessageRecord, SendRecord};
use super::super::settle::{Finished, Postponed, append};
use crate::connectly::text::without_nul;
use crate::model::id::MessageId;
use crate::model::job::Attempt;
use crate::model::message::{Origin, OwnState};
use crate::store::work::{Answer, Departure, SendAnswered};

use super::JobView;

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
