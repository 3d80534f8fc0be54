//! Events as they come, as server-sent events.
//!
//! A view, not a delivery mechanism: a reader that falls behind is told to fetch the list again. It resumes by
//! `Last-Event-ID`, which browsers send by themselves.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::document::refusals::{BadQuery, Unavailable};
use super::events;
use super::query::Query;
use super::tail::{News, Tail};
use crate::http::problem::Problem;
use crate::model::event::Event;
use crate::model::id::EventId;
use crate::store::query::EventFilter;

/// How often everything is looked for: other instances commit too, and events may be late.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long commits of this process are gathered before looking: groups are committed hundreds of times a second.
const GATHER: Duration = Duration::from_millis(100);
/// How often a silent stream says that it lives. Proxies commonly cut what is silent for 30 to 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The header by which a reader says what it saw last.
const LAST_EVENT_ID: &str = "last-event-id";

pub(super) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default().routes(routes!(stream))
}

/// Events as they come, as server-sent events.
///
/// Each has the event's id as `id`, its type as `event`, and the event as `data`. A reader that falls too far behind gets one
/// called `refetch`, and should fetch the list before it reads on. It is a view, not a delivery mechanism.
#[utoipa::path(
    get,
    path = "/api/v1/events/stream",
    operation_id = "stream_events",
    tag = "events",
    params(
        EventFilter,
        ("Last-Event-ID" = Option<EventId>, Header, description = "The last event that was seen: the stream goes on behind it."),
    ),
    responses(
        (status = 200, description = "A stream that does not end.", body = String, content_type = "text/event-stream"),
        BadQuery,
        Unavailable,
    ),
)]
async fn stream(State(state): State<AdminState>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    let mut query = Query::read(&uri)?;
    let filter = events::filter(&mut query)?;
    query.finish()?;
    let last = last_event_id(&headers)?;
    let tail = Tail::start(state.store, state.clock, filter, last).await?;
    let frames = frames(Feed::new(tail, state.committed)).take_until(state.shutdown.cancelled_owned());
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    // Proxies that gather answers before passing them on are asked not to.
    Ok(([("x-accel-buffering", "no")], Sse::new(frames).keep_alive(keep_alive)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(EventId::parse);
    id.map(Some).ok_or_else(|| Problem::parameter("Last-Event-ID", "the id of an event"))
}

fn frames(feed: Feed) -> impl Stream<Item = Result<Frame, Infallible>> + Send + 'static {
    stream::unfold(feed, |mut feed| async move {
        let frame = feed.next().await;
        Some((Ok(frame), feed))
    })
}

/// One reader's stream. Nothing is looked for while the reader has not taken what is waiting.
struct Feed {
    tail: Tail,
    committed: watch::Receiver<u64>,
    looks: Interval,
    waiting: VecDeque<Frame>,
    failing: bool,
}

/// Why it is time to look.
enum Wake {
    Committed,
    Due,
}

impl Feed {
    fn new(tail: Tail, committed: watch::Receiver<u64>) -> Self {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { tail, committed, looks, waiting: VecDeque::new(), failing: false }
    }

    async fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return frame;
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let news = match self.wake().await {
            Wake::Committed => self.tail.newer().await,
            Wake::Due => self.tail.all().await,
        };
        if let Err(error) = &news
            && !self.failing
        {
            // Said once per outage; the next look tries again.
            tracing::warn!(%error, "a stream of events cannot be continued yet");
        }
        self.failing = news.is_err();
        match news {
            Ok(News::Events(events)) => self.waiting.extend(events.iter().filter_map(frame)),
            Ok(News::TooMany(position)) => self.waiting.push_back(refetch(position)),
            Err(_) => {}
        }
    }

    async fn wake(&mut self) -> Wake {
        let committed = async {
            if self.committed.changed().await.is_err() {
                // Nobody commits here any more.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            _ = self.looks.tick() => Wake::Due,
            () = committed => Wake::Committed,
        }
    }
}

fn frame(event: &Event) -> Option<Frame> {
    let frame = Frame::default().id(event.id.to_string()).event(event.event_type().as_str());
    let frame = frame.json_data(event);
    if frame.is_err() {
        tracing::error!(event.id = %event.id, "an event does not serialize");
    }
    frame.ok()
}

/// Its id lets the reader resume behind what it was told to fetch.
fn refetch(position: EventId) -> Frame {
    let data = json!({ "detail": "too far behind; fetch the list of events, then go on reading" });
    Frame::default().id(position.to_string()).event("refetch").data(data.to_string())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, BodyDataStream};
    use axum::http::Request;
    use futures_util::FutureExt as _;
    use serde_json::Value;

    use super::*;
    use crate::http::testing::{Admin, admin, assert_refused, call, event_with_id, get, header};

    const PATH: &str = "/api/v1/events/stream";

    struct Reader {
        body: BodyDataStream,
    }

    impl Reader {
        async fn open(admin: &Admin, request: Request<Body>) -> Self {
            let response = call(&admin.router, request).await;
            assert_eq!(header(&response, "content-type"), "text/event-stream");
            Self { body: response.into_body().into_data_stream() }
        }

        /// The next frame as text, or nothing at the stream's end.
        async fn next(&mut self) -> Option<String> {
            let chunk = self.body.next().await?.unwrap();
            Some(String::from_utf8(chunk.to_vec()).unwrap())
        }
    }

    fn arrive(admin: &Admin) -> EventId {
        let id = EventId::new(admin.clock.ulid());
        admin.store.arrive(event_with_id(id));
        id
    }

    #[tokio::test(start_paused = true)]
    async fn new_events_are_shown_as_everywhere() {
        let admin = admin(|_| {});
        arrive(&admin);
        let mut reader = Reader::open(&admin, get(PATH)).await;
        let id = arrive(&admin);
        let frame = reader.next().await.unwrap();
        let lines: Vec<_> = frame.lines().collect();
        assert_eq!(lines[..2], [format!("id: {id}"), "event: message.received".to_owned()]);
        let data: Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data, serde_json::to_value(event_with_id(id)).unwrap());
        assert!(reader.next().await.unwrap().starts_with(':'), "then it only says that it lives");
    }

    #[tokio::test(start_paused = true)]
    async fn it_resumes_by_the_last_event_id() {
        let admin = admin(|_| {});
        let first = arrive(&admin);
        admin.clock.advance(Duration::from_secs(1));
        let second = arrive(&admin);
        let mut request = get(PATH);
        request.headers_mut().insert(LAST_EVENT_ID, first.to_string().parse().unwrap());
        let mut reader = Reader::open(&admin, request).await;
        assert!(reader.next().await.unwrap().contains(&second.to_string()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_wakes_it() {
        let admin = admin(|_| {});
        let mut reader = Reader::open(&admin, get(PATH)).await;
        assert!(reader.next().now_or_never().is_none(), "the first look finds nothing");
        let id = arrive(&admin);
        admin.committed.send(1).unwrap();
        let frame = tokio::time::timeout(GATHER * 2, reader.next()).await.unwrap().unwrap();
        assert!(frame.contains(&id.to_string()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_far_behind_is_told_to_refetch() {
        let admin = admin(|_| {});
        let last = arrive(&admin);
        admin.clock.advance(Duration::from_secs(1));
        let newest = (0..1_001).map(|_| arrive(&admin)).max().unwrap();
        let mut request = get(PATH);
        request.headers_mut().insert(LAST_EVENT_ID, last.to_string().parse().unwrap());
        let frame = Reader::open(&admin, request).await.next().await.unwrap();
        assert!(frame.starts_with(&format!("id: {newest}\nevent: refetch\ndata: {{")), "{frame}");
    }

    #[tokio::test]
    async fn it_ends_with_the_service() {
        let admin = admin(|_| {});
        let mut reader = Reader::open(&admin, get(PATH)).await;
        admin.shutdown.cancel();
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn it_takes_the_filters_of_the_list_and_nothing_else() {
        let admin = admin(|_| {});
        Reader::open(&admin, get(&format!("{PATH}?account=shop"))).await;
        let filter = admin.store.event_filter.lock().unwrap().clone().unwrap();
        assert_eq!(filter.account.as_deref(), Some("shop"));
        for (query, parameter) in
            [("limit=1", "limit"), ("type=x", "type"), ("last_event_id=7", "last_event_id")]
        {
            let response = call(&admin.router, get(&format!("{PATH}?{query}"))).await;
            assert_eq!(assert_refused(response, 400).await["parameter"], parameter);
        }
        let mut request = get(PATH);
        request.headers_mut().insert(LAST_EVENT_ID, "7".parse().unwrap());
        let problem = assert_refused(call(&admin.router, request).await, 400).await;
        assert_eq!(problem["parameter"], "Last-Event-ID");
    }
}
