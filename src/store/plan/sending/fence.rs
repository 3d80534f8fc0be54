//! What a fence finds when a message is about to leave.

use jiff::Timestamp;
use sqlx::FromRow;

use super::JobView;
use crate::model::job::Lease;
use crate::model::message::SendKind;
use crate::model::sending::Facts;
use crate::store::plan::journal::MessageRecord;
use crate::store::rows::{ConversationRow, attempts, timestamp};
use crate::store::work::Dispatch;

/// Everything that decides whether a message may leave, read at once while its conversation is locked.
#[derive(FromRow)]
pub struct Fence {
    #[sqlx(flatten)]
    conversation: ConversationRow,
    first_attempt_at: Option<i64>,
    log: String,
    /// Whether it is the one confirmation of the opt-out.
    confirms_opt_out: bool,
    /// The replies of its conversation that left within the last minute.
    replies_last_minute: i64,
    /// Whether all sends are paused.
    is_paused: bool,
    /// Whether another message of the conversation has left and is not settled. A claim passes such a lane by, but one whose
    /// lease ended may have been overtaken meanwhile, two claims at a time may each take one (a reply, and the API message that
    /// begins its lane beside the replies), and two may have been claimed before their conversations became one.
    another_is_under_way: bool,
}

impl Fence {
    /// Why the message goes back to where it was, as if it had not been claimed.
    pub fn holds_back(&self) -> Option<Dispatch> {
        if self.is_paused {
            return Some(Dispatch::Paused);
        }
        self.another_is_under_way.then_some(Dispatch::Behind)
    }

    /// The job as far as its send needs it. Its request has not left.
    pub fn job(&self, lease: Lease) -> JobView {
        JobView {
            id: lease.job,
            dispatched_at: None,
            first_attempt_at: self.first_attempt_at.map(timestamp),
            log: attempts(Some(&self.log)),
        }
    }

    /// What decides whether the message may leave.
    pub fn facts(&self, record: &MessageRecord, now: Timestamp) -> Facts {
        let newest = record.sends.last();
        Facts {
            now,
            origin: record.origin,
            kind: newest.map_or(SendKind::Session, |send| send.kind),
            has_fallback: record.can_fall_back(),
            own: record.own,
            seen: newest.is_some_and(|send| send.provider_message_id.is_some()),
            window: self.conversation.window(),
            opted_out_at: self.conversation.opted_out_at.map(timestamp),
            confirms_opt_out: self.confirms_opt_out,
            replies_last_minute: self.replies_last_minute,
            first_attempt_at: self.first_attempt_at.map_or(now, timestamp),
        }
    }
}
