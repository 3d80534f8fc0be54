//! Messages that are asked for through the API.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use switchboard::connectly::event::party::Party;
use switchboard::model::json::JsonText;
use switchboard::model::message::{Message, Origin, SendKind};
use switchboard::model::payload::Payload;
use switchboard::store::submission::{RequestKey, Submission, Submitted};
use switchboard::store::work::Answer;

use crate::support::Backend;
use crate::support::arrivals::{ACCOUNT, BRANCH, SHOP, inbound, status};
use crate::support::depot::{Depot, POLICY};

const ANA: &str = "+15550100001";

fn to(phone: &str) -> Submission {
    Submission {
        account: ACCOUNT.to_owned(),
        to: Party { phone: Some(phone.to_owned()), user_id: None, name: None },
        from: None,
        content: json!({ "text": "hello" }),
        fallback: None,
        callback_data: None,
        campaign: None,
        order: None,
        key: None,
        window_margin: POLICY.window_margin,
    }
}

fn keyed(key: &str, body: u8) -> Submission {
    let key = RequestKey { key: key.to_owned(), body_hash: [body; 32] };
    Submission { key: Some(key), from: Some(SHOP.to_owned()), ..to(ANA) }
}

async fn queued(depot: &Depot, submission: &Submission) -> Message {
    let submitted = depot.store.submit(submission).await.unwrap();
    depot.pass(Duration::from_millis(1));
    let Submitted::Queued(message) = submitted else { panic!("{submitted:?}") };
    message
}

#[rstest]
#[tokio::test]
async fn a_message_to_a_customer_is_sent_like_every_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let asked = Submission {
        callback_data: JsonText::parse(r#"{"order_id":"5"}"#.to_owned()),
        campaign: Some("spring".to_owned()),
        ..to(ANA)
    };
    let message = queued(&depot, &asked).await;
    assert_eq!((message.origin, message.state.as_str()), (Origin::Api, "queued"));
    assert_eq!((message.from.as_deref(), message.to.as_deref()), (Some(SHOP), Some(ANA)));
    assert_eq!(message.campaign.as_deref(), Some("spring"));
    let left = depot.leave().await;
    assert_eq!((left.0.message, left.0.campaign.as_deref()), (message.id, Some("spring")));
    depot.answer(&left, Answer::Accepted("01K00000000000000000000001".into())).await;
    depot.accept(status(&depot.clock, "01K00000000000000000000001", "read")).await;
    for id in [message.id.to_string(), "01K00000000000000000000001".to_owned()] {
        let (found, timeline) = depot.store.message(&id).await.unwrap().unwrap();
        assert_eq!((found.id, found.state.as_str(), timeline.len()), (message.id, "read", 3));
    }
}

#[rstest]
#[tokio::test]
async fn a_template_goes_to_somebody_who_never_wrote(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let template = json!({ "template": { "name": "reopen", "language": "en" } });
    let asked = Submission { content: template.clone(), from: Some(SHOP.to_owned()), ..to("+15550100077") };
    let message = queued(&depot, &asked).await;
    assert_eq!((message.kind, message.content.as_ref()), (SendKind::Template, Some(&template)));
    let left = depot.leave().await;
    assert!(matches!(left.0.payload(left.1).unwrap(), Payload::Template(_)));
    // When they write, they are the customer of that conversation.
    let conversation = message.conversation_id;
    depot.answer(&left, Answer::Accepted("01K00000000000000000000001".into())).await;
    let somebody = crate::support::arrivals::phone("+15550100077");
    let event = depot.accept(inbound(&depot.clock).customer(somebody)).await.id;
    assert_eq!(depot.event(event).await.conversation_id, conversation);
}

#[rstest]
#[tokio::test]
async fn free_form_content_to_somebody_who_never_wrote_expires(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = queued(&depot, &Submission { from: Some(SHOP.to_owned()), ..to("+15550100077") }).await;
    let sending = depot.claim_send().await;
    depot.dispatch(&sending).await;
    assert_eq!(depot.state(message.id).await, "expired");
}

#[rstest]
#[tokio::test]
async fn without_a_number_the_only_one_or_the_newest_open_window_decides(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    assert!(matches!(depot.store.submit(&to(ANA)).await.unwrap(), Submitted::NoSender), "no number is known");
    depot.accept(inbound(&depot.clock).number(SHOP)).await;
    assert_eq!(queued(&depot, &to("+15550100077")).await.from.as_deref(), Some(SHOP), "the only one");
    depot.accept(inbound(&depot.clock).number(BRANCH)).await;
    assert_eq!(queued(&depot, &to(ANA)).await.from.as_deref(), Some(BRANCH), "the newest open window");
    assert!(matches!(depot.store.submit(&to("+15550100077")).await.unwrap(), Submitted::NoSender));
    depot.pass(Duration::from_hours(24));
    assert!(matches!(depot.store.submit(&to(ANA)).await.unwrap(), Submitted::NoSender));
    let other = Submission { account: "other".to_owned(), ..to(ANA) };
    assert!(
        matches!(depot.store.submit(&other).await.unwrap(), Submitted::NoSender),
        "another account's numbers"
    );
}

#[rstest]
#[tokio::test]
async fn a_request_under_a_key_is_queued_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let first = queued(&depot, &keyed("order-5", 1)).await;
    let again = depot.store.submit(&keyed("order-5", 1)).await.unwrap();
    assert!(matches!(&again, Submitted::Repeated(message) if message.id == first.id), "{again:?}");
    let other = depot.store.submit(&keyed("order-5", 2)).await.unwrap();
    assert!(matches!(other, Submitted::KeyReused), "{other:?}");
    let elsewhere = Submission { account: "other".to_owned(), ..keyed("order-5", 2) };
    assert_ne!(queued(&depot, &elsewhere).await.id, first.id, "keys are an account's own");
    depot.pass(Duration::from_hours(24));
    assert_ne!(queued(&depot, &keyed("order-5", 1)).await.id, first.id, "it is forgotten after a day");
    assert_eq!(depot.messages().await.len(), 3);
}

#[rstest]
#[tokio::test]
async fn concurrent_requests_under_a_key_queue_one_message(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for round in 0..5 {
        let asked = keyed(&format!("order-{round}"), 1);
        let (one, two, three) =
            tokio::join!(depot.store.submit(&asked), other.submit(&asked), depot.store.submit(&asked));
        let told = [one.unwrap(), two.unwrap(), three.unwrap()];
        let new = told.iter().filter(|told| matches!(told, Submitted::Queued(_))).count();
        assert_eq!(new, 1, "{told:?}");
    }
    assert_eq!(depot.messages().await.len(), 5);
}

#[rstest]
#[tokio::test]
async fn a_key_whose_request_could_not_be_queued_is_free(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let nowhere = Submission { from: None, ..keyed("order-5", 1) };
    assert!(matches!(depot.store.submit(&nowhere).await.unwrap(), Submitted::NoSender));
    queued(&depot, &keyed("order-5", 2)).await;
}
