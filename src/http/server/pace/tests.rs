//! Connections on which too little happens, in time that is moved rather than waited for.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tower::{Service as _, service_fn};

use super::*;
use crate::http::server::requests::Noted;
use crate::http::server::slots::Slots;
use crate::telemetry::Metrics;

const HEAD: Duration = Duration::from_secs(10);

struct Line {
    server: Paced<DuplexStream>,
    client: DuplexStream,
    requests: Arc<Requests>,
    metrics: Arc<Metrics>,
}

/// Both ends of a connection that takes eight bytes before somebody reads them.
fn line(head: Option<Duration>) -> Line {
    let metrics = Arc::new(Metrics::new());
    let slot = Slots::new("public", 1, Arc::clone(&metrics)).take();
    let requests = Arc::new(Requests::new(slot));
    let (server, client) = tokio::io::duplex(8);
    let server = Paced::new(server, Arc::clone(&requests)).with_deadline(head);
    Line { server, client, requests, metrics }
}

impl Line {
    fn was_cut(&self, reason: &str) -> bool {
        let line = format!("switchboard_cut_connections_total{{listener=\"public\",reason=\"{reason}\"}} 1");
        self.metrics.render(&[]).unwrap().contains(&line)
    }

    /// Reads to the end, and says how long that took.
    async fn end(&mut self) -> Duration {
        let started = tokio::time::sleep(Duration::ZERO).deadline();
        self.server.read_to_end(&mut Vec::new()).await.unwrap();
        tokio::time::sleep(Duration::ZERO).deadline() - started
    }

    /// A request that is answered after this time.
    fn request(&self, takes: Duration) -> impl Future<Output = ()> + use<> {
        let slow = service_fn(move |()| async move {
            tokio::time::sleep(takes).await;
            Ok::<_, io::Error>(())
        });
        let answer = Noted::new(slow, Arc::clone(&self.requests)).call(());
        async { answer.await.unwrap() }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_idle() {
    let mut line = line(Some(HEAD));
    assert_eq!(line.end().await, IDLE);
    assert!(line.was_cut("idle"));
    assert_eq!(line.end().await, Duration::ZERO, "it stays over");
    assert!(line.server.write_all(b"x").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_head_has_its_time_from_its_first_byte() {
    let mut line = line(Some(HEAD));
    tokio::time::sleep(Duration::from_mins(1)).await;
    line.client.write_all(b"POST").await.unwrap();
    assert_eq!(line.end().await, HEAD);
    assert!(line.was_cut("slow"));
}

/// Their clients answer pings, for as long as they like.
#[tokio::test(start_paused = true)]
async fn on_http_2_only_requests_count() {
    let mut line = line(None);
    let (server, client) = (&mut line.server, &mut line.client);
    let pings = async {
        loop {
            tokio::time::sleep(Duration::from_secs(20)).await;
            client.write_all(b"pong").await.unwrap();
        }
    };
    let end = async { server.read_to_end(&mut Vec::new()).await.unwrap() };
    let twelve = tokio::select! {
        read = end => read,
        () = pings => unreachable!("it never ends"),
    };
    assert_eq!(twelve, 12, "three answers came before the end");
    assert!(line.was_cut("idle"));
}

#[tokio::test(start_paused = true)]
async fn a_request_may_take_its_time_and_the_rest_begins_after_it() {
    let mut line = line(Some(HEAD));
    let long = IDLE * 3;
    let answered = tokio::spawn(line.request(long));
    line.client.write_all(b"more").await.unwrap();
    let took = line.end().await;
    // Nobody but the timer looks at this line, and it looks every `IDLE`.
    assert!(took > long && took <= long + 2 * IDLE, "{took:?}");
    answered.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_its_answer_is_given_up() {
    let mut line = line(Some(HEAD));
    line.request(Duration::ZERO).await;
    let refused = line.server.write_all(b"longer than eight").await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    assert!(line.was_cut("idle"));
}
