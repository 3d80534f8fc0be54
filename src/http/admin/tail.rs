//! What is new in the store, for one reader: each event once, late ones included.
//!
//! Ids are made when a request arrives and become visible when its group is committed, so an event may appear behind one
//! that was shown already. Therefore the last seconds are read again and again, and what was shown from them is dropped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ulid::Ulid;

use crate::clock::Clock;
use crate::model::event::Event;
use crate::model::id::EventId;
use crate::store::query::EventFilter;
use crate::store::{Store, StoreError};

/// How long after its id was made an event may still become visible: a commit takes milliseconds, and the clocks of two
/// instances may differ.
const LATENESS: Duration = Duration::from_secs(5);
/// A reader further behind than this would only see the past go by.
const MOST_BEHIND: usize = 1_000;
/// Events read at once: each is decoded anew from its bytes.
const PAGE: u32 = 200;

/// What is new.
#[derive(Debug)]
pub(super) enum News {
    /// Events that were not shown yet, in the order of their ids within this answer.
    Events(Vec<Event>),
    /// There were too many. They count as shown; the position is where the reader goes on.
    TooMany(EventId),
}

/// A reader's place in the stream of events.
pub(super) struct Tail {
    store: Arc<dyn Store>,
    clock: Clock,
    filter: EventFilter,
    /// Nothing new can appear at or before it.
    settled: EventId,
    /// The newest that was shown.
    newest: EventId,
    /// What was shown after `settled`.
    shown: BTreeSet<EventId>,
}

impl Tail {
    /// Begins behind everything that is visible now, or, when resuming, behind the last event that was shown.
    pub(super) async fn start(
        store: Arc<dyn Store>,
        clock: Clock,
        filter: EventFilter,
        last: Option<EventId>,
    ) -> Result<Self, StoreError> {
        let settled = horizon(&clock);
        let mut tail = Self { store, clock, filter, settled, newest: settled, shown: BTreeSet::new() };
        if let Some(last) = last {
            let before_last = earlier(last.ulid().timestamp_ms());
            tail.settled = settled.min(before_last);
        }
        tail.skip(last).await?;
        Ok(tail)
    }

    /// What came behind the newest: cheap, for when something was committed just now.
    pub(super) async fn newer(&mut self) -> Result<News, StoreError> {
        // With a filter that seldom matches the newest may be old, and nothing lies between it and `settled`.
        let unread = self.unread(self.newest.max(self.settled)).await?;
        self.show(unread).await
    }

    /// Everything that is new, late events included.
    pub(super) async fn all(&mut self) -> Result<News, StoreError> {
        // Taken before reading: what becomes visible while we read may be older than the time after it.
        let horizon = horizon(&self.clock);
        let unread = self.unread(self.settled).await?;
        let news = self.show(unread).await?;
        if horizon > self.settled {
            self.settled = horizon;
            self.shown = self.shown.split_off(&horizon);
        }
        Ok(news)
    }

    async fn show(&mut self, unread: Vec<Event>) -> Result<News, StoreError> {
        if unread.len() > MOST_BEHIND {
            self.settled = horizon(&self.clock);
            self.shown.clear();
            self.skip(None).await?;
            return Ok(News::TooMany(self.newest));
        }
        for event in &unread {
            self.shown.insert(event.id);
            self.newest = self.newest.max(event.id);
        }
        Ok(News::Events(unread))
    }

    /// Takes for shown what is visible after `settled`, up to `last` or to the end.
    async fn skip(&mut self, last: Option<EventId>) -> Result<(), StoreError> {
        self.newest = last.unwrap_or(self.settled);
        let mut after = self.settled;
        loop {
            let page = self.store.events_after(&self.filter, after, PAGE).await?;
            for event in page.iter().take_while(|event| last.is_none_or(|last| event.id <= last)) {
                self.shown.insert(event.id);
                self.newest = self.newest.max(event.id);
            }
            match page.last() {
                Some(end) if is_full(&page) && last.is_none_or(|last| end.id < last) => after = end.id,
                _ => return Ok(()),
            }
        }
    }

    /// What was not shown yet, and not much more than [`MOST_BEHIND`] of it.
    async fn unread(&self, mut after: EventId) -> Result<Vec<Event>, StoreError> {
        let mut unread = Vec::new();
        loop {
            let page = self.store.events_after(&self.filter, after, PAGE).await?;
            let full = is_full(&page);
            after = page.last().map_or(after, |event| event.id);
            unread.extend(page.into_iter().filter(|event| !self.shown.contains(&event.id)));
            if !full || unread.len() > MOST_BEHIND {
                return Ok(unread);
            }
        }
    }
}

