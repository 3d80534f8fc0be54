//! Answers that come late, and what they still tell.

use super::*;
use crate::model::id::MessageId;
use crate::model::id::{ConversationId, JobId};
use crate::model::message::{Origin, SendKind, Statuses};
use crate::store::plan::journal::SendRecord;
use crate::store::work::{Answer, SendAnswered};
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
    let attempt = Attempt { number: 1, at: at(0), duration_ms: 5, outcome: "accepted".into(), detail: None };
    let accepted = Answer::Accepted("01K00000000000000000000001".into());
    let answered = SendAnswered { departure: Departure { number: 1, at: at(0) }, attempt, answer: accepted };
    let settled =
        answer(vec![record(OwnState::Expired)], Vec::new(), Holder::Nobody, Some(job), &answered, at(3))
            .unwrap();
    assert_eq!(settled.finished.map(|finished| finished.outcome), Some("expired"));
    assert_eq!(settled.record.own, OwnState::Expired);
}
