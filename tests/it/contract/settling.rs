//! Settling deliveries: what a handler led to is committed with its completion, once (P4, P9, P10).

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use switchboard::model::job::JobState;
use switchboard::model::message::Origin;
use switchboard::model::outcome::{Effect, Outcome, Reply, StateChange};
use switchboard::store::query::ConversationFilter;
use switchboard::store::work::{Delivery, Dispatch, Settled, Settlement};

use crate::support::Backend;
use crate::support::arrivals::{BEN, BRANCH, SHOP, echo, inbound, raw, status};
use crate::support::depot::{Depot, ROUTE, attempt, done, done_with_state, first, say};

const MESSAGE: &str = "01K00000000000000000000001";
const SECOND: Duration = Duration::from_secs(1);

/// Everything a handler can lead to.
fn everything() -> Settled {
    Settled::Done(Outcome {
        replies: vec![Reply::text("one"), Reply::text("two").with_callback_data(&json!({ "order": 5 }))],
        state: StateChange::Set(json!({ "step": 1 })),
        effects: vec![Effect::OptOut],
        ..Outcome::default()
    })
}

async fn opted_out(depot: &Depot) -> bool {
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done_with_state(StateChange::Keep)).await);
    delivery.context.conversation.unwrap().opted_out_at.is_some()
}

async fn state_after(depot: &Depot, change: StateChange) -> Option<serde_json::Value> {
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done_with_state(change)).await);
    depot.ana_writes().await;
    let next = depot.claim_one().await;
    assert!(depot.settle(&next, done_with_state(StateChange::Keep)).await);
    next.context.state
}

#[rstest]
#[tokio::test]
async fn p4_replies_state_and_effects_are_committed_with_completion(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, everything()).await);

    let job = depot.job(delivery.lease).await;
    assert_eq!((job.state, job.attempts, job.log.unwrap().len()), (JobState::Done, 1, 1));
    let messages = depot.messages().await;
    assert_eq!(messages.len(), 2);
    for message in &messages {
        assert_eq!((message.origin, message.state.as_str()), (Origin::Reply, "queued"));
        assert_eq!(message.conversation_id, delivery.event.conversation_id);
        assert_eq!((message.from.as_deref(), message.to.as_deref()), (Some(SHOP), Some("+15550100001")));
    }
    depot.ana_writes().await;
    let next = depot.claim_one().await;
    assert_eq!(next.context.state, Some(json!({ "step": 1 })));
    assert!(next.context.conversation.unwrap().opted_out_at.is_some());
}

#[rstest]
#[tokio::test]
async fn replies_leave_in_their_order(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    let texts = ["1", "2", "3", "4", "5"];
    assert!(depot.settle(&delivery, done(texts.map(Reply::text).to_vec(), Vec::new())).await);
    for text in texts {
        let (sending, at) = depot.leave().await;
        assert_eq!(sending.content, json!({ "text": text }));
        let accepted = switchboard::store::work::Answer::Accepted(depot.clock.ulid().to_string());
        depot.answer(&(sending, at), accepted).await;
    }
}

#[rstest]
#[tokio::test]
async fn p4_settling_twice_changes_nothing(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("once")).await);
    for resolution in [everything(), Settled::Retry(SECOND), Settled::Park] {
        assert!(!depot.settle(&delivery, resolution).await);
    }
    assert_eq!(depot.messages().await.len(), 1);
    assert_eq!(depot.job(delivery.lease).await.state, JobState::Done);
    assert!(!opted_out(&depot).await);
}

#[rstest]
#[tokio::test]
async fn p4_two_instances_settle_one_job_once(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    for _ in 0..5 {
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        let settlement = [settlement(&depot, &delivery, say("once"))];
        let (one, two) = tokio::join!(depot.store.settle(&settlement), other.settle(&settlement));
        assert_ne!(one.unwrap(), two.unwrap());
    }
    assert_eq!(depot.messages().await.len(), 5);
}

fn settlement(depot: &Depot, delivery: &Delivery, resolution: Settled) -> Settlement {
    Settlement { lease: delivery.lease, attempt: attempt(1, depot.clock.now(), "done", None), resolution }
}

#[rstest]
#[tokio::test]
async fn a_group_settles_each_by_its_own_lease(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let posts = [inbound(&depot.clock), inbound(&depot.clock), inbound(&depot.clock).customer(BEN)];
    depot.accept_all(posts.map(|post| post.on_unordered(ROUTE))).await;
    let deliveries = depot.claim().await;
    let [one, two, three] = deliveries.as_slice() else { panic!("three are due") };
    assert!(depot.settle(two, say("before")).await);
    let group = [
        settlement(&depot, one, say("in the group")),
        settlement(&depot, two, say("too late")),
        settlement(&depot, three, Settled::Retry(SECOND)),
    ];
    assert_eq!(depot.store.settle(&group).await.unwrap(), [true, false, true]);
    assert_eq!(depot.messages().await.len(), 2);
    assert_eq!(depot.jobs(Some(JobState::Done)).await.len(), 2);
    assert!(depot.store.settle(&[]).await.unwrap().is_empty());
}

