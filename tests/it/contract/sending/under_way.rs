//! One message of a conversation is under way at a time (P6): also when a claim lapsed and was overtaken, and when two were
//! claimed before their conversations became one.

use rstest::rstest;
use switchboard::store::work::{Answer, Departure, Dispatch, SendResult, Sending};

use super::precedence::ask;
use super::{SECOND, UNCONFIRMED, not_processed};
use crate::support::Backend;
use crate::support::arrivals::{Person, both, inbound, phone, user};
use crate::support::depot::{Depot, ROUTE, say};

const ANA: &str = "+15550100001";
const OLDER: Person = phone("+15550100005");
const YOUNGER: Person = user("US.1");
const ONE: Person = both("+15550100005", "US.1");

/// Somebody writes, is answered, and the answer is claimed.
async fn claimed(depot: &Depot, person: Person, text: &str) -> Sending {
    depot.accept(inbound(&depot.clock).customer(person).on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say(text)).await);
    depot.claim_send().await
}

/// Both conversations have a message that was claimed, that of the younger has left; then they become one.
async fn merged_under_way(depot: &Depot) -> (Sending, (Sending, Departure)) {
    let first = claimed(depot, OLDER, "first").await;
    let second = claimed(depot, YOUNGER, "second").await;
    let departure = depot.go(&second).await;
    depot.accept(inbound(&depot.clock).customer(ONE)).await;
    (first, (second, departure))
}

fn taken(depot: &Depot) -> Answer {
    Answer::Accepted(depot.clock.ulid().to_string())
}

#[rstest]
#[tokio::test]
async fn p6_a_claim_that_lapsed_waits_for_the_reply_that_overtook_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    ask(&depot, ANA, "api").await;
    let lapsed = depot.claim_send().await;
    depot.leases_end();
    depot.settle(&depot.claim_one().await, say("reply")).await;
    let reply = depot.leave().await;
    assert_eq!(reply.0.content["text"], "reply");
    assert_eq!(depot.dispatch(&lapsed).await, Dispatch::Behind);
    assert_eq!(depot.answer(&reply, taken(&depot)).await, SendResult::Applied);
    assert_eq!(depot.leave().await.0.message, lapsed.message);
}

#[rstest]
#[tokio::test]
async fn p6_two_that_were_claimed_before_a_merge_leave_one_after_the_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let (first, second) = merged_under_way(&depot).await;
    assert_eq!(depot.dispatch(&first).await, Dispatch::Behind);
    assert!(depot.claim_sends().await.is_empty(), "it would be behind again and again");
    assert_eq!(depot.answer(&second, taken(&depot)).await, SendResult::Applied);
    let left = depot.leave().await;
    assert_eq!(left.0.message, first.message);
    assert_eq!(depot.answer(&left, taken(&depot)).await, SendResult::Applied);
    assert!(depot.jobs(None).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_message_behind_another_in_a_merged_lane_is_in_doubt_when_its_lease_ends(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let (first, (second, _)) = merged_under_way(&depot).await;
    depot.leases_end();
    assert_eq!(depot.sweep().await, UNCONFIRMED);
    assert_eq!(depot.state(second.message).await, "unconfirmed");
    assert_eq!(depot.leave().await.0.message, first.message, "the lane goes on");
}

#[rstest]
#[tokio::test]
async fn a_retry_at_the_head_of_a_merged_lane_does_not_keep_the_next_for_ever(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let first = claimed(&depot, OLDER, "first").await;
    let second = claimed(&depot, YOUNGER, "second").await;
    let left = [(first.clone(), depot.go(&first).await), (second.clone(), depot.go(&second).await)];
    depot.accept(inbound(&depot.clock).customer(ONE)).await;
    assert_eq!(depot.answer(&left[0], not_processed(SECOND, false)).await, SendResult::Applied);
    depot.pass(SECOND);
    assert!(depot.claim_sends().await.is_empty(), "the other is under way");
    assert_eq!(depot.answer(&left[1], not_processed(SECOND, false)).await, SendResult::Applied);
    depot.pass(SECOND);
    for message in [first.message, second.message] {
        let left = depot.leave().await;
        assert_eq!(left.0.message, message);
        assert_eq!(depot.answer(&left, taken(&depot)).await, SendResult::Applied);
    }
}
