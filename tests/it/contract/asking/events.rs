//! Events: lists with their filters and pages, streams, bodies.

use rstest::rstest;
use serde_json::json;
use switchboard::connectly::event::status::Status;
use switchboard::model::callback::CallbackKey;
use switchboard::model::event::EventType;
use switchboard::model::id::EventId;
use switchboard::store::query::{EventFilter, PageRequest, StoredBody};

use super::{ID, newest_first};
use crate::support::Backend;
use crate::support::arrivals::{BRANCH, SHOP, both, inbound, status};
use crate::support::depot::{Depot, first};

/// The events a filter finds.
async fn found(depot: &Depot, filter: EventFilter) -> Vec<EventId> {
    let page = depot.store.events(&filter, first(200)).await.unwrap();
    page.data.into_iter().map(|event| event.id).collect()
}

#[rstest]
#[tokio::test]
async fn events_are_listed_newest_first_and_page_by_page(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(depot.accept(inbound(&depot.clock)).await.id);
    }
    ids.reverse();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page =
            depot.store.events(&EventFilter::default(), PageRequest { limit: 3, before }).await.unwrap();
        seen.extend(page.data.iter().map(|event| event.id));
        before = seen.last().copied();
        if !page.more {
            break;
        }
        assert_eq!(page.data.len(), 3);
    }
    assert_eq!(seen, ids);
    newest_first(&seen);
    let exact = depot.store.events(&EventFilter::default(), first(7)).await.unwrap();
    assert!(!exact.more, "nothing follows");
}

#[rstest]
#[tokio::test]
async fn events_are_found_by_each_filter(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let depot = Depot::open(backend).await;
    let carla = both("+15550100007", "US.7");
    let other = depot.accept(inbound(&depot.clock).account("other")).await.id;
    let carlas = depot.accept(inbound(&depot.clock).customer(carla)).await.id;
    let branch = depot.accept(inbound(&depot.clock).number(BRANCH)).await.id;
    let read = depot.accept(status(&depot.clock, ID, "read")).await.id;
    let all = EventFilter::default;
    let one = |text: &str| Some(text.to_owned());
    assert_eq!(found(&depot, EventFilter { account: one("other"), ..all() }).await, [other]);
    assert_eq!(
        found(&depot, EventFilter { event_type: Some(EventType::MessageRead), ..all() }).await,
        [read]
    );
    assert_eq!(found(&depot, EventFilter { business: one(BRANCH), ..all() }).await, [branch]);
    assert_eq!(found(&depot, EventFilter { provider_message_id: one(ID), ..all() }).await, [read]);
    let customer = depot.event(carlas).await.customer.unwrap().id.unwrap().to_string();
    for named in ["+15550100007", "US.7", &customer] {
        assert_eq!(
            found(&depot, EventFilter { customer: one(named), ..all() }).await,
            [carlas],
            "by {named}"
        );
    }
    assert!(found(&depot, EventFilter { customer: one("+15550109999"), ..all() }).await.is_empty());
    let at = depot.event(branch).await.received_at;
    assert_eq!(
        found(&depot, EventFilter { since: Some(at), ..all() }).await,
        [read, branch],
        "since is inclusive"
    );
    assert_eq!(
        found(&depot, EventFilter { until: Some(at), ..all() }).await,
        [carlas, other],
        "until is exclusive"
    );
    let both = EventFilter { account: one("other"), event_type: Some(EventType::MessageRead), ..all() };
    assert!(found(&depot, both).await.is_empty(), "every part must hold");
}