#[rstest]
#[tokio::test]
async fn a_job_that_was_leased_twice_counts_by_its_last_lease(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[values(false, true)] in_reverse: bool,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let lost = depot.claim_one().await;
    depot.leases_end();
    let held = depot.reclaim().await.remove(0);
    let mut group = [
        settlement(&depot, &lost, Settled::Retry(SECOND)),
        settlement(&depot, &held, done(vec![Reply::text("bye")], vec![Effect::OptOut])),
    ];
    if in_reverse {
        group.reverse();
    }
    assert_eq!(depot.store.settle(&group).await.unwrap(), [in_reverse, !in_reverse]);
    assert_eq!(depot.messages().await.len(), 1);
    assert!(opted_out(&depot).await);
}

#[rstest]
#[tokio::test]
async fn a_retry_waits_for_its_time(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    for tried in 1..=3 {
        let delivery = depot.claim_one().await;
        assert_eq!(delivery.context.attempt, tried);
        assert!(depot.settle_because(&delivery, Settled::Retry(60 * SECOND), Some("busy")).await);
        let job = depot.job(delivery.lease).await;
        assert_eq!((job.state, job.attempts), (JobState::Ready, i64::from(tried)));
        assert_eq!(job.last_error.as_deref(), Some("busy"));
        let wait = job.due_at.unwrap().duration_since(depot.clock.now());
        assert!((59..=60).contains(&wait.as_secs()), "{wait:?}");
        depot.pass(59 * SECOND);
        assert!(depot.claim().await.is_empty());
        depot.pass(SECOND);
    }
}

#[rstest]
#[tokio::test]
async fn a_parked_job_keeps_its_reason(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle_because(&delivery, Settled::Park, Some("422 from the endpoint")).await);
    let job = depot.job(delivery.lease).await;
    assert_eq!((job.state, job.last_error.as_deref()), (JobState::Parked, Some("422 from the endpoint")));
    let log = job.log.unwrap();
    assert_eq!((log[0].outcome.as_str(), log[0].duration_ms), ("parked", 5));
    depot.pass(Duration::from_hours(48));
    assert!(depot.claim().await.is_empty() && depot.reclaim().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn p10_an_echo_is_not_answered(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    depot.accept(echo(&depot.clock, MESSAGE, "hello").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, everything()).await);
    assert_eq!(depot.messages().await.len(), 1, "the echoed one");
    assert!(depot.claim_sends().await.is_empty());
    assert_eq!(depot.job(delivery.lease).await.last_error.as_deref(), Some("an echo is not answered"));
    depot.ana_writes().await;
    let next = depot.claim_one().await;
    assert_eq!(next.context.state, Some(json!({ "step": 1 })));
    assert!(next.context.conversation.unwrap().opted_out_at.is_some());
}

#[rstest]
#[tokio::test]
async fn p10_a_status_of_a_reply_is_not_answered(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.send(MESSAGE).await;
    depot.accept(status(&depot.clock, MESSAGE, "read").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, everything()).await);
    assert_eq!(depot.messages().await.len(), 1);
    depot.ana_writes().await;
    assert_eq!(depot.claim_one().await.context.state, Some(json!({ "step": 1 })));
}

#[rstest]
#[tokio::test]
async fn a_status_of_somebody_elses_message_may_be_answered(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(status(&depot.clock, MESSAGE, "delivery_failed").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, say("it failed")).await);
    let origins: Vec<_> = depot.messages().await.iter().map(|message| message.origin).collect();
    assert_eq!(origins.iter().filter(|origin| **origin == Origin::Reply).count(), 1);
}

#[rstest]
#[tokio::test]
async fn a_reply_to_nobody_is_dropped_and_noted(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let mut unknown = raw(&depot.clock, "not json");
    unknown.routes = switchboard::store::arrival::Arrival::from(inbound(&depot.clock).on(ROUTE)).routes;
    depot.accept(unknown).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, everything()).await);
    assert!(depot.messages().await.is_empty());
    assert!(depot.job(delivery.lease).await.last_error.is_some());
}

