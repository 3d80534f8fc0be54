//! Folding what statuses tell into messages.

use divan::{Bencher, black_box};
use jiff::Timestamp;
use switchboard::connectly::event::status::Status;
use switchboard::model::id::{ConversationId, MessageId};
use switchboard::model::message::{Origin, OwnState, SendKind};
use switchboard::store::plan::journal::{Journal, MessageRecord, News, SendRecord, Tells};
use ulid::Ulid;

const PROVIDER_ID: &str = "01KDVDKFMTMM00000000000001";
const STATUSES: [Status; 3] = [Status::Sent, Status::Delivered, Status::Read];

/// The three statuses of a message that was accepted before, and what is to be written then.
#[divan::bench]
fn three_statuses_of_a_sent_message(bencher: Bencher<'_, '_>) {
    let news = news();
    bencher.with_inputs(|| vec![sent()]).bench_local_values(|records| learned(records, &news));
}

/// The three statuses of a message that nobody knew.
#[divan::bench]
fn three_statuses_of_an_unknown_message(bencher: Bencher<'_, '_>) {
    let news = news();
    bencher.with_inputs(Vec::new).bench_local_values(|records| learned(records, &news));
}

fn learned(records: Vec<MessageRecord>, news: &[News]) -> usize {
    let mut journal = Journal::new(records);
    for one in black_box(news) {
        journal.learn(one, || MessageId::new(Ulid(9)));
    }
    let changes = journal.changes();
    changes.created.len() + changes.changed.len()
}

fn news() -> Vec<News> {
    let tells = |(second, status)| News {
        account: "default".into(),
        conversation: Some(ConversationId::new(Ulid(1))),
        at: at(second),
        provider_message_id: PROVIDER_ID.into(),
        mark: None,
        callback_data: None,
        campaign: Some("spring".into()),
        tells: Tells::Status(status, None),
    };
    (1..).zip(STATUSES).map(tells).collect()
}

fn sent() -> MessageRecord {
    let send = SendRecord {
        provider_message_id: Some(PROVIDER_ID.into()),
        dispatched_at: Some(at(0)),
        accepted_at: Some(at(0)),
        ..SendRecord::new(1, SendKind::Session)
    };
    MessageRecord {
        id: MessageId::new(Ulid(7)),
        account: "default".into(),
        conversation: Some(ConversationId::new(Ulid(1))),
        origin: Origin::Reply,
        own: OwnState::Accepted,
        content: None,
        has_fallback: false,
        callback_data: None,
        campaign: None,
        error: None,
        created_at: at(0),
        sends: vec![send],
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}
