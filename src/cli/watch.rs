//! Events as they come: the server's stream, followed over every connection that breaks.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Deserialize;

use super::admin::{Admin, Query};
use super::backoff::doubling;
use super::problem::AdminError;
use super::sse::{Frame, Reader};
use super::terminal::Terminal;

/// How long to wait before the first try to connect again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The position before every event.
const BEFORE_ALL: &str = "00000000000000000000000000";
/// What to say where the server left something out, since we were too far behind.
const LEFT_OUT: &str = "some events were left out here; `switchboard events list` shows them";

/// A watch on the stream of events.
#[derive(Debug)]
pub struct Watch<'a> {
    admin: &'a Admin,
    query: Query,
    /// Where the first connection begins.
    start: String,
    /// How long to wait before the first try to connect again.
    first_pause: Duration,
}

/// One event of the stream.
#[derive(Debug)]
pub struct Arrived {
    /// Its id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// The account it was delivered to.
    pub account: String,
    /// Its JSON, in the server's own spelling.
    pub json: String,
}

/// What every event has.
#[derive(Deserialize)]
struct Named {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    account: String,
}

/// A row of a list, of which only the id matters.
#[derive(Deserialize)]
struct Numbered {
    id: String,
}

/// How far a watch has come, over all its connections.
#[derive(Debug)]
struct Progress {
    last: String,
    connected: bool,
    moved: bool,
}

impl<'a> Watch<'a> {
    /// A watch that begins behind the newest event there is. From here on nothing is missed, even if the first connection
    /// breaks before it has brought an event.
    pub async fn begin(admin: &'a Admin, query: Query) -> Result<Self, AdminError> {
        let page = admin.page(&["events"], &Query::new(), 1, None).await?;
        let start = match page.data.first() {
            Some(newest) => admin.read::<Numbered>(newest)?.id,
            None => BEFORE_ALL.to_owned(),
        };
        Ok(Self { admin, query, start, first_pause: FIRST_PAUSE })
    }

    /// The same watch, with another first wait before it connects again.
    #[cfg(test)]
    #[must_use]
    pub fn with_first_pause(self, first_pause: Duration) -> Self {
        Self { first_pause, ..self }
    }

    /// Hands events over one at a time, in the order of the stream, until `stop` is done or `take` fails. A connection that
    /// breaks is made again and goes on after the last event that was taken; only the first one must succeed.
    pub async fn run(
        &self,
        stop: impl Future<Output = ()>,
        take: impl AsyncFnMut(&Arrived, &mut Terminal<'_>) -> anyhow::Result<()>,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        tokio::select! {
            biased;
            () = stop => Ok(()),
            ended = self.watch(take, terminal) => ended,
        }
    }

    async fn watch(
        &self,
        mut take: impl AsyncFnMut(&Arrived, &mut Terminal<'_>) -> anyhow::Result<()>,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let mut progress = Progress { last: self.start.clone(), connected: false, moved: false };
        let mut pauses = doubling(self.first_pause);
        loop {
            match self.follow(&mut progress, &mut take, terminal).await {
                Ok(()) => {}
                Err(error) if progress.connected && is_passing(&error) => {
                    terminal.hint(&format!("{error:#}; trying again"))?;
                }
                Err(error) => return Err(error),
            }
            if std::mem::take(&mut progress.moved) {
                pauses = doubling(self.first_pause);
            }
            tokio::time::sleep(pauses.next().unwrap_or(self.first_pause)).await;
        }
    }

    /// Hands over what one connection brings.
    async fn follow(
        &self,
        progress: &mut Progress,
        take: &mut impl AsyncFnMut(&Arrived, &mut Terminal<'_>) -> anyhow::Result<()>,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let path = ["events", "stream"];
        let response = self.admin.stream(&path, &self.query, &progress.last).await?;
        progress.connected = true;
        let mut pieces = response.bytes_stream();
        let mut reader = Reader::default();
        while let Some(piece) = pieces.next().await {
            for frame in reader.push(&piece.map_err(|error| self.admin.broken(error))?)? {
                let position = frame.id.clone();
                match Arrived::read(frame) {
                    Some(event) => take(&event, terminal).await?,
                    None => terminal.hint(LEFT_OUT)?,
                }
                if let Some(position) = position {
                    progress.last = position;
                }
                progress.moved = true;
            }
        }
        Ok(())
    }
}

impl Arrived {
    /// Nothing when the frame is no event but the server's word that some were left out.
    fn read(frame: Frame) -> Option<Self> {
        let Named { id, event_type, account } = serde_json::from_str(&frame.data).ok()?;
        Some(Self { id, event_type, account, json: frame.data })
    }
}

/// Whether trying again may help.
fn is_passing(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(AdminError::is_passing)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::testing::{Captured, answers};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;
    use wiremock::matchers::{header, path};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    /// One event of a stream.
    pub(in crate::cli) fn event(id: &str, text: &str) -> String {
        event_of("default", id, text)
    }

    /// One event of an account's.
    pub(in crate::cli) fn event_of(account: &str, id: &str, text: &str) -> String {
        let event = serde_json::json!({"id": id, "type": "message.received", "account": account, "received_at": "2026-01-01T00:00:00Z",
            "customer": {"phone": "+15550100001"}, "business": {"id": "+15550100002"}, "content": {"text": text}});
        format!("id: {id}\ndata: {event}\n\n")
    }

    /// One connection's answer.
    pub(in crate::cli) fn stream(body: impl Into<String>) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_string(body)
    }

    /// Answers one connection after the other; the next one after them is told by the notice.
    pub(in crate::cli) async fn streams(connections: Vec<ResponseTemplate>) -> (MockServer, Arc<Notify>) {
        let server = MockServer::start().await;
        let (count, done) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let asked = Arc::clone(&done);
        let answer = move |_: &Request| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            connections.get(number).cloned().unwrap_or_else(|| {
                asked.notify_one();
                ResponseTemplate::new(503)
            })
        };
        let mock = Mock::given(path("/api/v1/events/stream")).and(header("authorization", "Bearer token-1"));
        mock.respond_with(answer).mount(&server).await;
        answers(&server, "/api/v1/events?limit=1", &serde_json::json!({"data": [], "next": null})).await;
        (server, done)
    }

