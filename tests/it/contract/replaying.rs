//! Replaying: new jobs for old events, and events that are understood by now.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use switchboard::model::event::{Event, EventType};
use switchboard::model::id::EventId;
use switchboard::model::job::JobState;
use switchboard::store::arrival::{Arrival, RouteMatch};
use switchboard::store::query::ConversationFilter;
use switchboard::store::work::Settled;

use crate::support::Backend;
use crate::support::arrivals::{BEN, inbound, raw, status};
use crate::support::depot::{Depot, ROUTE, done, first, say};

const ID: &str = "01K00000000000000000000001";

/// Stored events as they arrived, on their way to the usual route.
async fn on_the_route(depot: &Depot, ids: &[EventId]) -> Vec<Arrival> {
    let mut arrivals = depot.store.arrivals(ids).await.unwrap();
    for arrival in &mut arrivals {
        arrival.routes = vec![RouteMatch { route: ROUTE.into(), ordered: true, failed: None }];
    }
    arrivals
}

async fn replay(depot: &Depot, ids: &[EventId]) -> u64 {
    depot.store.replay(&on_the_route(depot, ids).await).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_replay_runs_at_the_end_of_its_lane_and_is_never_swallowed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let old = depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    depot.settle(&delivery, done(Vec::new(), Vec::new())).await;
    let newer = depot.ana_writes().await;
    assert_eq!(replay(&depot, &[old]).await, 1);
    assert_eq!(replay(&depot, &[old]).await, 1, "while the first one waits");
    let mut run = Vec::new();
    for _ in 0..3 {
        let delivery = depot.claim_one().await;
        run.push((delivery.event.id, delivery.lease.job));
        depot.settle(&delivery, say("once more")).await;
    }
    assert_eq!(run.iter().map(|(event, _)| *event).collect::<Vec<_>>(), [newer, old, old]);
    assert_eq!(replay(&depot, &[old]).await, 1, "after all of them are done");
    let again = depot.claim_one().await;
    assert!(run.iter().all(|(_, job)| *job != again.lease.job), "each replay is a job of its own");
    assert_eq!(depot.messages().await.len(), 3, "and its replies are messages of their own");
}

#[rstest]
#[tokio::test]
async fn events_of_one_conversation_are_replayed_in_the_order_they_came(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let mut ids = Vec::new();
    for customer in [None, Some(BEN), None, None] {
        let post = inbound(&depot.clock);
        let post = customer.map_or(post.clone(), |customer| post.customer(customer));
        ids.push(depot.accept(post).await.id);
    }
    assert_eq!(replay(&depot, &ids).await, 4);
    let heads: Vec<_> = depot.claim().await.iter().map(|delivery| delivery.event.id).collect();
    assert_eq!(heads.len(), 2, "the first of each conversation");
    assert!(heads.contains(&ids[0]) && heads.contains(&ids[1]));
    assert_eq!(depot.jobs(Some(JobState::Ready)).await.len(), 2);
}

#[rstest]
#[tokio::test]
async fn p2_a_replay_decodes_anew_what_was_not_understood(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let order = json!({ "order_id": "7" });
    let inbound: Arrival = inbound(&depot.clock).with("callbackData", order).into();
    let failed = json!({ "id": ID, "status": "delivery_failed", "error": { "code": "C" } });
    let status: Arrival = status(&depot.clock, ID, "x").with("statusUpdate", failed).into();
    let ids = [inbound.id, status.id];
    depot.accept_all([inbound.opaque(), status.opaque()]).await;
    assert!(depot.events().await.iter().all(|event| event.event_type() == EventType::Unknown));
    assert_eq!(replay(&depot, &ids).await, 2);
    let types: Vec<_> = depot.events().await.iter().map(Event::event_type).collect();
    assert_eq!(types, [EventType::MessageReceived, EventType::MessageFailed]);
    let page = depot.store.conversations(&ConversationFilter::default(), first(9)).await.unwrap();
    let [conversation] = &page.data[..] else { panic!("one conversation") };
    assert!(conversation.window.is_open(depot.clock.now(), Duration::ZERO), "she wrote just now");
    let (message, timeline) = depot.store.message(ID).await.unwrap().unwrap();
    assert_eq!((message.state.as_str(), timeline.len()), ("failed", 1));
    assert_eq!(depot.event(ids[0]).await.callback_data.unwrap().as_str(), r#"{"order_id":"7"}"#);
    let delivery = depot.claim_one().await;
    assert_eq!(delivery.event.content().unwrap().text.as_deref(), Some("hi"));
    depot.settle(&delivery, say("hello")).await;
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_matched_is_parked_and_what_is_not_stored_makes_nothing(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let id = depot.accept(inbound(&depot.clock)).await.id;
    let mut arrivals = on_the_route(&depot, &[id]).await;
    arrivals[0].routes[0].failed = Some("no such filter".into());
    let stranger = Arrival { routes: arrivals[0].routes.clone(), ..raw(&depot.clock, "{}") };
    arrivals.push(stranger);
    assert_eq!(depot.store.replay(&arrivals).await.unwrap(), 1);
    let [job] = &depot.jobs(Some(JobState::Parked)).await[..] else { panic!("one job") };
    assert_eq!((job.event_id, job.last_error.as_deref()), (Some(id), Some("no such filter")));
    assert_eq!(depot.store.replay(&[]).await.unwrap(), 0);
}

#[rstest]
#[tokio::test]
async fn a_replay_waits_behind_what_a_retry_holds(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let event = depot.ana_writes().await;
    let delivery = depot.claim_one().await;
    depot.settle(&delivery, Settled::Retry(Duration::from_secs(5))).await;
    assert_eq!(replay(&depot, &[event]).await, 1);
    assert!(depot.claim().await.is_empty(), "the first run holds the lane");
    depot.pass(Duration::from_secs(5));
    assert_eq!(depot.claim_one().await.lease.job, delivery.lease.job);
}
