//! Old events in, new jobs out: what a person wants delivered once more.
//!
//! Each event is read from its bytes again, as if it had just arrived: it goes to the routes that match it today, and one
//! that was not understood when it came may be by now.

use std::sync::Arc;

use super::{Signals, matches};
use crate::clock::Clock;
use crate::model::event::Event;
use crate::model::id::EventId;
use crate::routing::Routes;
use crate::store::arrival::Arrival;
use crate::store::query::EventFilter;
use crate::store::{Result, Store, StoreError};

/// Events that are read, and replayed in one transaction.
const GROUP: u32 = 200;

/// Replays events. Clones share everything.
#[derive(Clone)]
pub struct Replayer {
    store: Arc<dyn Store>,
    routes: Arc<Routes>,
    clock: Clock,
    signals: Signals,
}

/// What to replay.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Which events.
    pub events: Events,
    /// To this route only, if it matches; absent: to all that match.
    pub route: Option<String>,
    /// Only count the jobs.
    pub dry_run: bool,
}

/// Which events to replay.
#[derive(Debug, Clone)]
pub enum Events {
    /// One.
    One(EventId),
    /// All that a filter finds among those that are stored when it begins.
    Filter(Box<EventFilter>),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// The jobs that were made, or would be.
    pub jobs: u64,
    /// The events that cannot be delivered again, since retention has dropped their bytes.
    pub purged: u64,
}

impl Replayer {
    /// A replayer to today's routes.
    pub const fn new(store: Arc<dyn Store>, routes: Arc<Routes>, clock: Clock, signals: Signals) -> Self {
        Self { store, routes, clock, signals }
    }

    /// Makes the jobs, group by group in the order of the events; `None` when there is no such event. A replay that is
    /// interrupted has made the jobs of the groups before.
    pub async fn replay(&self, replay: &Replay) -> Result<Option<Replayed>> {
        let filter = match &replay.events {
            Events::One(id) => {
                let known = self.store.event(*id).await?.is_some();
                let replayed = Replayed::default();
                return if known { self.group(&[*id], replay, replayed).await.map(Some) } else { Ok(None) };
            }
            Events::Filter(filter) => {
                let now = self.clock.now();
                EventFilter {
                    until: Some(filter.until.map_or(now, |until| until.min(now))),
                    ..(**filter).clone()
                }
            }
        };
        let mut replayed = Replayed::default();
        let mut after = EventId::new(ulid::Ulid(0));
        loop {
            let events = self.store.events_after(&filter, after, GROUP).await?;
            let Some(last) = events.last() else { return Ok(Some(replayed)) };
            after = last.id;
            let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
            replayed = self.group(&ids, replay, replayed).await?;
        }
    }

    async fn group(&self, ids: &[EventId], replay: &Replay, mut so_far: Replayed) -> Result<Replayed> {
        let mut group = self.store.arrivals(ids).await?;
        so_far.purged += u64::try_from(ids.len() - group.len()).unwrap_or(0);
        for arrival in &mut group {
            let event = Event::arriving(arrival.id, &arrival.account, arrival.received_at, &arrival.decoded);
            arrival.routes = matches(&self.routes, &event);
            arrival.routes.retain(|found| replay.route.as_ref().is_none_or(|route| *route == found.route));
        }
        group.retain(|arrival| !arrival.routes.is_empty());
        if replay.dry_run {
            so_far.jobs += group.iter().map(|arrival| arrival.routes.len() as u64).sum::<u64>();
            return Ok(so_far);
        }
        so_far.jobs += self.commit(&group).await?;
        self.signals.work.notify_waiters();
        self.signals.work.notify_one();
        Ok(so_far)
    }

    /// Together; when the store refuses the data of one, one by one, and that one as it was stored: not understood.
    async fn commit(&self, group: &[Arrival]) -> Result<u64> {
        match self.store.replay(group).await {
            Err(StoreError::Data(_)) => {}
            replayed => return replayed,
        }
        let mut jobs = 0;
        for arrival in group {
            let alone = std::slice::from_ref(arrival);
            jobs += match self.store.replay(alone).await {
                Err(StoreError::Data(_)) => {
                    let opaque = Arrival { routes: arrival.routes.clone(), ..arrival.opaque() };
                    self.store.replay(&[opaque]).await?
                }
                replayed => replayed?,
            };
        }
        Ok(jobs)
    }
}