    /// The positions that streams were asked for.
    async fn asked_behind(server: &MockServer) -> Vec<String> {
        let asked = server.received_requests().await.unwrap();
        let position = |request: &Request| request.headers.get("last-event-id").cloned();
        asked.iter().filter_map(position).map(|position| position.to_str().unwrap().to_owned()).collect()
    }

    /// The ids that were taken, and what was said beside them.
    async fn watch(answers: Vec<ResponseTemplate>) -> (anyhow::Result<Vec<String>>, Captured, MockServer) {
        let (server, done) = streams(answers).await;
        let admin = Admin::new(&server.uri(), "token-1".into()).unwrap();
        let watch = Watch::begin(&admin, Query::new()).await.unwrap().with_first_pause(Duration::ZERO);
        let (mut taken, mut captured) = (Vec::new(), Captured::default());
        let take = async |event: &Arrived, _: &mut Terminal<'_>| {
            taken.push(event.id.clone());
            Ok(())
        };
        let ended = watch.run(done.notified(), take, &mut captured.terminal()).await;
        (ended.map(|()| taken), captured, server)
    }

    #[tokio::test]
    async fn a_broken_stream_goes_on_after_the_last_event() {
        let first = format!(": hello\n\n{}{}", event("01E1", "hi"), event("01E2", "there"));
        let (taken, _, server) = watch(vec![stream(first), stream(event("01E3", "bye"))]).await;
        assert_eq!(taken.unwrap(), ["01E1", "01E2", "01E3"]);
        assert_eq!(asked_behind(&server).await[..3], [BEFORE_ALL, "01E2", "01E3"]);
    }

    #[tokio::test]
    async fn what_comes_while_the_first_connection_is_broken_is_not_missed() {
        let server = MockServer::start().await;
        let newest = serde_json::json!({"data": [{"id": "01E7"}], "next": "c1"});
        answers(&server, "/api/v1/events?limit=1", &newest).await;
        let streams = Mock::given(path("/api/v1/events/stream"));
        streams.respond_with(stream("")).up_to_n_times(1).mount(&server).await;
        let refused = Mock::given(path("/api/v1/events/stream"));
        refused.respond_with(ResponseTemplate::new(401)).mount(&server).await;
        let admin = Admin::new(&server.uri(), "token-1".into()).unwrap();
        let watch = Watch::begin(&admin, Query::new()).await.unwrap().with_first_pause(Duration::ZERO);
        let take = async |_: &Arrived, _: &mut Terminal<'_>| Ok(());
        watch.run(std::future::pending(), take, &mut Captured::default().terminal()).await.unwrap_err();
        assert_eq!(asked_behind(&server).await, ["01E7", "01E7"]);
    }

    #[tokio::test]
    async fn a_slow_reader_hears_that_something_is_missing() {
        let (taken, printed, _) = watch(vec![stream("event: refetch\ndata: {}\n\n")]).await;
        assert!(taken.unwrap().is_empty());
        assert!(printed.err().starts_with("some events were left out here"), "{}", printed.err());
    }

    #[tokio::test]
    async fn an_event_with_strange_callback_data_is_not_left_out() {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        let frame = format!(
            r#"data: {{"id": "01E1", "type": "message.read", "account": "default", "callback_data": {deep}}}"#
        );
        let (taken, _, _) = watch(vec![stream(format!("{frame}\n\n"))]).await;
        assert_eq!(taken.unwrap(), ["01E1"]);
    }

    #[tokio::test]
    async fn a_server_that_never_let_us_in_is_an_error() {
        let (taken, _, _) = watch(vec![ResponseTemplate::new(503)]).await;
        assert_eq!(taken.unwrap_err().to_string(), "503 service unavailable");
        let (taken, _, _) = watch(vec![stream(""), ResponseTemplate::new(401)]).await;
        assert_eq!(taken.unwrap_err().to_string(), "401 unauthorized");
    }
}
