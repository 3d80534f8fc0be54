//! Two customers that turn out to be one: an event shows the phone of one and the user id of the other.

use std::time::Duration;

use jiff::SignedDuration;
use rstest::rstest;
use serde_json::json;
use switchboard::model::event::{Customer, Event};
use switchboard::model::id::EventId;
use switchboard::model::job::JobState;
use switchboard::model::outcome::{Effect, Reply, StateChange};
use switchboard::store::arrival::Arrival;
use switchboard::store::query::{EventFilter, MessageFilter};
use switchboard::store::work::{Answer, Delivery, Dispatch, SendResult, Settled};

use crate::support::Backend;
use crate::support::arrivals::{BRANCH, Person, Post, both, echo, inbound, phone, status, user};
use crate::support::depot::{Depot, ROUTE, WINDOW_CLOSED, done, done_with_state, first, say};

const NUMBER: &str = "+15550100005";
const OLDER: Person = phone(NUMBER);
const YOUNGER: Person = user("US.1");
const ONE: Person = both(NUMBER, "US.1");

/// Commits an inbound of somebody on the usual route.
async fn writes(depot: &Depot, person: Person, text: &str) -> EventId {
    depot.accept(inbound(&depot.clock).customer(person).text(text).on(ROUTE)).await.id
}

/// Commits an inbound of somebody that no route wants.
async fn shows(depot: &Depot, person: Person) -> EventId {
    depot.accept(inbound(&depot.clock).customer(person)).await.id
}

/// Somebody writes and their handler answers.
async fn answered(depot: &Depot, person: Person, resolution: Settled) -> Delivery {
    writes(depot, person, "hi").await;
    let delivery = depot.claim_one().await;
    assert!(depot.settle(&delivery, resolution).await);
    delivery
}

async fn customer(depot: &Depot, event: EventId) -> Customer {
    depot.event(event).await.customer.unwrap()
}

fn text(delivery: &Delivery) -> String {
    delivery.event.content().unwrap().text.clone().unwrap()
}

#[rstest]
#[case::by_phone_first(OLDER, YOUNGER)]
#[case::by_user_id_first(YOUNGER, OLDER)]
#[tokio::test]
async fn an_event_with_both_identities_makes_them_one_and_the_older_survives(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] earlier: Person,
    #[case] later: Person,
) {
    let depot = Depot::open(backend).await;
    let first = shows(&depot, earlier).await;
    let second = shows(&depot, later).await;
    let (before, gone) = (depot.event(first).await, depot.event(second).await);
    assert_ne!(before.conversation_id, gone.conversation_id);

    let shown = shows(&depot, ONE).await;
    let one = customer(&depot, shown).await;
    assert_eq!(one.id, before.customer.unwrap().id, "the older one survives");
    assert_eq!((one.phone.as_deref(), one.user_id.as_deref()), (Some(NUMBER), Some("US.1")));
    for event in depot.events().await {
        assert_eq!(event.conversation_id, before.conversation_id, "reads show the survivor");
        assert_eq!(event.customer.unwrap().id, one.id);
    }
    for person in [OLDER, YOUNGER, ONE] {
        let event = shows(&depot, person).await;
        assert_eq!(customer(&depot, event).await.id, one.id, "and so does whoever comes next");
    }
}

#[rstest]
#[tokio::test]
async fn reads_filter_by_the_survivor_and_the_old_id_still_resolves(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    answered(&depot, OLDER, say("to the phone")).await;
    let gone = answered(&depot, YOUNGER, say("to the user id")).await.event.customer.unwrap().id.unwrap();
    let shown = shows(&depot, ONE).await;
    let stays = customer(&depot, shown).await.id.unwrap();
    for name in
        [stays.to_string(), gone.to_string(), gone.to_string().to_lowercase(), NUMBER.into(), "US.1".into()]
    {
        let filter = EventFilter { customer: Some(name.clone()), ..EventFilter::default() };
        assert_eq!(depot.store.events(&filter, first(9)).await.unwrap().data.len(), 3, "{name}");
        let filter = MessageFilter { customer: Some(name.clone()), ..MessageFilter::default() };
        assert_eq!(depot.store.messages(&filter, first(9)).await.unwrap().data.len(), 2, "{name}");
    }
    let places: Vec<_> = depot.messages().await.iter().map(|message| message.conversation_id).collect();
    assert_eq!(places, [depot.event(shown).await.conversation_id; 2]);
}

#[rstest]
#[tokio::test]
async fn a_second_user_id_is_a_second_person(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let owner = shows(&depot, both(NUMBER, "US.2")).await;
    let other = shows(&depot, YOUNGER).await;
    let shown = shows(&depot, ONE).await;
    assert_eq!(customer(&depot, shown).await.id, customer(&depot, other).await.id);
    assert_ne!(customer(&depot, shown).await.id, customer(&depot, owner).await.id);
    assert_eq!(customer(&depot, owner).await.phone, None, "the number was recycled");
}

