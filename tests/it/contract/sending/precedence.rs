//! Replies leave before what the API queued, and neither holds the other up for ever.

use rstest::rstest;
use serde_json::json;
use switchboard::connectly::event::party::Party;
use switchboard::store::submission::{Submission, Submitted};
use switchboard::store::work::{Answer, ClaimSends, Dispatch, SendResult, Sending, SendingAccount};

use super::SECOND;
use crate::support::Backend;
use crate::support::arrivals::{ACCOUNT, SHOP, inbound};
use crate::support::depot::{Depot, LEASE, POLICY, ROUTE, rate, sender, sends};

/// Queues a message of the API's.
pub(super) async fn ask(depot: &Depot, phone: &str, text: &str) {
    let submitted = depot.store.submit(&submission(phone, text)).await.unwrap();
    assert!(matches!(submitted, Submitted::Queued(_)));
    depot.pass(std::time::Duration::from_millis(1));
}

pub(super) fn submission(phone: &str, text: &str) -> Submission {
    Submission {
        account: ACCOUNT.to_owned(),
        to: Party { phone: Some(phone.to_owned()), user_id: None, name: None },
        from: Some(SHOP.to_owned()),
        content: json!({ "text": text }),
        fallback: None,
        callback_data: None,
        campaign: None,
        order: None,
        key: None,
        window_margin: POLICY.window_margin,
    }
}

fn texts(sendings: &[Sending]) -> Vec<&str> {
    sendings.iter().map(|sending| sending.content["text"].as_str().unwrap()).collect()
}

async fn accept(depot: &Depot, sending: Sending) {
    let departure = depot.go(&sending).await;
    let answer = Answer::Accepted(depot.clock.ulid().to_string());
    assert_eq!(depot.answer(&(sending, departure), answer).await, SendResult::Applied);
}

