//! Delays as the store tells them, to the millisecond: from a delivery's request to its handler.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use switchboard::clock::Clock;
use switchboard::emulator::Emulator;
use switchboard::model::event::EventType;
use switchboard::model::id::JobId;
use switchboard::model::job::{JobKind, JobState};
use switchboard::store::query::{EventFilter, JobFilter, PageRequest};
use switchboard::store::{OpenOptions, Store, open};

/// Rows that are read at a time.
const PAGE: u32 = 200;
/// Jobs that are looked at, spread over all there are.
const LOOKED_AT: usize = 2_000;

/// From when a delivery's request was there to when its handler began: of jobs that were handled since.
pub(crate) async fn to_handler(database: &str, since: Timestamp) -> Vec<Duration> {
    let options = OpenOptions { migrate: false, connections: 1 };
    let store = open(database, &options, Clock::system()).await.unwrap();
    let jobs = handled(store.as_ref(), since).await;
    let mut delays = Vec::new();
    for id in jobs.iter().step_by(jobs.len().div_ceil(LOOKED_AT).max(1)) {
        let job = store.job(*id).await.unwrap().unwrap();
        let event = store.event(job.event_id.unwrap()).await.unwrap().unwrap();
        delays.push(between(event.received_at, job.log.unwrap()[0].at));
    }
    store.close().await;
    delays
}

async fn handled(store: &dyn Store, since: Timestamp) -> Vec<JobId> {
    let filter = JobFilter {
        state: Some(JobState::Done),
        kind: Some(JobKind::Deliver),
        since: Some(since),
        ..JobFilter::default()
    };
    let (mut ids, mut before) = (Vec::new(), None);
    loop {
        let page = store.jobs(&filter, PageRequest { limit: PAGE, before }).await.unwrap();
        ids.extend(page.data.iter().map(|job| job.id));
        before = page.data.last().map(|job| job.id);
        if !page.more {
            return ids;
        }
    }
}

/// From when a customer's message was there to when the reply was accepted by the emulator: of customers who wrote once, since.
pub(crate) async fn to_reply(database: &str, emulator: &Emulator, since: Timestamp) -> Vec<Duration> {
    let options = OpenOptions { migrate: false, connections: 1 };
    let store = open(database, &options, Clock::system()).await.unwrap();
    let received = received(store.as_ref(), since).await;
    store.close().await;
    let replies = emulator.messages().into_iter();
    replies.filter_map(|sent| Some(between(*received.get(&sent.to)?, sent.at))).collect()
}

/// When each customer wrote, of those who did since.
async fn received(store: &dyn Store, since: Timestamp) -> HashMap<String, Timestamp> {
    let filter = EventFilter {
        event_type: Some(EventType::MessageReceived),
        since: Some(since),
        ..EventFilter::default()
    };
    let (mut received, mut before) = (HashMap::new(), None);
    loop {
        let page = store.events(&filter, PageRequest { limit: PAGE, before }).await.unwrap();
        before = page.data.last().map(|event| event.id);
        let events = page.data.into_iter();
        received.extend(events.filter_map(|event| Some((event.customer?.phone?, event.received_at))));
        if !page.more {
            return received;
        }
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