#[rstest]
#[tokio::test]
async fn all_of_a_merge_may_happen_in_one_group(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    // The last of them is stored already, the first two are not.
    shows(&depot, phone("+15550100006")).await;
    let people = [OLDER, YOUNGER, ONE, both("+15550100006", "US.1"), both(NUMBER, "US.3"), YOUNGER];
    let receipts =
        depot.accept_all(people.map(|person| inbound(&depot.clock).customer(person).on(ROUTE))).await;
    let mut ids = Vec::new();
    for receipt in receipts {
        ids.push(customer(&depot, receipt.id).await.id.unwrap());
    }
    let one = ids[0];
    assert_ne!(ids[4], one, "the number went on to somebody else");
    assert_eq!(ids, [one, one, one, one, ids[4], one]);
    assert_eq!(depot.claim().await.len(), 2, "one lane each");
}

#[rstest]
#[tokio::test]
async fn with_each_number_of_the_business_one_conversation_stays(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let at_the_branch = |person| inbound(&depot.clock).customer(person).number(BRANCH);
    // The younger customer spoke with the branch first.
    shows(&depot, OLDER).await;
    depot.accept_all([inbound(&depot.clock).customer(YOUNGER), at_the_branch(YOUNGER)]).await;
    depot.accept(at_the_branch(OLDER)).await;
    let before = depot.events().await;
    shows(&depot, ONE).await;
    let after = depot.events().await;
    let conversations =
        |events: &[Event]| events.iter().map(|event| event.conversation_id).collect::<Vec<_>>();
    let (before, after) = (conversations(&before), conversations(&after));
    assert_eq!(after, [before[0], before[0], before[2], before[2], before[0]]);
}

#[rstest]
#[tokio::test]
async fn the_later_inbound_and_the_first_contact_count_for_both(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let now = depot.clock.now();
    let hours_ago = |n| now.checked_sub(SignedDuration::from_hours(n)).unwrap();
    depot.accept(inbound(&depot.clock).customer(OLDER).at(hours_ago(20))).await;
    depot.accept(inbound(&depot.clock).customer(YOUNGER).at(hours_ago(2))).await;
    let post = inbound(&depot.clock).customer(ONE).at(hours_ago(30));
    depot.accept(post.on(ROUTE)).await;
    let context = depot.claim_one().await.context;
    let seen = context.conversation.unwrap().window.last_inbound_at.unwrap();
    assert_eq!(seen.as_second(), hours_ago(2).as_second());
    assert!(!context.first_contact);
}

#[rstest]
#[tokio::test]
async fn a_refusal_of_either_holds_until_somebody_writes_after_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    shows(&depot, OLDER).await;
    shows(&depot, YOUNGER).await;
    depot.pass(Duration::from_mins(5));
    let refused =
        |person| status(&depot.clock, "01K00000000000000000000001", "delivery_failed").customer(person);
    depot.accept(refused(YOUNGER).error(WINDOW_CLOSED)).await;
    let merging = status(&depot.clock, "01K00000000000000000000002", "sent").customer(ONE);
    depot.accept(merging.on(ROUTE)).await;
    let delivery = depot.claim_one().await;
    let window = delivery.context.conversation.as_ref().unwrap().window;
    assert!(window.closed_at.is_some() && window.last_inbound_at.is_some());
    assert!(!window.is_open(depot.clock.now(), Duration::ZERO));
}

#[rstest]
#[tokio::test]
async fn what_was_handed_back_before_a_merge_stays_so(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    shows(&depot, OLDER).await;
    depot.accept(echo(&depot.clock, "01K00000000000000000000001", "This is Eva").customer(YOUNGER)).await;
    let told = answered(&depot, YOUNGER, done(Vec::new(), vec![Effect::HAND_BACK])).await;
    assert!(told.context.person_answered_at.is_some());
    shows(&depot, ONE).await;
    let told = answered(&depot, ONE, done_with_state(StateChange::Keep)).await;
    assert_eq!(told.context.person_answered_at, None);
}

#[rstest]
#[case::the_older_one(OLDER, YOUNGER)]
#[case::the_younger_one(YOUNGER, OLDER)]
#[tokio::test]
async fn either_opt_out_wins(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
    #[case] opted_out: Person,
    #[case] other: Person,
) {
    let depot = Depot::open(backend).await;
    shows(&depot, OLDER).await;
    answered(&depot, opted_out, done(Vec::new(), vec![Effect::OptOut])).await;
    answered(&depot, other, say("an offer")).await;
    let sending = depot.claim_send().await;
    shows(&depot, ONE).await;
    assert!(matches!(depot.dispatch(&sending).await, Dispatch::Ended("suppressed")));
}

#[rstest]
#[tokio::test]
async fn the_newest_state_wins(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    for newest in [OLDER, YOUNGER] {
        let depot = Depot::open(backend).await;
        let state = |text: &str| done_with_state(StateChange::Set(json!(text)));
        answered(&depot, OLDER, state("older")).await;
        answered(&depot, YOUNGER, state("younger")).await;
        answered(&depot, newest, state("newest")).await;
        writes(&depot, ONE, "hi").await;
        assert_eq!(depot.claim_one().await.context.state, Some(json!("newest")));
    }
}

