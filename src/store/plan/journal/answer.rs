//! What the answer to a send makes of its message.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::message::OwnState;
use crate::store::work::Answer;

use super::record::MessageRecord;

/// What follows for the job from the answer to its send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Finished with this outcome.
    Done(&'static str),
    /// Ready again after a delay, the fence cleared.
    Again(Duration),
    /// For a person.
    Park,
}

/// Settles a message by the answer to its newest send, and says what follows for the job.
///
/// `observed` is the message under which statuses of the same id were kept so far; what it holds is taken over.
pub fn answer(
    record: &mut MessageRecord,
    answer: &Answer,
    observed: Option<MessageRecord>,
    now: Timestamp,
) -> Fate {
    let Some(send) = record.sends.last_mut() else {
        return Fate::Done("lost");
    };
    let seen = send.provider_message_id.is_some();
    match answer {
        Answer::Accepted(id) => {
            send.provider_message_id = Some(id.clone());
            send.accepted_at.get_or_insert(now);
            if let Some(known) = observed.and_then(|mut observed| observed.sends.pop()) {
                send.statuses.merge(known.statuses);
            }
            record.own = OwnState::Accepted;
            if send.was_refused_by_window() {
                record.expire();
            }
            done_or_fallen_back(record, "accepted")
        }
        // A status has shown the id already: whatever the answer was, it was processed.
        _ if seen => Fate::Done("accepted"),
        Answer::NotProcessed { after, .. } => {
            send.dispatched_at = None;
            Fate::Again(*after)
        }
        Answer::Refused(error) => {
            record.own = OwnState::Failed;
            record.error = Some(error.clone());
            Fate::Park
        }
        Answer::WindowClosed(error) => {
            send.statuses.error = Some(error.clone());
            record.error = Some(error.clone());
            record.expire();
            done_or_fallen_back(record, "expired")
        }
        Answer::OptedOut(error) => {
            record.own = OwnState::Suppressed;
            record.error = Some(error.clone());
            Fate::Done("suppressed")
        }
        Answer::Unknown => {
            record.own = OwnState::Unconfirmed;
            Fate::Done("unconfirmed")
        }
    }
}

/// The fallback is the same job's next request.
fn done_or_fallen_back(record: &MessageRecord, outcome: &'static str) -> Fate {
    if record.own == OwnState::Queued { Fate::Again(Duration::ZERO) } else { Fate::Done(outcome) }
}
