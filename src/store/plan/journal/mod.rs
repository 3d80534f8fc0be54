//! The journal of messages: how statuses, echoes and answers settle what is known of each (P5, P7).
//!
//! Both sides that learn something come through here: the group that brings statuses, and the worker that brings the
//! answer to a send. Whichever is first, the message ends the same.

mod answer;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::connectly::error::ErrorDetail;
use crate::connectly::event::status::Status;
use crate::model::id::{ConversationId, MessageId};
use crate::model::json::JsonText;
use crate::model::message::{Origin, OwnState, SendKind};

pub use self::answer::{Fate, answer};
pub use self::record::{MessageRecord, SendRecord};

/// What an event tells of a message.
#[derive(Debug, Clone)]
pub struct News {
    /// The account.
    pub account: String,
    /// The conversation of the event.
    pub conversation: Option<ConversationId>,
    /// The event's time.
    pub at: Timestamp,
    /// Connectly's id.
    pub provider_message_id: String,
    /// The message of ours that the mark names.
    pub mark: Option<MessageId>,
    /// The echoed callback data, the mark taken out.
    pub callback_data: Option<JsonText>,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// What happened.
    pub tells: Tells,
}

impl News {
    /// Whether they tell that the 24-hour window was closed.
    pub fn closes_window(&self) -> bool {
        self.failure().is_some_and(ErrorDetail::closes_window)
    }

    /// Whether they tell that the customer wants no messages.
    pub fn opts_out(&self) -> bool {
        self.failure().is_some_and(ErrorDetail::opts_out)
    }

    const fn failure(&self) -> Option<&ErrorDetail> {
        match &self.tells {
            Tells::Status(Status::Failed, error) => error.as_ref(),
            Tells::Status(Status::Sent | Status::Delivered | Status::Read, _) | Tells::Echo(_) => None,
        }
    }
}

/// What happened to a message.
#[derive(Clone)]
pub enum Tells {
    /// A status was reached.
    Status(Status, Option<ErrorDetail>),
    /// It was seen leaving, with this content.
    Echo(Value),
}

impl std::fmt::Debug for Tells {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status, _) => write!(formatter, "Status({status})"),
            Self::Echo(_) => formatter.write_str("Echo(..)"),
        }
    }
}

/// The messages that a group's events are about.
#[derive(Debug, Default)]
pub struct Journal {
    records: BTreeMap<MessageId, MessageRecord>,
    by_provider_id: HashMap<(String, String), (MessageId, i64)>,
    created: BTreeSet<MessageId>,
    changed: BTreeSet<MessageId>,
    window_closed: BTreeMap<ConversationId, Timestamp>,
    fallen_back: BTreeSet<MessageId>,
    opted_out: BTreeSet<ConversationId>,
}

/// What a group's events change in messages.
#[derive(Debug, Default)]
pub struct Changes {
    /// Observed messages to insert.
    pub created: Vec<MessageRecord>,
    /// Messages to write back.
    pub changed: Vec<MessageRecord>,
    /// Conversations whose window Connectly says is closed, since when.
    pub window_closed: BTreeMap<ConversationId, Timestamp>,
    /// Messages whose fallback is to be sent. One that is still being sent has its job already.
    pub fallen_back: Vec<(MessageId, ConversationId)>,
    /// Conversations whose customer, Connectly says, wants no messages.
    pub opted_out: BTreeSet<ConversationId>,
}

/// How much earlier than our request a status's time may be: Connectly's clock prints whole seconds and is not ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);

impl Journal {
    /// Starts from what was locked: every message the news name by id or mark, and the unconfirmed ones of their
    /// conversations.
    pub fn new(records: Vec<MessageRecord>) -> Self {
        let mut journal = Self::default();
        for record in records {
            for send in &record.sends {
                if let Some(provider_id) = &send.provider_message_id {
                    journal.index(&record.account, provider_id, record.id, send.number);
                }
            }
            journal.records.insert(record.id, record);
        }
        journal
    }

    /// Takes in one event's news. `new_id` names an observed message, should it be one.
    pub fn learn(&mut self, news: &News, new_id: impl FnOnce() -> MessageId) {
        let known =
            self.by_provider_id.get(&(news.account.clone(), news.provider_message_id.clone())).copied();
        let (id, number) =
            known.or_else(|| self.settle_doubt(news)).unwrap_or_else(|| self.observe(news, new_id()));
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let Some(send) = record.sends.iter_mut().find(|send| send.number == number) else {
            return;
        };
        match &news.tells {
            Tells::Status(status, error) => send.statuses.fold(*status, news.at, error.clone()),
            Tells::Echo(content) if record.content.is_none() => record.content = Some(content.clone()),
            Tells::Echo(_) => {}
        }
        if matches!(news.tells, Tells::Status(Status::Failed, _)) {
            self.fail(id, number, news.at);
        }
        self.changed.insert(id);
    }