fn is_full(page: &[Event]) -> bool {
    page.len() >= PAGE as usize
}

/// Behind this, nothing can appear any more.
fn horizon(clock: &Clock) -> EventId {
    earlier(u64::try_from(clock.now().as_millisecond()).unwrap_or(0))
}

/// The smallest id that is [`LATENESS`] older than a time.
fn earlier(milliseconds: u64) -> EventId {
    let lateness = u64::try_from(LATENESS.as_millis()).unwrap_or(u64::MAX);
    EventId::new(Ulid::from_parts(milliseconds.saturating_sub(lateness), 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{FakeStore, event_with_id};

    /// An id made so long before now.
    fn id(clock: &Clock, seconds_ago: u64) -> EventId {
        let now = u64::try_from(clock.now().as_millisecond()).unwrap();
        EventId::new(Ulid::from_parts(now - seconds_ago * 1000, clock.ulid().random()))
    }

    fn arrive(store: &FakeStore, clock: &Clock, seconds_ago: u64) -> EventId {
        let id = id(clock, seconds_ago);
        store.arrive(event_with_id(id));
        id
    }

    async fn tail(store: &Arc<FakeStore>, clock: &Clock, last: Option<EventId>) -> Tail {
        let store = Arc::clone(store) as Arc<dyn Store>;
        Tail::start(store, clock.clone(), EventFilter::default(), last).await.unwrap()
    }

    fn ids(news: Result<News, StoreError>) -> Vec<EventId> {
        let News::Events(events) = news.unwrap() else { panic!("too many") };
        events.iter().map(|event| event.id).collect()
    }

    #[tokio::test]
    async fn it_begins_behind_what_is_visible() {
        let (store, clock) = (Arc::new(FakeStore::default()), Clock::system());
        for seconds_ago in [3600, 4, 0] {
            arrive(&store, &clock, seconds_ago);
        }
        let mut tail = tail(&store, &clock, None).await;
        assert_eq!(ids(tail.all().await), []);
        clock.advance(Duration::from_secs(1));
        let new = arrive(&store, &clock, 0);
        assert_eq!(ids(tail.newer().await), [new]);
        assert_eq!(ids(tail.all().await), []);
    }

    #[tokio::test]
    async fn a_late_event_is_shown_once() {
        let (store, clock) = (Arc::new(FakeStore::default()), Clock::system());
        let mut tail = tail(&store, &clock, None).await;
        let new = arrive(&store, &clock, 0);
        assert_eq!(ids(tail.newer().await), [new]);
        let late = arrive(&store, &clock, 4);
        assert_eq!(ids(tail.newer().await), []);
        assert_eq!(ids(tail.all().await), [late]);
        clock.advance(Duration::from_secs(3));
        assert_eq!(ids(tail.all().await), []);
        clock.advance(Duration::from_mins(1));
        assert_eq!(ids(tail.all().await), []);
        assert!(tail.shown.is_empty(), "what is settled needs no memory");
    }

    #[tokio::test]
    async fn it_resumes_behind_the_last_event() {
        let (store, clock) = (Arc::new(FakeStore::default()), Clock::system());
        let events: Vec<_> = [600, 599, 598, 1].map(|ago| arrive(&store, &clock, ago)).into();
        let mut tail = tail(&store, &clock, Some(events[1])).await;
        assert_eq!(ids(tail.all().await), [events[2], events[3]]);
        assert_eq!(ids(tail.all().await), []);
    }

    #[tokio::test]
    async fn a_reader_too_far_behind_goes_on_from_now() {
        let (store, clock) = (Arc::new(FakeStore::default()), Clock::system());
        let last = arrive(&store, &clock, 3600);
        let mut missed: Vec<_> = (0..=MOST_BEHIND).map(|_| arrive(&store, &clock, 1)).collect();
        missed.sort_unstable();
        let mut tail = tail(&store, &clock, Some(last)).await;
        let News::TooMany(position) = tail.all().await.unwrap() else { panic!("these are too many") };
        assert_eq!(Some(&position), missed.last());
        assert_eq!(ids(tail.all().await), []);
        clock.advance(Duration::from_secs(1));
        let new = arrive(&store, &clock, 0);
        assert_eq!(ids(tail.all().await), [new]);
    }
}
