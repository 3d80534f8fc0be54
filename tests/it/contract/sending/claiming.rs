//! Claiming sends: one per conversation, in the order they were queued (P6).

use rstest::rstest;
use serde_json::json;
use switchboard::model::message::Origin;
use switchboard::model::outcome::Reply;
use switchboard::store::work::{Answer, ClaimSends, SendResult, SendingAccount};

use super::queue_texts;
use crate::support::Backend;
use crate::support::arrivals::{BEN, inbound, phone};
use crate::support::depot::{Depot, ROUTE, done, rate, say, sender, sends};

#[rstest]
#[tokio::test]
async fn a_claimed_send_holds_all_that_the_request_needs(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let reply = Reply::text("hello").with_callback_data(&json!({ "order": 5 }));
    let message = depot.queue(reply.clone()).await;
    let sending = depot.claim_send().await;
    assert_eq!((sending.message, sending.attempt), (message, 1));
    assert_eq!((sending.account.as_str(), sending.origin), ("default", Origin::Reply));
    assert_eq!((sending.from.as_str(), sending.to_phone.as_deref()), ("+15550100002", Some("+15550100001")));
    assert_eq!((sending.to_user_id.as_deref(), sending.campaign.as_deref()), (None, None));
    assert_eq!(
        (sending.content.clone(), sending.callback_data.clone()),
        (reply.message, reply.callback_data)
    );
    let shown = depot.message(message).await.0;
    assert_eq!(shown.conversation_id, Some(sending.conversation));
}

#[rstest]
#[tokio::test]
async fn one_message_per_conversation_is_claimed_in_queue_order(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    queue_texts(&depot, &["1", "2"]).await;
    queue_texts(&depot, &["3"]).await;
    depot.accept(inbound(&depot.clock).customer(BEN).on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("to Ben")).await);
    let mut texts = Vec::new();
    for expected in [2, 1, 1] {
        let sendings = depot.claim_sends().await;
        assert_eq!(sendings.len(), expected);
        assert!(depot.claim_sends().await.is_empty(), "each conversation has one under way");
        for sending in sendings {
            texts.push(sending.content["text"].as_str().unwrap().to_owned());
            let at = depot.go(&sending).await;
            let answer = Answer::Accepted(depot.clock.ulid().to_string());
            assert_eq!(depot.answer(&(sending, at), answer).await, SendResult::Applied);
        }
    }
    texts.retain(|text| text != "to Ben");
    assert_eq!(texts, ["1", "2", "3"]);
}

#[rstest]
#[tokio::test]
async fn only_sends_of_the_named_accounts_are_claimed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).account("other").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("hello")).await);
    assert!(depot.claim_sends().await.is_empty());
    let claim = ClaimSends { accounts: vec![sender("other")], ..sends(1) };
    assert_eq!(depot.store.claim_sends(&claim).await.unwrap().sends.len(), 1);
}

#[rstest]
#[tokio::test]
async fn p6_two_instances_never_share_a_send(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for n in 0..12 {
        let sender = json!({ "id": format!("+1555040{n:04}") });
        depot.accept(inbound(&depot.clock).with("sender", sender).on(ROUTE)).await;
    }
    for delivery in depot.claim().await {
        assert!(depot.settle(&delivery, done(vec![Reply::text("1"), Reply::text("2")], Vec::new())).await);
    }
    let claim = sends(5);
    let mut claimed = std::collections::HashSet::new();
    for _ in 0..2 {
        let (one, two) = tokio::join!(depot.store.claim_sends(&claim), other.claim_sends(&claim));
        for sending in one.unwrap().sends.into_iter().chain(two.unwrap().sends) {
            assert!(claimed.insert(sending.conversation));
        }
    }
    assert_eq!(claimed.len(), 12);
}

#[rstest]
#[tokio::test]
async fn a_claim_tells_whether_there_may_be_more(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let claim = async |claim: ClaimSends| {
        let claimed = depot.store.claim_sends(&claim).await.unwrap();
        (claimed.sends.len(), claimed.reached_a_limit)
    };
    assert_eq!(claim(sends(2)).await, (0, false), "nothing is there");
    for customer in [BEN, phone("+15550100004"), phone("+15550100005"), phone("+15550100006")] {
        depot.accept(inbound(&depot.clock).customer(customer).on(ROUTE)).await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, say("hello")).await);
    }
    assert_eq!(claim(ClaimSends { api_turn: true, ..sends(2) }).await, (1, true), "half is for API messages");
    assert_eq!(claim(sends(1)).await, (1, true), "one was asked for");
    let one_by_one = SendingAccount { rate: rate(1, 1), ..sender("default") };
    assert_eq!(
        claim(ClaimSends { accounts: vec![one_by_one], ..sends(9) }).await,
        (1, true),
        "its rate is one"
    );
    assert_eq!(claim(sends(2)).await, (1, false), "the last one");
}