#[rstest]
#[tokio::test]
async fn events_are_found_by_status_code_campaign_and_callback_data(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let order = |id: &str| json!({ "order": { "id": id, "tags": ["vip", "new"] }, "total": 12.50 });
    let read = status(&depot.clock, ID, "read").with("callbackData", order("12345"));
    let read = depot.accept(read).await.id;
    let error = json!({ "code": "ERROR_CODE_MESSAGE_TEXT_EMPTY", "message": "no" });
    let update = json!({ "id": ID, "status": "delivery_failed", "error": error,
        "metadata": { "campaignName": "spring" } });
    let failed = status(&depot.clock, ID, "delivery_failed").with("statusUpdate", update);
    let failed = depot.accept(failed.with("callbackData", order("777"))).await.id;
    let plain = inbound(&depot.clock).with("callbackData", json!("order-7"));
    let plain = depot.accept(plain).await.id;
    let all = EventFilter::default;
    let one = |text: &str| Some(text.to_owned());
    let key = |path: &str, value: &str| vec![CallbackKey::of(path, value)];
    let by_status = |status| EventFilter { status: Some(status), ..all() };
    assert_eq!(found(&depot, by_status(Status::Read)).await, [read]);
    assert_eq!(found(&depot, by_status(Status::Failed)).await, [failed]);
    let other_type = EventFilter { event_type: Some(EventType::MessageSent), ..by_status(Status::Read) };
    assert!(found(&depot, other_type).await.is_empty(), "a status has one type");
    let code = EventFilter { error_code: one("ERROR_CODE_MESSAGE_TEXT_EMPTY"), ..all() };
    assert_eq!(found(&depot, code).await, [failed]);
    assert_eq!(found(&depot, EventFilter { campaign: one("spring"), ..all() }).await, [failed]);
    for (path, value, expected) in [
        ("order.id", "12345", vec![read]),
        ("order.id", "777", vec![failed]),
        ("order.tags", "vip", vec![failed, read]),
        ("total", "12.5", vec![failed, read]),
        ("", "order-7", vec![plain]),
        ("order.id", "7", vec![]),
        ("order", "777", vec![]),
    ] {
        let filter = EventFilter { callback_data: key(path, value), ..all() };
        assert_eq!(found(&depot, filter).await, expected, "{path}={value}");
    }
    let both = [key("order.tags", "vip"), key("order.id", "777")].concat();
    assert_eq!(found(&depot, EventFilter { callback_data: both, ..all() }).await, [failed]);
}

#[rstest]
#[tokio::test]
async fn events_after_one_come_in_the_order_of_their_ids(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let mut ids = Vec::new();
    for account in ["default", "other", "default", "default"] {
        ids.push(depot.accept(inbound(&depot.clock).account(account)).await.id);
    }
    let ours = EventFilter { account: Some("default".into()), ..EventFilter::default() };
    let after = |filter: EventFilter, id: EventId, limit| {
        let store = depot.store.clone();
        async move {
            let events = store.events_after(&filter, id, limit).await.unwrap();
            events.into_iter().map(|event| event.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(after(EventFilter::default(), ids[0], 10).await, ids[1..]);
    assert_eq!(after(ours.clone(), ids[0], 10).await, ids[2..]);
    assert_eq!(after(ours, EventId::new(ulid::Ulid(0)), 2).await, [ids[0], ids[2]]);
    assert!(after(EventFilter::default(), ids[3], 10).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn an_events_bytes_are_those_that_were_signed(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let body = "\u{feff} { \"message\" : {\"text\": \"\\u0068i\\u0000\" } }\r\n";
    let id = depot.accept(crate::support::arrivals::raw(&depot.clock, body)).await.id;
    let Some(StoredBody::Kept(kept)) = depot.store.event_body(id).await.unwrap() else {
        panic!("it is kept")
    };
    assert_eq!(kept, body);
}

#[rstest]
#[tokio::test]
async fn an_event_shows_what_its_neighbours_know(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let depot = Depot::open(backend).await;
    let message = depot.send(ID).await;
    let post = status(&depot.clock, ID, "read").with("metadata", json!({ "campaign_name": "spring" }));
    let event = depot.accept(post).await.id;
    let event = depot.event(event).await;
    assert_eq!((event.message_id, event.campaign.as_deref()), (Some(message), Some("spring")));
    assert_eq!(event.business.unwrap().id, SHOP);
    assert_eq!(event.customer.unwrap().phone.as_deref(), Some("+15550100001"));
}
