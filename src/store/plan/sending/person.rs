//! What a person does with a message: tells what became of it, tries it again, gives it up.

use jiff::Timestamp;

use super::super::journal::MessageRecord;
use crate::connectly::error::ErrorDetail;
use crate::model::message::OwnState;
use crate::store::error::StoreError;
use crate::store::work::Resolution;

/// Why a message cannot be resolved.
pub const NOT_UNCONFIRMED: StoreError = StoreError::Conflict("only an unconfirmed message can be resolved");

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
