//! Statuses and answers in every order that they come in.

use std::time::Duration;

use ulid::Ulid;

use super::*;
use crate::store::work::Answer;

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
    for (mut journal, echoed, observed) in [(one, Some("5"), 0), (two, Some("5"), 1), (markable, None, 1)] {
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
    assert_eq!((record.state(), record.sends.len(), record.sends[1].kind), ("queued", 2, SendKind::Template));
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
