//! Old events in, new jobs out: what a person wants delivered once more.
//!
//! Each event is read from its bytes again, as if it had just arrived: it goes to the routes that match it today, and one
//! that was not understood when it came may be by now.

use std::sync::Arc;

use jiff::Timestamp;
use ulid::Ulid;

use super::{Signals, matches};
use crate::clock::Clock;
use crate::model::event::Event;
use crate::model::id::EventId;
use crate::routing::{Route, Routes, Verdict};
use crate::store::arrival::Arrival;
use crate::store::query::EventFilter;
use crate::store::{Result, Store, StoreError};

/// The most events that are read, and replayed in one transaction.
pub const GROUP: u32 = 200;

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
    /// The next of those, for who wants to see how far it is.
    Slice {
        /// Which events there are in all.
        filter: Box<EventFilter>,
        /// Where the slice before ended; absent: this one is the first.
        from: Option<Place>,
        /// How many events, at most [`GROUP`].
        limit: u32,
    },
}

/// Where a slice ends and the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The last event of the slices before.
    pub after: EventId,
    /// When the first slice began: what has come since then is not part of it.
    pub until: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replayed {
    /// The jobs that were made, or would be.
    pub jobs: u64,
    /// The events that cannot be delivered again, since retention has dropped their bytes.
    pub purged: u64,
    /// Where the next slice begins, when there may be one.
    pub next: Option<Place>,
}

impl Replayer {
    /// A replayer to today's routes.
    pub const fn new(store: Arc<dyn Store>, routes: Arc<Routes>, clock: Clock, signals: Signals) -> Self {
        Self { store, routes, clock, signals }
    }

    /// Makes the jobs, group by group in the order of the events; `None` when there is no such event. A replay that is
    /// interrupted has made the jobs of the groups before.
    pub async fn replay(&self, replay: &Replay) -> Result<Option<Replayed>> {
        let begin = || Place { after: EventId::new(Ulid(0)), until: self.clock.now() };
        match &replay.events {
            Events::One(id) => {
                let known = self.store.event(*id).await?.is_some();
                if known { self.group(&[*id], replay, Replayed::default()).await.map(Some) } else { Ok(None) }
            }
            Events::Filter(filter) => {
                let mut replayed = Replayed { next: Some(begin()), ..Replayed::default() };
                while let Some(place) = replayed.next {
                    replayed = self.slice(filter, place, GROUP, replay, replayed).await?;
                }
                Ok(Some(replayed))
            }
            Events::Slice { filter, from, limit } => {
                let place = from.unwrap_or_else(begin);
                self.slice(filter, place, *limit, replay, Replayed::default()).await.map(Some)
            }
        }
    }

    /// For every route whether a stored event goes there, and why; `None` when its bytes are not kept any more, or there is no
    /// such event. The event is judged as it arrived, by today's routes.
    pub async fn explain(&self, id: EventId) -> Result<Option<Vec<(&Route, Verdict)>>> {
        let arrivals = self.store.arrivals(&[id]).await?;
        Ok(arrivals.first().map(|arrival| {
            let event = Event::arriving(arrival.id, &arrival.account, arrival.received_at, &arrival.decoded);
            self.routes.explain(&event)
        }))
    }

    async fn slice(
        &self,
        filter: &EventFilter,
        place: Place,
        limit: u32,
        replay: &Replay,
        so_far: Replayed,
    ) -> Result<Replayed> {
        let until = Some(filter.until.map_or(place.until, |until| until.min(place.until)));
        let filter = EventFilter { until, ..filter.clone() };
        let limit = limit.min(GROUP);
        let events = self.store.events_after(&filter, place.after, limit).await?;
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let last = ids.last().filter(|_| ids.len() >= limit as usize);
        let next = last.map(|last| Place { after: *last, ..place });
        Ok(Replayed { next, ..self.group(&ids, replay, so_far).await? })
    }

    async fn group(&self, ids: &[EventId], replay: &Replay, mut so_far: Replayed) -> Result<Replayed> {
        let mut group = self.store.arrivals(ids).await?;
        so_far.purged += u64::try_from(ids.len() - group.len()).unwrap_or(0);
        for arrival in &mut group {
            let event = Event::arriving(arrival.id, &arrival.account, arrival.received_at, &arrival.decoded);
            arrival.routes = matches(&self.routes, &event, |_, _| {});
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