#[rstest]
#[tokio::test]
async fn unfinished_jobs_of_both_stand_in_one_lane(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    for (person, texts) in [(OLDER, ["a1", "a2"]), (YOUNGER, ["b1", "b2"])] {
        for text in texts {
            writes(&depot, person, text).await;
        }
    }
    writes(&depot, ONE, "c1").await;
    let mut order = Vec::new();
    for _ in 0..5 {
        let delivery = depot.claim_one().await;
        order.push(text(&delivery));
        assert!(depot.settle(&delivery, say("noted")).await);
    }
    assert_eq!(order, ["a1", "a2", "b1", "b2", "c1"]);
    assert!(depot.claim().await.is_empty());
}

#[rstest]
#[tokio::test]
async fn what_runs_while_a_merge_happens_is_settled_and_nothing_begins_beside_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    shows(&depot, OLDER).await;
    writes(&depot, YOUNGER, "running").await;
    let running = depot.claim_one().await;
    writes(&depot, OLDER, "waiting").await;
    writes(&depot, ONE, "new").await;
    assert!(depot.claim().await.is_empty(), "the lane is taken");
    assert!(depot.settle(&running, say("answer")).await);
    let next = depot.claim_one().await;
    assert_eq!(text(&next), "waiting");
    let conversation = next.event.conversation_id;
    assert_eq!(
        depot.newest_message().await.conversation_id,
        conversation,
        "its reply leaves in the survivor"
    );
    assert!(depot.settle(&next, say("answer")).await);
    assert_eq!(text(&depot.claim_one().await), "new");
}

#[rstest]
#[tokio::test]
async fn a_send_that_left_before_a_merge_is_settled_after_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    // Whatever they write, they wrote before the message left: what is later opens a refused window again.
    let begun = depot.clock.now();
    shows(&depot, OLDER).await;
    answered(&depot, YOUNGER, say("under way")).await;
    let left = depot.leave().await;
    depot.accept(inbound(&depot.clock).customer(OLDER).at(begun).on(ROUTE)).await;
    assert!(depot.settle(&depot.claim_one().await, say("behind it")).await);
    depot.accept(inbound(&depot.clock).customer(ONE).at(begun)).await;
    assert!(depot.claim_sends().await.is_empty(), "messages of one conversation leave one at a time");
    let closed = Answer::WindowClosed(crate::support::depot::refusal(WINDOW_CLOSED));
    assert_eq!(depot.answer(&left, closed).await, SendResult::Applied);
    // Whatever a refusal says counts for the survivor.
    let sending = depot.claim_send().await;
    assert!(matches!(depot.dispatch(&sending).await, Dispatch::Ended("expired")));
    assert!(depot.jobs(Some(JobState::Ready)).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_reply_from_another_number_finds_the_survivors_conversation(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let at_the_branch = inbound(&depot.clock).customer(OLDER).number(BRANCH);
    let branch = depot.accept(at_the_branch).await.id;
    writes(&depot, YOUNGER, "running").await;
    let running = depot.claim_one().await;
    shows(&depot, ONE).await;
    let reply = Reply::text("from the branch").from_number(BRANCH);
    assert!(depot.settle(&running, done(vec![reply], Vec::new())).await);
    let conversation = depot.event(branch).await.conversation_id;
    assert_eq!(depot.newest_message().await.conversation_id, conversation);
}

/// Many people are seen by phone on one instance, by user id on another, and by both on either, all at once.
#[rstest]
#[tokio::test]
async fn instances_that_meet_one_person_by_all_their_names_agree(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let other = depot.store.second_instance().await;
    let people: Vec<(String, String)> =
        (0..20).map(|n| (format!("+1555030{n:04}"), format!("US.{n}"))).collect();
    for (number, id) in &people {
        let post = |endpoint: serde_json::Value| -> Arrival {
            Post::into(inbound(&depot.clock).with("sender", endpoint).on(ROUTE))
        };
        let by_phone = || post(json!({ "id": number }));
        let by_user_id = || post(json!({ "id": id, "userId": id, "phoneNumber": "" }));
        let by_both = || post(json!({ "id": number, "userId": id, "phoneNumber": number }));
        depot.store.commit(&[by_phone(), by_user_id()]).await.unwrap();
        let (one, two, three) =
            ([by_both(), by_phone()], [by_user_id(), by_both()], [by_user_id(), by_phone()]);
        let settled = tokio::join!(depot.store.commit(&one), other.commit(&two), other.commit(&three));
        assert!(settled.0.is_ok() && settled.1.is_ok() && settled.2.is_ok());
    }
    let events = depot.events().await;
    let conversations: std::collections::HashSet<_> =
        events.iter().map(|event| event.conversation_id).collect();
    let customers: std::collections::HashSet<_> =
        events.iter().map(|event| event.customer.as_ref().unwrap().id).collect();
    assert_eq!((conversations.len(), customers.len()), (people.len(), people.len()));
    assert_eq!(depot.claim().await.len(), people.len(), "one lane each");
}
