//! The journal of messages: how statuses, echoes and answers settle what is known of each (P5, P7).
//!
//! Both sides that learn something come through here: the group that brings statuses, and the worker that brings the
//! answer to a send. Whichever is first, the message ends the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::connectly::error::ErrorDetail;
use crate::connectly::event::status::Status;
use crate::connectly::mark;
use crate::connectly::text::bounded;
use crate::model::id::{ConversationId, MessageId};
use crate::model::json::JsonText;
use crate::model::message::{Origin, OwnState, SendKind, Statuses, derive};
use crate::store::work::Answer;

/// One message with its sends, as locked.
#[derive(Clone)]
pub struct MessageRecord {
    /// Our id.
    pub id: MessageId,
    /// The account.
    pub account: String,
    /// The conversation, when one is known.
    pub conversation: Option<ConversationId>,
    /// Where it came from.
    pub origin: Origin,
    /// What we know ourselves.
    pub own: OwnState,
    /// Connectly's `message` object, for an observed message seen by its echo.
    pub content: Option<Value>,
    /// Whether there is a template to send once the window is closed.
    pub has_fallback: bool,
    /// What the caller set, or for an observed message what was echoed.
    pub callback_data: Option<JsonText>,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// Why Connectly refused it, when it did.
    pub error: Option<ErrorDetail>,
    /// When it was queued, or first seen.
    pub created_at: Timestamp,
    /// Its sends in the order of their numbers; at least one.
    pub sends: Vec<SendRecord>,
}

impl std::fmt::Debug for MessageRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MessageRecord({}, {})", self.id, self.own.as_str())
    }
}

/// One send of a message.
#[derive(Debug, Clone)]
pub struct SendRecord {
    /// 1, or 2 for the fallback.
    pub number: i64,
    /// Free-form or template.
    pub kind: SendKind,
    /// Connectly's id.
    pub provider_message_id: Option<String>,
    /// When the request left.
    pub dispatched_at: Option<Timestamp>,
    /// When we learned Connectly's id.
    pub accepted_at: Option<Timestamp>,
    /// What statuses told.
    pub statuses: Statuses,
}

/// The number of the send that carries the fallback.
const FALLBACK: i64 = 2;

impl SendRecord {
    /// One that has not left.
    pub fn new(number: i64, kind: SendKind) -> Self {
        Self {
            number,
            kind,
            provider_message_id: None,
            dispatched_at: None,
            accepted_at: None,
            statuses: Statuses::default(),
        }
    }

    /// Whether it failed for good because the window was closed. What was delivered all the same did not.
    fn was_refused_by_window(&self) -> bool {
        self.kind == SendKind::Session
            && derive(OwnState::Accepted, self.kind, &self.statuses) == OwnState::Expired.as_str()
    }
}

