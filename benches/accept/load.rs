//! The load: connections that each keep one signed delivery under way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use ulid::Ulid;

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
    spread(&[address], connections, length, next_body).await
}

/// Posts such bodies over so many connections for so long, shared out evenly among the addresses.
pub(crate) async fn spread(
    addresses: &[SocketAddr],
    connections: usize,
    length: Duration,
    body: fn() -> String,
) -> Run {
    let started = now();
    let end = started + length;
    let mut posting = JoinSet::new();
    for address in addresses.iter().cycle().take(connections) {
        posting.spawn(post_until(*address, end, body));
    }
    let mut latencies: Vec<Duration> = posting.join_all().await.into_iter().flatten().collect();
    let answered = latencies.len();
    figures(&mut latencies, answered, started.elapsed())
}

/// Posts so many a second for so long, each when its time has come whether or not an earlier one was answered, and counts from
/// that time.
#[allow(dead_code, reason = "one of the benchmarks that share this file does not")]
pub(crate) async fn paced(address: SocketAddr, per_second: usize, length: Duration) -> Run {
    let offered = paced_or_refused(address, per_second, length).await;
    assert!(offered.refused == 0, "{} were refused", offered.refused);
    offered.taken
}

/// The same to a service that may refuse some.
#[allow(dead_code, reason = "one of the benchmarks that share this file does not")]
pub(crate) async fn paced_or_refused(address: SocketAddr, per_second: usize, length: Duration) -> Offered {
    let connections = (per_second / POSTS_OF_A_PACED_CONNECTION).max(FEWEST_PACED_CONNECTIONS);
    offered(address, per_second, connections, length).await
}

/// What a load came to of which some may be refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offered {
    /// Those answered 200, and how soon.
    pub(crate) taken: Run,
    /// Deliveries answered 503.
    pub(crate) refused: usize,
    /// How long all of it took.
    #[allow(dead_code, reason = "one of the benchmarks that share this file does not read it")]
    pub(crate) took: Duration,
}

/// The same over so many connections.
#[allow(dead_code, reason = "one of the benchmarks that share this file does not")]
pub(crate) async fn offered(
    address: SocketAddr,
    per_second: usize,
    connections: usize,
    length: Duration,
) -> Offered {
    let share = |count: usize| u32::try_from(count).unwrap();
    let every = Duration::from_secs(1) * share(connections) / share(per_second);
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        streams.push(TcpStream::connect(address).await.unwrap());
    }
    let started = now();
    let mut posting = JoinSet::new();
    for (connection, stream) in streams.into_iter().enumerate() {
        // They take turns.
        let first = started + every * share(connection) / share(connections);
        posting.spawn(post_every(stream, first, every, started + length));
    }
    let answers: Vec<(u16, Duration)> = posting.join_all().await.into_iter().flatten().collect();
    let took = started.elapsed();
    let mut latencies: Vec<Duration> = of_status(&answers, 200).collect();
    let taken = latencies.len();
    let refused = of_status(&answers, 503).count();
    Offered { taken: figures(&mut latencies, taken, took), refused, took }
}

fn of_status(answers: &[(u16, Duration)], status: u16) -> impl Iterator<Item = Duration> {
    answers.iter().filter(move |(answered, _)| *answered == status).map(|(_, took)| *took)
}

/// How many a second a paced connection posts at most: an answer that takes longer than its turn holds up the next.
const POSTS_OF_A_PACED_CONNECTION: usize = 20;
/// For slow paces: more than are ever under way at a time.
const FEWEST_PACED_CONNECTIONS: usize = 16;

async fn post_every(
    mut stream: TcpStream,
    first: Instant,
    every: Duration,
    end: Instant,
) -> Vec<(u16, Duration)> {
    stream.set_nodelay(true).unwrap();
    let (mut answers, mut answer, mut due) = (Vec::new(), [0_u8; 2048], first);
    while due < end {
        tokio::time::sleep_until(due.into()).await;
        let request = request(&next_body());
        stream.write_all(&request).await.unwrap();
        let status = read_answer(&mut stream, &mut answer).await;
        assert!([200, 503].contains(&status), "{status}");
        answers.push((status, due.elapsed()));
        due += every;
    }
    answers
}

/// What so many events in so much time come to.
pub(crate) fn figures(latencies: &mut [Duration], events: usize, took: Duration) -> Run {
    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or_default();
    let rate = per_second_of(events, took);
    Run { rate, p50: at(50).as_secs_f64() * 1000.0, p99: at(99).as_secs_f64() * 1000.0 }
}

pub(crate) fn per_second_of(events: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few million are exact in an f64")]
    let events = events as f64;
    events / took.as_secs_f64()
}

async fn post_until(address: SocketAddr, end: Instant, body: fn() -> String) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut latencies = Vec::new();
    let mut answer = [0_u8; 2048];
    while now() < end {
        let request = request(&body());
        let began = now();
        stream.write_all(&request).await.unwrap();
        assert_eq!(read_answer(&mut stream, &mut answer).await, 200);
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

/// A body that nobody posted before: about 650 bytes, as an inbound text with callback data is, written just now by one of
/// 10,000 customers. Its text begins with its number. Its message's id is a ULID of that moment, as Connectly's are.
pub(crate) fn next_body() -> String {
    written_by(|number| number % CUSTOMERS)
}

/// The same of a customer who never wrote before.
#[allow(dead_code, reason = "one of the benchmarks that share this file does not")]
pub(crate) fn body_of_a_newcomer() -> String {
    written_by(|number| CUSTOMERS + number)
}

fn written_by(customer: impl Fn(u64) -> u64) -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (phone, since_epoch) = (phone(customer(number)), since_epoch());
    let at = since_epoch.as_secs();
    let id = Ulid::from_parts(u64::try_from(since_epoch.as_millis()).unwrap(), scattered(number));
    let text = "Hello, I would like to know where my order is. ".repeat(6);
    format!(
        r#"{{"timestamp":"{at}","sender":{{"id":"{phone}","channelType":"whatsapp","name":"Ana"}},"recipient":{{"id":"{SHOP}","channelType":"whatsapp","name":"Shop"}},"callbackData":{{"order_id":"{number}"}},"message":{{"id":"{id}","text":"{number}: {text}","attachments":[],"location":null}}}}"#
    )
}

/// The number that customers write to.
pub(crate) const SHOP: &str = "+15550100002";
/// Customers who write.
pub(crate) const CUSTOMERS: u64 = 10_000;

/// The phone number of a customer.
pub(crate) fn phone(customer: u64) -> String {
    format!("+1555{customer:07}")
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the time")]
fn since_epoch() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap()
}

/// What follows the time in a ULID: other bits for every number and process, in no order.
fn scattered(number: u64) -> u128 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let bits = (u64::from(std::process::id()) << 32 | number).wrapping_mul(GOLDEN);
    u128::from(bits)
}

/// Reads one answer to its end, and answers its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> u16 {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the connection was closed");
        filled += read;
        let text = std::str::from_utf8(&buffer[..filled]).unwrap();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if rest.len() >= length.parse().unwrap() {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the time")]
fn now() -> Instant {
    Instant::now()
}