#[rstest]
#[tokio::test]
async fn p9_a_reply_from_another_number_belongs_to_that_conversation(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    let replies = vec![
        Reply::text("from here"),
        Reply::text("from there").from_number(BRANCH),
        Reply::text("from here as well").from_number(SHOP),
    ];
    assert!(depot.settle(&delivery, done(replies, Vec::new())).await);
    let messages = depot.messages().await;
    let from = |text: &str| {
        let content = Some(json!({ "text": text }));
        let message = messages.iter().find(|message| message.content == content).unwrap();
        (message.from.clone().unwrap(), message.conversation_id == delivery.event.conversation_id)
    };
    assert_eq!(from("from here"), (SHOP.to_owned(), true));
    assert_eq!(from("from there"), (BRANCH.to_owned(), false));
    assert_eq!(from("from here as well"), (SHOP.to_owned(), true));

    // Two lanes: each sends its first.
    let sendings = depot.claim_sends().await;
    assert_eq!(sendings.len(), 2);
    let there = sendings.iter().find(|sending| sending.from == BRANCH).unwrap();
    // Its own window: Ana never wrote to that number.
    assert_eq!(depot.dispatch(there).await, Dispatch::Ended("expired"));

    // What she writes there joins it.
    let id = depot.accept(inbound(&depot.clock).number(BRANCH)).await.id;
    assert_eq!(depot.event(id).await.conversation_id, Some(there.conversation));
}

#[rstest]
#[tokio::test]
async fn replies_that_are_dropped_make_no_conversation(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let from_there = || done(vec![Reply::text("from there").from_number(BRANCH)], Vec::new());
    depot.ana_writes().await;
    let lost = depot.claim_one().await;
    depot.leases_end();
    let again = depot.reclaim().await;
    assert!(!depot.settle(&lost, from_there()).await, "it was taken over");
    assert!(depot.settle(&again[0], done(Vec::new(), Vec::new())).await);
    depot.accept(echo(&depot.clock, MESSAGE, "from the inbox").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, from_there()).await);

    let known = depot.store.conversations(&ConversationFilter::default(), first(10)).await.unwrap();
    assert_eq!(known.data.len(), 1, "that with the number she wrote to");
}

#[rstest]
#[tokio::test]
async fn the_first_reply_confirms_an_opt_out(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let earlier = depot.queue_text("queued before").await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    let replies = ["you are out", "one more thing"].map(Reply::text).to_vec();
    assert!(depot.settle(&delivery, done(replies, vec![Effect::OptOut])).await);

    let sending = depot.claim_send().await;
    assert_eq!(sending.message, earlier);
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Ended("suppressed"));
    let (confirmation, at) = depot.leave().await;
    assert_eq!(confirmation.content, json!({ "text": "you are out" }));
    let accepted = switchboard::store::work::Answer::Accepted(MESSAGE.into());
    depot.answer(&(confirmation, at), accepted).await;
    let sending = depot.claim_send().await;
    assert_eq!(depot.dispatch(&sending).await, Dispatch::Ended("suppressed"));
    assert_eq!(depot.state(sending.message).await, "suppressed");
}

#[rstest]
#[tokio::test]
async fn an_opt_out_holds_for_every_number_until_an_opt_in(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).number(BRANCH).on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done(Vec::new(), vec![Effect::OptOut])).await);
    assert!(opted_out(&depot).await, "told to the branch, held by the shop");
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done(Vec::new(), vec![Effect::OptIn])).await);
    assert!(!opted_out(&depot).await);
}

#[rstest]
#[tokio::test]
async fn an_opt_out_holds_for_its_account_only(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.accept(inbound(&depot.clock).account("other").on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done(Vec::new(), vec![Effect::OptOut])).await);
    assert!(!opted_out(&depot).await);
}

#[rstest]
#[tokio::test]
async fn a_state_is_set_kept_and_cleared(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    assert_eq!(state_after(&depot, StateChange::Keep).await, None);
    assert_eq!(state_after(&depot, StateChange::Set(json!([1]))).await, Some(json!([1])));
    assert_eq!(state_after(&depot, StateChange::Keep).await, Some(json!([1])));
    assert_eq!(state_after(&depot, StateChange::Set(json!(null))).await, Some(json!(null)));
    assert_eq!(state_after(&depot, StateChange::Clear).await, None);
    assert_eq!(state_after(&depot, StateChange::Clear).await, None);
}

#[rstest]
#[tokio::test]
async fn a_state_belongs_to_one_route_and_conversation(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, done_with_state(StateChange::Set(json!(1)))).await);
    depot.accept(inbound(&depot.clock).on("audit")).await;
    assert_eq!(depot.claim_on("audit").await[0].context.state, None);
    depot.accept(inbound(&depot.clock).customer(BEN).on(ROUTE)).await;
    assert_eq!(depot.claim_one().await.context.state, None);
}

