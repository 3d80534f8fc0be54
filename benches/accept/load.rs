//! The load: connections that each keep one signed delivery under way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::webhooks::sign;

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Deliveries answered 200, per second.
    pub(crate) rate: f64,
    /// The median latency in milliseconds.
    #[allow(dead_code, reason = "one of the benchmarks that share this file does not read it")]
    pub(crate) p50: f64,
    /// The 99th percentile in milliseconds.
    pub(crate) p99: f64,
}

/// Numbers the deliveries over all runs, so that none repeats another.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Posts over so many connections for so long.
pub(crate) async fn run(address: SocketAddr, connections: usize, length: Duration) -> Run {
    spread(&[address], connections, length).await
}

/// Posts over so many connections for so long, shared out evenly among the addresses.
pub(crate) async fn spread(addresses: &[SocketAddr], connections: usize, length: Duration) -> Run {
    let started = now();
    let end = started + length;
    let mut posting = JoinSet::new();
    for address in addresses.iter().cycle().take(connections) {
        posting.spawn(post_until(*address, end));
    }
    let mut latencies: Vec<Duration> = posting.join_all().await.into_iter().flatten().collect();
    let answered = latencies.len();
    figures(&mut latencies, answered, started.elapsed())
}

/// Posts so many a second for so long, each when its time has come whether or not an earlier one was answered, and counts from
/// that time.
#[allow(dead_code, reason = "one of the benchmarks that share this file does not")]
pub(crate) async fn paced(address: SocketAddr, per_second: usize, length: Duration) -> Run {
    let started = now();
    let connections = u32::try_from(PACED_CONNECTIONS).unwrap();
    let every = Duration::from_secs(1) * connections / u32::try_from(per_second).unwrap();
    let mut posting = JoinSet::new();
    for connection in 0..PACED_CONNECTIONS {
        // They take turns.
        let first = started + every * u32::try_from(connection).unwrap() / connections;
        posting.spawn(post_every(address, first, every, started + length));
    }
    let mut latencies: Vec<Duration> = posting.join_all().await.into_iter().flatten().collect();
    let answered = latencies.len();
    figures(&mut latencies, answered, started.elapsed())
}

/// Connections that share a pace: more than are ever under way at a time.
const PACED_CONNECTIONS: usize = 16;

async fn post_every(address: SocketAddr, first: Instant, every: Duration, end: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut latencies, mut answer, mut due) = (Vec::new(), [0_u8; 2048], first);
    while due < end {
        tokio::time::sleep_until(due.into()).await;
        let request = request(&next_body());
        stream.write_all(&request).await.unwrap();
        read_answer(&mut stream, &mut answer).await;
        latencies.push(due.elapsed());
        due += every;
    }
    latencies
}

/// What so many events in so much time come to.
pub(crate) fn figures(latencies: &mut [Duration], events: usize, took: Duration) -> Run {
    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a few million are exact in an f64")]
    let rate = events as f64 / took.as_secs_f64();
    Run { rate, p50: at(50).as_secs_f64() * 1000.0, p99: at(99).as_secs_f64() * 1000.0 }
}

async fn post_until(address: SocketAddr, end: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut latencies = Vec::new();
    let mut answer = [0_u8; 2048];
    while now() < end {
        let request = request(&next_body());
        let began = now();
        stream.write_all(&request).await.unwrap();
        read_answer(&mut stream, &mut answer).await;
        latencies.push(began.elapsed());
    }
    latencies
}

fn request(body: &str) -> Vec<u8> {
    let signature = sign(body.as_bytes());
    format!(
        "POST /webhooks/connectly HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain; charset=utf-8\r\n\
         x-connectly-hmac-sha256: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A body that nobody posted before: about 640 bytes, as an inbound text with callback data is, from one of 10,000 customers.
pub(crate) fn next_body() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (customer, salt) = (number % 10_000, std::process::id());
    let text = "Hello, I would like to know where my order is. ".repeat(6);
    format!(
        r#"{{"timestamp":"1767225600","sender":{{"id":"+1555{customer:07}","channelType":"whatsapp","name":"Ana"}},"recipient":{{"id":"+15550100002","channelType":"whatsapp","name":"Shop"}},"callbackData":{{"order_id":"{number}"}},"message":{{"id":"{salt}-{number}","text":"{text}","attachments":[],"location":null}}}}"#
    )
}

/// Reads one answer to its end; anything but a 200 ends the measurement.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the connection was closed");
        filled += read;
        let text = std::str::from_utf8(&buffer[..filled]).unwrap();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if rest.len() >= length.parse().unwrap() {
            return;
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the time")]
fn now() -> Instant {
    Instant::now()
}