    /// What follows from a failed status beside the state.
    fn fail(&mut self, id: MessageId, number: i64, at: Timestamp) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let newest = record.sends.last().filter(|newest| newest.number == number);
        let closed = newest.is_some_and(SendRecord::was_refused_by_window);
        let opted_out = newest.is_some_and(|newest| newest.statuses.opted_out());
        // Whoever writes after a message left opens the window again, however late its refusal is told.
        let left_at = newest.and_then(|newest| newest.dispatched_at);
        if closed {
            record.expire();
        }
        let Some(conversation) = record.conversation else { return };
        if closed {
            self.window_closed.entry(conversation).or_insert(left_at.map_or(at, |left| left.min(at)));
        }
        if closed && record.own == OwnState::Queued {
            self.fallen_back.insert(id);
        }
        if opted_out {
            self.opted_out.insert(conversation);
        }
    }

    /// What to write.
    pub fn changes(self) -> Changes {
        let fallen_back =
            self.fallen_back.iter().filter_map(|id| Some((*id, self.records.get(id)?.conversation?)));
        let fallen_back = fallen_back.collect();
        let (created, changed) = self
            .records
            .into_values()
            .filter(|record| self.changed.contains(&record.id))
            .partition(|record| self.created.contains(&record.id));
        Changes {
            created,
            changed,
            window_closed: self.window_closed,
            fallen_back,
            opted_out: self.opted_out,
        }
    }

    /// A message of ours that is waiting to learn its id: the one the mark names, else the only one that fits.
    fn settle_doubt(&mut self, news: &News) -> Option<(MessageId, i64)> {
        // Only we know the mark, so it tells that the message left, even when a person has said that it did not and it is
        // queued again: then it must not leave a second time.
        let lacks_id = |record: &MessageRecord| {
            record.account == news.account
                && record.sends.last().is_some_and(|send| send.provider_message_id.is_none())
        };
        let marked = news.mark.filter(|id| self.records.get(id).is_some_and(lacks_id));
        let id = marked.or_else(|| self.only_fitting(news))?;
        let record = self.records.get_mut(&id)?;
        let number = record.told_of(news)?;
        let newest = record.newest()?.number;
        if number == newest {
            record.own = OwnState::Accepted;
        }
        let send = record.sends.iter_mut().find(|send| send.number == number)?;
        send.provider_message_id = Some(news.provider_message_id.clone());
        send.accepted_at = Some(news.at);
        self.index(&news.account, &news.provider_message_id, id, number);
        Some((id, number))
    }

    /// Without a mark, the only unconfirmed message of the conversation whose callback data and time fit. With more than
    /// one a person decides.
    fn only_fitting(&self, news: &News) -> Option<MessageId> {
        if news.mark.is_some() || news.conversation.is_none() {
            return None;
        }
        let echoed = news.callback_data.as_ref().map(JsonText::as_str);
        let mut fitting = self.records.values().filter(|record| {
            record.own == OwnState::Unconfirmed
                && record.conversation == news.conversation
                && awaits_id(record, news)
                && record.sent_callback_data().as_deref() == echoed
        });
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only.id)
    }

    fn observe(&mut self, news: &News, id: MessageId) -> (MessageId, i64) {
        let provider_message_id = Some(news.provider_message_id.clone());
        let send = SendRecord { provider_message_id, ..SendRecord::new(1, SendKind::Session) };
        let record = MessageRecord {
            id,
            account: news.account.clone(),
            conversation: news.conversation,
            origin: Origin::Observed,
            own: OwnState::Accepted,
            content: None,
            has_fallback: false,
            callback_data: news.callback_data.clone(),
            campaign: news.campaign.clone(),
            error: None,
            created_at: news.at,
            sends: vec![send],
        };
        self.records.insert(id, record);
        self.created.insert(id);
        self.index(&news.account, &news.provider_message_id, id, 1);
        (id, 1)
    }

    fn index(&mut self, account: &str, provider_id: &str, id: MessageId, number: i64) {
        self.by_provider_id.insert((account.to_owned(), provider_id.to_owned()), (id, number));
    }
}

/// Whether a message left before this news and has no id yet.
fn awaits_id(record: &MessageRecord, news: &News) -> bool {
    let Some(send) = record.sends.last() else {
        return false;
    };
    let left_before =
        send.dispatched_at.is_some_and(|at| at.saturating_sub(CLOCK_SKEW).is_ok_and(|at| at <= news.at));
    record.account == news.account && send.provider_message_id.is_none() && left_before
}