#[rstest]
#[tokio::test]
async fn strange_replies_and_reasons_are_stored(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    let reply = Reply::text("a\0b \u{1F600}").with_callback_data(&json!({ "k\0": "v\0" }));
    assert!(depot.settle_because(&delivery, Settled::Retry(SECOND), Some("it said \0")).await);
    depot.pass(SECOND);
    let delivery = depot.claim_one().await;
    let settled = Settled::Done(Outcome {
        replies: vec![reply.clone()],
        state: StateChange::Set(json!({ "\0": "\0" })),
        effects: Vec::new(),
        ..Outcome::default()
    });
    assert!(depot.settle_because(&delivery, settled, Some("noted \0")).await);
    let message = depot.newest_message().await;
    assert_eq!(message.content, Some(reply.message));
    assert_eq!(message.callback_data, reply.callback_data);
}

/// Answers, at most once in an hour.
fn once(text: &str) -> Settled {
    Settled::Done(Outcome::from(Reply::text(text)).once_per("closed", HOUR))
}

const HOUR: Duration = Duration::from_hours(1);

#[rstest]
#[tokio::test]
async fn what_is_answered_once_in_a_time_is_answered_again_after_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for (wait, answers) in [(Duration::ZERO, 1), (HOUR / 2, 1), (HOUR, 2)] {
        depot.pass(wait);
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, once("we open at nine")).await);
        assert_eq!(depot.messages().await.len(), answers);
    }
    depot.accept(inbound(&depot.clock).customer(BEN).on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, once("we open at nine")).await);
    assert_eq!(depot.messages().await.len(), 3, "another conversation has its own");
}

#[rstest]
#[tokio::test]
async fn a_dropped_answer_is_noted_and_its_effects_count(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for _ in 0..2 {
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        let Settled::Done(outcome) = once("hello") else { unreachable!() };
        assert!(depot.settle(&delivery, Settled::Done(outcome.effect(Effect::OptOut))).await);
    }
    let job = depot.jobs(Some(JobState::Done)).await.pop().unwrap();
    assert_eq!(job.last_error.as_deref(), Some("`closed` has answered here within 3600s"));
    assert!(opted_out(&depot).await);
}

#[rstest]
#[tokio::test]
async fn a_mute_lasts_from_the_settlement_and_its_end_is_the_latest_word(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let mut until = Vec::new();
    for effect in [Effect::Mute(2 * HOUR), Effect::Mute(HOUR), Effect::Mute(Duration::ZERO), Effect::OptIn] {
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        let muted_until = delivery.context.conversation.as_ref().unwrap().muted_until;
        until.push(muted_until.map(|at| at.duration_since(depot.clock.now()).as_mins() + 1));
        assert!(depot.settle(&delivery, done(Vec::new(), vec![effect])).await);
    }
    assert_eq!(until, [None, Some(120), Some(60), None]);
}

#[rstest]
#[tokio::test]
async fn what_a_person_writes_from_elsewhere_is_told_and_our_own_echo_is_not(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let answered = async || {
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, done_with_state(StateChange::Keep)).await);
        delivery.context.person_answered_at
    };
    depot.send(MESSAGE).await;
    depot.accept(echo(&depot.clock, MESSAGE, "hello")).await;
    assert_eq!(answered().await, None, "an echo of ours");
    let other = "01K00000000000000000000002";
    depot.accept(echo(&depot.clock, other, "SUMMER SALE").with("campaignName", "summer")).await;
    let event = echo(&depot.clock, "01K00000000000000000000003", "This is Eva");
    depot.accept(event).await;
    let at = answered().await.unwrap();
    assert!(depot.clock.now().duration_since(at).as_secs() < 5, "{at}");
    depot.pass(Duration::from_hours(25));
    assert_eq!(answered().await, None, "that was yesterday");
}

#[rstest]
#[tokio::test]
async fn what_a_person_wrote_before_a_hand_back_is_told_no_more(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let answered_before = async |effect| {
        depot.pass(Duration::from_secs(1));
        depot.ana_writes().await;
        let delivery = depot.claim_one().await;
        assert!(depot.settle(&delivery, done(Vec::new(), vec![effect])).await);
        delivery.context.person_answered_at.is_some()
    };
    depot.accept(echo(&depot.clock, MESSAGE, "This is Eva")).await;
    assert!(answered_before(Effect::Mute(HOUR)).await);
    assert!(answered_before(Effect::HAND_BACK).await, "a mute hands nothing back");
    assert!(!answered_before(Effect::Mute(HOUR)).await);
    assert!(!answered_before(Effect::OptIn).await, "nor does it take back what was handed back");
    depot.accept(echo(&depot.clock, "01K00000000000000000000002", "Eva again")).await;
    assert!(answered_before(Effect::OptIn).await, "that was said later");
}

#[rstest]
#[tokio::test]
async fn an_echo_beside_a_send_in_doubt_may_be_ours(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    depot.queue_text("hello").await;
    let left = depot.leave().await;
    depot.accept(echo(&depot.clock, MESSAGE, "hello")).await;
    depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    assert_eq!(delivery.context.person_answered_at, None);
    drop(left);
}