impl MessageRecord {
    /// The derived state.
    pub fn state(&self) -> &'static str {
        self.sends.last().map_or(self.own.as_str(), |newest| derive(self.own, newest.kind, &newest.statuses))
    }

    /// Whether a template is to be sent once the window is closed: it is tried once, after the free-form send.
    pub fn can_fall_back(&self) -> bool {
        self.has_fallback && matches!(self.sends[..], [SendRecord { kind: SendKind::Session, .. }])
    }

    /// Makes the template the message's newest send.
    pub fn fall_back(&mut self) {
        self.own = OwnState::Queued;
        self.error = None;
        self.sends.push(SendRecord::new(FALLBACK, SendKind::Template));
    }

    /// Takes in that the window is closed: the template follows if there is one, else the message is `expired`.
    fn expire(&mut self) {
        if self.can_fall_back() {
            self.fall_back();
        } else {
            self.own = OwnState::Expired;
        }
    }

    /// Why it failed: a status's reason before the answer's.
    pub fn failure(&self) -> Option<&ErrorDetail> {
        self.sends.last().and_then(|newest| newest.statuses.error.as_ref()).or(self.error.as_ref())
    }

    /// The code of its failure, as it is stored for lists.
    pub fn failure_code(&self) -> Option<String> {
        self.failure().and_then(|error| error.code.as_deref()).map(bounded)
    }

    /// Which send news are of that name the message, but no send of it: the newest, unless they tell that the window was closed.
    /// No template fails for that, so it is the free-form send before it, which an answer may have refused already.
    fn told_of(&self, tells: &Tells) -> Option<i64> {
        let newest = self.sends.last()?;
        let closes = |error: &Option<ErrorDetail>| error.as_ref().is_some_and(ErrorDetail::closes_window);
        let refused = matches!(tells, Tells::Status(Status::Failed, error) if closes(error));
        let session = |send: &&SendRecord| {
            send.kind == SendKind::Session
                && send.dispatched_at.is_some()
                && send.provider_message_id.is_none()
        };
        let earlier = self.sends.iter().rev().find(session).filter(|_| refused);
        Some(earlier.unwrap_or(newest).number)
    }

    fn newest(&mut self) -> Option<&mut SendRecord> {
        self.sends.last_mut()
    }

    /// The callback data that the request carried: with the mark, when there was room for it.
    fn sent_callback_data(&self) -> Option<String> {
        mark::apply(self.callback_data.as_ref().map(JsonText::as_str), self.id.ulid())
    }
}

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
        let number = record.told_of(&news.tells)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn ours(id: u128, own: OwnState, callback_data: Option<&str>) -> MessageRecord {
        let send = SendRecord { dispatched_at: Some(at(0)), ..SendRecord::new(1, SendKind::Session) };
        MessageRecord {
            id: MessageId::new(Ulid(id)),
            account: "default".into(),
            conversation: Some(ConversationId::new(Ulid(1))),
            origin: Origin::Reply,
            own,
            content: None,
            has_fallback: false,
            callback_data: callback_data.map(|text| JsonText::parse(text.into()).unwrap()),
            campaign: None,
            error: None,
            created_at: at(0),
            sends: vec![send],
        }
    }

    fn news(status: Status, mark: Option<u128>, callback_data: Option<&str>) -> News {
        News {
            account: "default".into(),
            conversation: Some(ConversationId::new(Ulid(1))),
            at: at(5),
            provider_message_id: "01K00000000000000000000001".into(),
            mark: mark.map(|id| MessageId::new(Ulid(id))),
            callback_data: callback_data.map(|text| JsonText::parse(text.into()).unwrap()),
            campaign: None,
            tells: Tells::Status(status, None),
        }
    }

    fn new_id() -> MessageId {
        MessageId::new(Ulid(99))
    }

    fn states(journal: Journal) -> (Vec<&'static str>, Vec<&'static str>) {
        let Changes { created, changed, .. } = journal.changes();
        let states = |records: &[MessageRecord]| records.iter().map(MessageRecord::state).collect();
        (states(&created), states(&changed))
    }

    #[test]
    fn a_status_with_our_mark_settles_an_unconfirmed_message() {
        let mut journal = Journal::new(vec![ours(7, OwnState::Unconfirmed, None)]);
        journal.learn(&news(Status::Delivered, Some(7), None), new_id);
        assert_eq!(states(journal), (vec![], vec!["delivered"]));
    }

    #[test]
    fn a_status_with_our_mark_keeps_a_message_that_is_queued_again_from_leaving_twice() {
        let mut again = ours(7, OwnState::Queued, None);
        again.sends[0].dispatched_at = None;
        let mut journal = Journal::new(vec![again]);
        journal.learn(&news(Status::Sent, Some(7), None), new_id);
        let Changes { created, changed, .. } = journal.changes();
        assert!(created.is_empty());
        assert_eq!((changed[0].own, changed[0].state()), (OwnState::Accepted, "sent"));
    }

    #[test]
    fn a_status_of_an_unknown_id_makes_an_observed_message_once() {
        let mut journal = Journal::new(vec![]);
        journal.learn(&news(Status::Read, None, None), new_id);
        journal.learn(&news(Status::Sent, None, None), new_id);
        assert_eq!(states(journal), (vec!["read"], vec![]));
    }

    #[test]
    fn without_a_mark_only_the_one_fitting_message_is_settled() {
        // Scalars have no room for the mark.
        let one = Journal::new(vec![
            ours(7, OwnState::Unconfirmed, Some("5")),
            ours(8, OwnState::Unconfirmed, Some("6")),
        ]);
        let two = Journal::new(vec![
            ours(7, OwnState::Unconfirmed, Some("5")),
            ours(8, OwnState::Unconfirmed, Some("5")),
        ]);
        let markable = Journal::new(vec![ours(7, OwnState::Unconfirmed, None)]);
        for (mut journal, echoed, observed) in [(one, Some("5"), 0), (two, Some("5"), 1), (markable, None, 1)]
        {
            journal.learn(&news(Status::Sent, None, echoed), new_id);
            assert_eq!(states(journal).0.len(), observed, "{echoed:?}");
        }
    }

    #[test]
    fn an_answer_takes_over_what_statuses_told_before_it() {
        let mut journal = Journal::new(vec![]);
        journal.learn(&news(Status::Delivered, None, Some("5")), new_id);
        let observed = journal.changes().created.pop();
        let mut record = ours(7, OwnState::Queued, Some("5"));
        let accepted = Answer::Accepted("01K00000000000000000000001".into());
        assert_eq!(answer(&mut record, &accepted, observed, at(9)), Fate::Done("accepted"));
        assert_eq!(record.state(), "delivered");
    }

    #[test]
    fn a_lost_answer_after_a_status_is_no_doubt() {
        let mut journal = Journal::new(vec![ours(7, OwnState::Queued, None)]);
        journal.learn(&news(Status::Sent, Some(7), None), new_id);
        let mut record = journal.changes().changed.pop().unwrap();
        assert_eq!(answer(&mut record, &Answer::Unknown, None, at(9)), Fate::Done("accepted"));
        assert_eq!(record.state(), "sent");
    }

    #[test]
    fn a_refusal_by_the_window_in_a_status_expires_the_message_and_closes_the_window() {
        let mut journal = Journal::new(vec![ours(7, OwnState::Accepted, None)]);
        refused(&mut journal);
        let changes = journal.changes();
        assert_eq!(changes.changed[0].state(), "expired");
        let since: Vec<_> = changes.window_closed.into_values().collect();
        assert_eq!(since, [at(0)], "when it left");
    }

    fn window_refusal() -> ErrorDetail {
        let code = Some("ERROR_CODE_MESSAGE_OUTSIDE_OF_ELIGIBILITY_WINDOW".to_owned());
        ErrorDetail { code, ..ErrorDetail::default() }
    }

    fn with_fallback() -> MessageRecord {
        MessageRecord { has_fallback: true, ..ours(7, OwnState::Accepted, None) }
    }

    fn refused(journal: &mut Journal) {
        let tells = Tells::Status(Status::Failed, Some(window_refusal()));
        journal.learn(&News { tells, ..news(Status::Failed, Some(7), None) }, new_id);
    }

    #[test]
    fn a_refusal_by_the_window_in_a_status_makes_the_fallback_the_second_send_once() {
        let mut journal = Journal::new(vec![with_fallback()]);
        refused(&mut journal);
        refused(&mut journal);
        let changes = journal.changes();
        assert_eq!(changes.fallen_back, [(MessageId::new(Ulid(7)), ConversationId::new(Ulid(1)))]);
        let record = &changes.changed[0];
        assert_eq!(
            (record.state(), record.sends.len(), record.sends[1].kind),
            ("queued", 2, SendKind::Template)
        );
    }

    #[test]
    fn what_was_delivered_all_the_same_needs_no_fallback() {
        let mut journal = Journal::new(vec![with_fallback()]);
        journal.learn(&news(Status::Delivered, Some(7), None), new_id);
        refused(&mut journal);
        let changes = journal.changes();
        assert!(changes.fallen_back.is_empty());
        assert_eq!((changes.changed[0].state(), changes.changed[0].sends.len()), ("delivered", 1));
    }

    #[test]
    fn a_refusal_by_the_window_in_an_answer_makes_the_fallback_the_next_request_of_the_job() {
        let mut record = MessageRecord { own: OwnState::Queued, ..with_fallback() };
        let refusal = Answer::WindowClosed(window_refusal());
        assert_eq!(answer(&mut record, &refusal, None, at(9)), Fate::Again(Duration::ZERO));
        assert_eq!((record.state(), record.sends.len()), ("queued", 2));
        // A template's own refusal ends it.
        assert_eq!(answer(&mut record, &refusal, None, at(9)), Fate::Done("expired"));
        assert_eq!((record.state(), record.sends.len()), ("expired", 2));
    }

    #[test]
    fn a_refusal_that_came_before_the_answer_makes_the_fallback_follow_the_answer() {
        let mut journal = Journal::new(vec![]);
        let tells = Tells::Status(Status::Failed, Some(window_refusal()));
        journal.learn(&News { tells, ..news(Status::Failed, None, Some("5")) }, new_id);
        let observed = journal.changes().created.pop();
        let mut record = MessageRecord { own: OwnState::Queued, ..with_fallback() };
        let accepted = Answer::Accepted("01K00000000000000000000001".into());
        assert_eq!(answer(&mut record, &accepted, observed, at(9)), Fate::Again(Duration::ZERO));
        assert_eq!((record.state(), record.sends.len()), ("queued", 2));
    }

    #[test]
    fn a_failure_because_the_customer_opted_out_is_told_to_everybody() {
        let code = Some("ERROR_CODE_MESSAGE_CUSTOMER_OPTED_OUT".to_owned());
        let tells = Tells::Status(Status::Failed, Some(ErrorDetail { code, ..ErrorDetail::default() }));
        let mut journal = Journal::new(vec![ours(7, OwnState::Accepted, None)]);
        journal.learn(&News { tells, ..news(Status::Failed, Some(7), None) }, new_id);
        let changes = journal.changes();
        assert_eq!(changes.changed[0].state(), "failed");
        assert_eq!(changes.opted_out.into_iter().collect::<Vec<_>>(), [ConversationId::new(Ulid(1))]);
    }
}
