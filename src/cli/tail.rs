//! `switchboard events tail`: events as they come.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::admin::{Admin, Query};
use super::events::cells;
use super::problem::AdminError;
use super::sse::{Frame, Reader};
use super::table::aligned;
use super::terminal::{Terminal, clean};

/// How long to wait before the first try to connect again; each further one doubles it.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No wait is longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The widths of an event's cells, known beforehand since rows come one by one: ids, times, the longest type, numbers.
const WIDTHS: [usize; 6] = [26, 24, 17, 16, 16, 0];

/// A watch on the stream of events.
#[derive(Debug)]
pub struct Tail<'a> {
    /// The server.
    pub admin: &'a Admin,
    /// Which events.
    pub query: Query,
    /// Print JSON.
    pub json: bool,
    /// How long to wait before the first try to connect again.
    pub first_pause: Duration,
}

/// How far a watch has come, over all its connections.
#[derive(Debug, Default)]
struct Progress {
    last: Option<String>,
    connected: bool,
    failures: u32,
}

impl Tail<'_> {
    /// Prints events until `stop` is done. A connection that breaks is made again and goes on after the last event; only
    /// the first one must succeed.
    pub async fn run(
        &self,
        stop: impl Future<Output = ()>,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        tokio::select! {
            biased;
            () = stop => Ok(()),
            ended = self.watch(terminal) => ended,
        }
    }

    async fn watch(&self, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        let mut progress = Progress::default();
        loop {
            match self.follow(&mut progress, terminal).await {
                Ok(()) => {}
                Err(error) if progress.connected && is_passing(&error) => {
                    terminal.hint(&format!("{error:#}; trying again"))?;
                }
                Err(error) => return Err(error),
            }
            let pause = self.first_pause.saturating_mul(2_u32.saturating_pow(progress.failures));
            progress.failures = progress.failures.saturating_add(1);
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }

    /// Prints what one connection brings.
    async fn follow(&self, progress: &mut Progress, terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        let path = ["events", "stream"];
        let response = self.admin.stream(&path, &self.query, progress.last.as_deref()).await?;
        progress.connected = true;
        let mut pieces = response.bytes_stream();
        let mut reader = Reader::default();
        while let Some(piece) = pieces.next().await {
            for frame in reader.push(&piece.map_err(|error| self.admin.broken(error))?)? {
                self.print(&frame, terminal)?;
                progress.last = frame.id.or(progress.last.take());
                progress.failures = 0;
            }
        }
        Ok(())
    }

    fn print(&self, frame: &Frame, terminal: &mut Terminal<'_>) -> std::io::Result<()> {
        let event: Value = serde_json::from_str(&frame.data).unwrap_or_default();
        if event.get("id").is_none() || event.get("type").is_none() {
            return terminal.hint("some events were left out here; `switchboard events list` shows them");
        }
        if self.json {
            return terminal.json(&frame.data);
        }
        terminal.line(&aligned(&cells(&event).map(|cell| clean(&cell)), &WIDTHS))
    }
}

/// Whether trying again may help: the server is restarting, or the way to it is broken.
fn is_passing(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(AdminError::Unreachable { .. } | AdminError::Interrupted { .. }) => true,
        Some(AdminError::Refused(problem)) => problem.status.is_server_error(),
        Some(AdminError::Strange { .. }) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Captured;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;
    use wiremock::matchers::{header, path};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    fn event(id: &str, text: &str) -> String {
        let event = serde_json::json!({"id": id, "type": "message.received", "received_at": "2026-01-01T00:00:00Z",
            "customer": {"phone": "+15550100001"}, "business": {"id": "+15550100002"}, "content": {"text": text}});
        format!("id: {id}\ndata: {event}\n\n")
    }

    /// Answers one connection after the other, then ends the watch at the next one.
    async fn watch(answers: Vec<ResponseTemplate>, json: bool) -> (anyhow::Result<()>, Captured, MockServer) {
        let server = MockServer::start().await;
        let (count, done) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let asked = Arc::clone(&done);
        let answer = move |_: &Request| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            answers.get(number).cloned().unwrap_or_else(|| {
                asked.notify_one();
                ResponseTemplate::new(503)
            })
        };
        let mock = Mock::given(path("/api/v1/events/stream")).and(header("authorization", "Bearer token-1"));
        mock.respond_with(answer).mount(&server).await;
        let admin = Admin::new(&server.uri(), "token-1".into()).unwrap();
        let tail = Tail { admin: &admin, query: Query::new(), json, first_pause: Duration::ZERO };
        let mut captured = Captured::default();
        let ended = tail.run(done.notified(), &mut captured.terminal()).await;
        (ended, captured, server)
    }

    fn stream(body: impl Into<String>) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_string(body)
    }

    #[tokio::test]
    async fn a_broken_stream_goes_on_after_the_last_event() {
        let first = format!(": hello\n\n{}{}", event("01E1", "hi"), event("01E2", "a\u{1b}[2Jb"));
        let (ended, printed, server) = watch(vec![stream(first), stream(event("01E3", "bye"))], false).await;
        ended.unwrap();
        insta::assert_snapshot!(printed.out(), @r"
        01E1                        2026-01-01T00:00:00Z      message.received   +15550100001      +15550100002      hi
        01E2                        2026-01-01T00:00:00Z      message.received   +15550100001      +15550100002      a[2Jb
        01E3                        2026-01-01T00:00:00Z      message.received   +15550100001      +15550100002      bye
        ");
        let asked = server.received_requests().await.unwrap();
        let last: Vec<_> = asked.iter().take(3).map(|request| request.headers.get("last-event-id")).collect();
        assert_eq!(last[0], None);
        assert_eq!(last[1].unwrap(), "01E2");
        assert_eq!(last[2].unwrap(), "01E3");
    }

    #[tokio::test]
    async fn json_is_one_event_a_line() {
        let (ended, printed, _) = watch(vec![stream(event("01E1", "hi"))], true).await;
        ended.unwrap();
        assert_eq!(printed.out(), event("01E1", "hi").split_once("data: ").unwrap().1.replace("\n\n", "\n"));
    }

    #[tokio::test]
    async fn a_slow_reader_hears_that_something_is_missing() {
        let (ended, printed, _) = watch(vec![stream("event: refetch\ndata: {}\n\n")], false).await;
        ended.unwrap();
        assert_eq!(printed.out(), "");
        assert!(printed.err().starts_with("some events were left out here"), "{}", printed.err());
    }

    #[tokio::test]
    async fn a_server_that_never_let_us_in_is_an_error() {
        let (ended, _, _) = watch(vec![ResponseTemplate::new(503)], false).await;
        assert_eq!(ended.unwrap_err().to_string(), "503 service unavailable");
        let (ended, _, _) = watch(vec![stream(""), ResponseTemplate::new(401)], false).await;
        assert_eq!(ended.unwrap_err().to_string(), "401 unauthorized");
    }
}