#[rstest]
#[tokio::test]
async fn p6_a_reply_overtakes_what_the_api_queued_in_its_conversation(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let ana = "+15550100001";
    ask(&depot, ana, "api 1").await;
    ask(&depot, ana, "api 2").await;
    let delivery = depot.claim_one().await;
    depot.settle(&delivery, crate::support::depot::say("reply 1")).await;
    let mut left = Vec::new();
    for round in 0..4 {
        let [sending] = <[Sending; 1]>::try_from(depot.claim_sends().await).unwrap();
        assert!(depot.claim_sends().await.is_empty(), "one of a conversation is under way");
        left.push(texts(std::slice::from_ref(&sending))[0].to_owned());
        if round == 1 {
            // One that is being sent is not overtaken.
            depot.queue_text("reply 2").await;
            assert!(depot.claim_sends().await.is_empty());
        }
        accept(&depot, sending).await;
    }
    assert_eq!(left, ["reply 1", "api 1", "reply 2", "api 2"]);
    assert!(depot.jobs(None).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_reply_is_claimed_before_older_messages_of_the_api(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for n in 0..5 {
        ask(&depot, &format!("+1555040{n:04}"), &format!("api {n}")).await;
    }
    depot.queue_text("reply").await;
    let claimed = depot.store.claim_sends(&sends(2)).await.unwrap().sends;
    assert_eq!(texts(&claimed), ["reply", "api 0"]);
    let kept_for_replies = ClaimSends { api_limit: 0, ..sends(10) };
    assert!(depot.store.claim_sends(&kept_for_replies).await.unwrap().sends.is_empty());
    let claimed = depot.store.claim_sends(&ClaimSends { api_limit: 3, ..sends(10) }).await.unwrap().sends;
    assert_eq!(texts(&claimed), ["api 1", "api 2", "api 3"]);
}

#[rstest]
#[tokio::test]
async fn the_api_has_its_turn_beside_replies(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let slow = SendingAccount { name: ACCOUNT.to_owned(), rate: rate(1, 2), undrawn: 0 };
    for n in 0..4 {
        ask(&depot, &format!("+1555040{n:04}"), &format!("api {n}")).await;
    }
    depot.queue_text("reply").await;
    let turn = ClaimSends { api_turn: true, accounts: vec![slow.clone()], ..sends(10) };
    assert_eq!(texts(&depot.store.claim_sends(&turn).await.unwrap().sends), ["reply", "api 0"]);
    // With one message to send, the turn is the API's.
    let one = ClaimSends { accounts: vec![SendingAccount { undrawn: 1, ..slow }], ..turn };
    assert_eq!(texts(&depot.store.claim_sends(&one).await.unwrap().sends), ["api 1"]);
}

#[rstest]
#[tokio::test]
async fn the_api_has_its_turn_when_requests_are_short_and_not_the_rate(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for n in 0..4 {
        ask(&depot, &format!("+1555040{n:04}"), &format!("api {n}")).await;
    }
    depot.queue_text("reply").await;
    let one_is_free = ClaimSends { api_turn: true, ..sends(1) };
    assert_eq!(texts(&depot.store.claim_sends(&one_is_free).await.unwrap().sends), ["api 0"]);
    let three_are_free = ClaimSends { api_turn: true, ..sends(3) };
    assert_eq!(
        texts(&depot.store.claim_sends(&three_are_free).await.unwrap().sends),
        ["reply", "api 1", "api 2"]
    );
}

#[rstest]
#[tokio::test]
async fn replies_of_every_account_are_claimed_before_the_apis_messages_of_any(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for n in 0..4 {
        ask(&depot, &format!("+1555040{n:04}"), &format!("api {n}")).await;
    }
    depot.accept(inbound(&depot.clock).account("other").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    depot.settle(&delivery, crate::support::depot::say("reply")).await;
    let claim = ClaimSends { accounts: vec![sender(ACCOUNT), sender("other")], ..sends(2) };
    assert_eq!(texts(&depot.store.claim_sends(&claim).await.unwrap().sends), ["reply", "api 0"]);
}

#[rstest]
#[tokio::test]
async fn no_more_is_claimed_than_the_rate_lets_leave(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for n in 0..9 {
        ask(&depot, &format!("+1555040{n:04}"), &format!("api {n}")).await;
    }
    let slow = SendingAccount { name: ACCOUNT.to_owned(), rate: rate(1, 5), undrawn: 0 };
    let claim = ClaimSends { accounts: vec![slow.clone()], ..sends(10) };
    let claimed = depot.store.claim_sends(&claim).await.unwrap();
    assert_eq!((claimed.sends.len(), claimed.exhausted.len()), (5, 0));
    // What was claimed and has not drawn yet counts.
    let undrawn = ClaimSends { accounts: vec![SendingAccount { undrawn: 5, ..slow }], ..sends(10) };
    assert!(depot.store.claim_sends(&undrawn).await.unwrap().sends.is_empty());
    let policy = switchboard::model::sending::SendPolicy { rate: rate(1, 5), ..POLICY };
    for sending in &claimed.sends {
        // They never wrote, so nothing free-form may leave to them; the rate is not drawn from.
        assert_eq!(depot.store.dispatch(sending, &policy).await.unwrap(), Dispatch::Ended("expired"));
    }
    depot.pass(LEASE + SECOND);
    assert_eq!(depot.store.claim_sends(&claim).await.unwrap().sends.len(), 4);
}

#[rstest]
#[tokio::test]
async fn an_account_without_a_permit_is_told_how_long_to_wait(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.queue_text("1").await;
    let slow = rate(1, 1);
    let policy = switchboard::model::sending::SendPolicy { rate: slow, ..POLICY };
    let sending = depot.claim_send().await;
    assert!(matches!(depot.store.dispatch(&sending, &policy).await.unwrap(), Dispatch::Go(_)));
    let account = SendingAccount { name: ACCOUNT.to_owned(), rate: slow, undrawn: 0 };
    let claimed = depot.store.claim_sends(&ClaimSends { accounts: vec![account], ..sends(1) }).await.unwrap();
    let [(name, wait)] = claimed.exhausted.as_slice() else { panic!("one account waits") };
    assert_eq!(name, ACCOUNT);
    assert!(*wait <= SECOND, "{wait:?}");
}

#[rstest]
#[tokio::test]
async fn p6_two_instances_send_one_message_of_a_conversation_at_a_time(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    let ana = "+15550100001";
    for round in 0..5 {
        ask(&depot, ana, "api").await;
        depot.queue_text("reply").await;
        let claim = sends(1);
        let (one, two) = tokio::join!(depot.store.claim_sends(&claim), other.claim_sends(&claim));
        let claimed: Vec<Sending> = one.unwrap().sends.into_iter().chain(two.unwrap().sends).collect();
        let mut gone = Vec::new();
        for sending in claimed {
            match depot.dispatch(&sending).await {
                Dispatch::Go(departure) => gone.push((sending, departure)),
                Dispatch::Behind => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(gone.len(), 1, "round {round}");
        for left in gone {
            depot.answer(&left, Answer::Accepted(depot.clock.ulid().to_string())).await;
        }
        while let Some(sending) = depot.claim_sends().await.pop() {
            accept(&depot, sending).await;
        }
    }
}
