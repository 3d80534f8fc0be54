//! What is counted.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use switchboard::clock::Clock;
use switchboard::connectly::signature::{Key, verify};
use switchboard::model::event::Event;
use switchboard::model::id::EventId;
use switchboard::model::job::Attempt;
use switchboard::model::outcome::Outcome;
use switchboard::routing::{Route, Routes, Verdict};
use switchboard::store::arrival::{Arrival, RouteMatch};
use switchboard::store::work::{GroupTurn, Offer, Settled, Settlement};
use switchboard::store::{OpenOptions, Store, open};

use crate::bodies;

/// Deliveries that are committed together.
const GROUP: u32 = 32;
/// The route that deliveries match.
const ROUTE: &str = "idle";

/// Something that is done many times.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// What every receiver of the body would do: the others are told beside it.
    Yardstick,
    /// Everything up to the store.
    Read,
    /// One delivery in a transaction of its own.
    CommitOne,
    /// One of a group.
    CommitGroup,
    /// One of a group that is committed, begun and settled.
    Handle,
}

impl Work {
    const ALL: [Self; 5] = [Self::Yardstick, Self::Read, Self::CommitOne, Self::CommitGroup, Self::Handle];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Yardstick => "yardstick",
            Self::Read => "read",
            Self::CommitOne => "commit-one",
            Self::CommitGroup => "commit-group",
            Self::Handle => "handle",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    /// Often enough for what happens now and then to weigh what it weighs.
    pub(crate) const fn times(self) -> u32 {
        match self {
            Self::Yardstick | Self::Read => 500,
            Self::CommitOne => 100,
            Self::CommitGroup | Self::Handle => 10 * GROUP,
        }
    }

    pub(crate) fn run(self, times: u32) {
        match self {
            Self::Yardstick => yardstick(times),
            Self::Read => read(times),
            Self::CommitOne => in_store(times, 1, false),
            Self::CommitGroup => in_store(times, GROUP, false),
            Self::Handle => in_store(times, GROUP, true),
        }
    }
}

fn yardstick(times: u32) {
    let body = bodies::inbound();
    for _ in 0..times {
        black_box(Sha256::digest(black_box(&body)));
        black_box(serde_json::from_str::<serde_json::Value>(black_box(&body)).unwrap());
    }
}

fn read(times: u32) {
    let keys = [Key::new(&SecretString::from("webhook-secret"))];
    let body = Bytes::from(bodies::inbound());
    let header = keys[0].sign(&body);
    let clock = Clock::system();
    let routes = Routes::new(vec![Route::new(ROUTE, &["*".to_owned()], None, true).unwrap()]);
    for _ in 0..times {
        let verified = verify(&keys, Some(header.as_bytes()), black_box(&body).clone()).unwrap();
        let id = EventId::new(clock.ulid());
        let arrival = Arrival::read(id, "default".to_owned(), clock.now(), verified.bytes().clone());
        let event = Event::arriving(id, "default", arrival.received_at, &arrival.decoded);
        black_box(routes.judge(&event).filter(|(_, _, verdict)| *verdict == Verdict::Matched).count());
    }
}

/// Commits so many deliveries in such groups, each of a customer who wrote before; settles their jobs if asked.
fn in_store(times: u32, group: u32, handle: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("counted.db").display());
    runtime.block_on(async {
        let clock = Clock::system();
        let options = OpenOptions { migrate: true, connections: 1 };
        let store = open(&url, &options, clock.clone()).await.unwrap();
        let mut next = 0;
        for _ in 0..times / group {
            let arrivals: Vec<Arrival> =
                (0..group).map(|place| arrival(&clock, place, &mut next, handle)).collect();
            commit(store.as_ref(), &arrivals, handle).await;
        }
        store.close().await;
    });
}

fn arrival(clock: &Clock, customer: u32, number: &mut u64, routed: bool) -> Arrival {
    *number += 1;
    let body = bodies::inbound()
        .replace("+15550100001", &format!("+1555010{customer:04}"))
        .replace("01KDVDNK12MM0000000000002G", &format!("message-{number}"));
    let id = EventId::new(clock.ulid());
    let mut arrival = Arrival::read(id, "default".to_owned(), clock.now(), body.into());
    let matched = RouteMatch { route: ROUTE.to_owned(), ordered: true, failed: None };
    arrival.routes.extend(routed.then_some(matched));
    arrival
}

async fn commit(store: &dyn Store, arrivals: &[Arrival], handle: bool) {
    if !handle {
        store.commit(arrivals).await.unwrap();
        return;
    }
    let slots = [(ROUTE.to_owned(), GROUP)].into();
    let offer = Offer { slots, lease: Duration::from_mins(10) };
    let committed = store.commit_and_lease(arrivals, &offer, &GroupTurn::default()).await.unwrap();
    let deliveries = store.deliveries(&committed.leased).await.unwrap();
    let settlements: Vec<Settlement> = deliveries
        .iter()
        .map(|delivery| Settlement {
            lease: delivery.lease,
            attempt: Attempt {
                number: 1,
                at: delivery.context.now,
                duration_ms: 0,
                outcome: "done".to_owned(),
                detail: None,
            },
            resolution: Settled::Done(Outcome::ignored()),
        })
        .collect();
    assert_eq!(store.settle(&settlements).await.unwrap().len(), arrivals.len());
}
