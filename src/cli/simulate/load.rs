//! Many events at a steady rate, whatever becomes of them.
//!
//! The loop is open: each event has its time, and is sent then, however slow the answers to the others are. Latencies count
//! from that time, so that a server which stalls is not flattered by the events that could not be sent meanwhile.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::side::{BUSINESS, BUSINESS_NAME, endpoint};
use super::tally::{Fate, Tally};
use crate::cli::endpoint::Endpoint;
use crate::cli::http::{REQUEST_TIMEOUT, client};
use crate::cli::terminal::Terminal;
use crate::cli::{Surroundings, Usage};
use crate::clock::Stopwatch;
use crate::connectly::signature::{HEADER, Key};

/// Shown below the help.
pub const EXAMPLES: &str =
    "The events go through the server's routes, and what those reply is really sent: aim at a \
server that talks to an emulator, or pause its sends first.

Examples:
  switchboard simulate load --rate 1000 --seconds 10
  switchboard simulate load --rate 200 --seconds 60 --customers 50 --json";

/// The most requests under way at a time: a process may commonly have 1,024 files open. At 1,000 events a second it is
/// reached when an answer takes half a second.
const UNDER_WAY: usize = 512;
/// How often the loop looks which events are due.
const TICK: Duration = Duration::from_millis(1);
/// The most events of one run: each leaves a latency in memory.
const MOST_EVENTS: u64 = 10_000_000;

/// Inbound texts at a steady rate.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Events a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// For so many seconds
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// From so many customers, in turn
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=9_999_999))]
    customers: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// One run.
struct Load {
    http: reqwest::Client,
    webhook: Endpoint,
    key: Key,
    watch: Stopwatch,
    told: mpsc::UnboundedSender<(Fate, Duration)>,
}

/// Sends the events and prints what became of them.
pub async fn run(
    args: &Args,
    webhook: Endpoint,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let events = args.rate * args.seconds;
    anyhow::ensure!(
        events <= MOST_EVENTS,
        Usage(format!("at most {MOST_EVENTS} events in one run, not {events}"))
    );
    let (told, mut fates) = mpsc::unbounded_channel();
    let key = Key::new(&webhook.secret);
    let load = Arc::new(Load { http: client()?, webhook, key, watch: surroundings.clock.stopwatch(), told });
    let slots = Arc::new(Semaphore::new(UNDER_WAY));
    let mut tally = Tally::new(args.rate, events);
    let mut shown = 0;
    for number in 0..events {
        let due = Duration::from_secs_f64(seconds(number) / seconds(args.rate));
        while load.watch.elapsed() < due {
            tokio::time::sleep(TICK).await;
        }
        let slot = Arc::clone(&slots).acquire_owned().await?;
        tally.sent(load.watch.elapsed());
        let body = body(number, args.customers, surroundings);
        let load = Arc::clone(&load);
        tokio::spawn(async move {
            let fate = load.post(body).await;
            // Nobody listens any more when the command has been given up.
            let _ = load.told.send((fate, load.watch.elapsed().saturating_sub(due)));
            drop(slot);
        });
        while let Ok((fate, latency)) = fates.try_recv() {
            tally.note(fate, latency);
        }
        if terminal.is_interactive() && number / args.rate > shown {
            shown = number / args.rate;
            terminal.hint(&format!("{shown} s: {}", tally.progress()))?;
        }
    }
    drop(load);
    while let Some((fate, latency)) = fates.recv().await {
        tally.note(fate, latency);
    }
    tally.print(args.json, terminal)
}

impl Load {
    async fn post(&self, body: Vec<u8>) -> Fate {
        let signature = self.key.sign(&body);
        let request = self.http.post(&self.webhook.url).timeout(REQUEST_TIMEOUT);
        let request = request
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(HEADER, signature)
            .body(body);
        let Ok(response) = request.send().await else {
            return Fate::Unanswered;
        };
        let status = response.status();
        match response.json::<Value>().await {
            Ok(answer) if status == StatusCode::OK => {
                match answer.get("duplicate").and_then(Value::as_bool) {
                    Some(true) => Fate::Duplicate,
                    Some(false) => Fate::Accepted,
                    None => Fate::Refused(status.as_u16()),
                }
            }
            Err(_) if status == StatusCode::OK => Fate::Unanswered,
            Ok(_) | Err(_) => Fate::Refused(status.as_u16()),
        }
    }
}

/// A text from one of the customers, with an id that no other event has.
fn body(number: u64, customers: u64, surroundings: &Surroundings) -> Vec<u8> {
    let phone = format!("+1555{:07}", number % customers);
    let text = json!({
        "timestamp": surroundings.clock.now().as_second().to_string(),
        "sender": endpoint(&phone, None),
        "recipient": endpoint(BUSINESS, Some(BUSINESS_NAME)),
        "message": {
            "id": surroundings.clock.ulid().to_string(),
            "text": format!("load {number}"),
            "attachments": [],
            "location": null,
        },
    });
    super::json(&text)
}

#[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 events")]
fn seconds(number: u64) -> f64 {
    number as f64
}
