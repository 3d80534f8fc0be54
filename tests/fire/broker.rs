//! A broker that is killed while events come in at a fixed rate, and started again: every event is in its stream once, and those
//! of a conversation are in their order.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use switchboard::clock::{Clock, Stopwatch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::audit::Evidence;
use crate::ledger::{Answer, Delivery, Ledger};
use crate::load::post;
use crate::nats::{Kept, Nats};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{Setup, Stage};

/// Events a second, over all customers.
const RATE: u32 = 500;
const SHORT_RATE: u32 = 100;
/// So many write, each one message after the other.
const CUSTOMERS: u32 = 100;
const STREAM: &str = "EVENTS";
/// Longer than any run: no repeat is forgotten.
const WINDOW: Duration = Duration::from_hours(2);
/// How long one waits for an answer, and rests when there was none.
const PATIENCE: Duration = Duration::from_secs(30);
const REST: Duration = Duration::from_millis(100);

pub async fn run(plan: &Plan) -> Report {
    let mut nats = Nats::start().await;
    nats.make_stream(STREAM, "connectly.>", WINDOW).await;
    let mut stage = Stage::set(plan.backend, &Setup::quick(1, &route(&nats))).await;
    let mut report = Report::default();
    let rate = if plan.short { SHORT_RATE } else { RATE };
    let all = Duration::from_secs(plan.seconds);
    let down = Duration::from_secs(plan.down).min(all / 2);
    let load = tokio::spawn(load(stage.gate.webhook_url(), plan.seed, rate, all));
    tokio::time::sleep(all.saturating_sub(down) / 2).await;
    let kills = StdRng::seed_from_u64(plan.seed).random_bool(0.5);
    if kills {
        nats.kill();
    } else {
        nats.stop();
    }
    tokio::time::sleep(down).await;
    nats.launch().await;
    let (ledger, took) = load.await.unwrap();
    let clock = Clock::system().stopwatch();
    let quiet = stage.quiet().await;
    report.holds(quiet, || "something was left to do for minutes".to_owned());
    report.count("events accepted", ledger.deliveries.len());
    report.count("  a second", ledger.deliveries.len() as u64 / took.as_secs().max(1));
    report.count(
        format!("seconds without a broker ({})", if kills { "SIGKILL" } else { "SIGTERM" }),
        down.as_secs(),
    );
    report.count("ms until all was published, from the last event", clock.elapsed().as_millis());
    let well = stage.end(&mut report).await;
    report.holds(well, || "an instance did not end well when it was asked to".to_owned());
    let kept = nats.kept(STREAM).await;
    check(&Evidence::gather(&stage, &ledger).await, &kept, &mut report);
    stage.strike(&mut report);
    report
}

fn route(nats: &Nats) -> String {
    format!(
        "[[routes]]\nname = \"bus\"\non = [\"*\"]\nhandler = \"nats\"\nurl = \"{}\"\nsubject = \"connectly.{{{{ event.type }}}}\"\n\
         concurrency = 100\nretry = {{ attempts = 100, max_age = \"1h\" }}\n",
        nats.url()
    )
}

/// Lets every customer write at an even pace for so long; the next message of one is posted when the last was answered 200.
async fn load(url: String, seed: u64, rate: u32, all: Duration) -> (Ledger, Duration) {
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let (watch, mut customers) = (Clock::system().stopwatch(), JoinSet::new());
    for customer in 0..CUSTOMERS {
        let pace = Duration::from_secs(1) * CUSTOMERS / rate;
        let first =
            StdRng::seed_from_u64(seed.wrapping_add(u64::from(customer))).random_range(Duration::ZERO..pace);
        customers.spawn(write(http.clone(), url.clone(), customer, pace, first, watch, all));
    }
    let mut ledger = Ledger::default();
    for one in customers.join_all().await {
        ledger.merge(one);
    }
    (ledger, watch.elapsed())
}

async fn write(
    http: reqwest::Client,
    url: String,
    customer: u32,
    pace: Duration,
    first: Duration,
    watch: Stopwatch,
    all: Duration,
) -> Ledger {
    tokio::time::sleep(first).await;
    let mut ticks = tokio::time::interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut ledger = Ledger::default();
    for number in 0.. {
        ticks.tick().await;
        if watch.elapsed() >= all {
            break;
        }
        let mut delivery = Delivery::new(customer as usize, number);
        while !delivery.is_acknowledged() {
            let answer = post(&http, &url, &delivery.body).await;
            let is_kept = matches!(answer, Answer::Kept { .. });
            ledger.note(&mut delivery, answer);
            if !is_kept {
                tokio::time::sleep(REST).await;
            }
        }
        ledger.deliveries.push(delivery);
    }
    ledger
}

fn check(evidence: &Evidence<'_>, kept: &[Kept], report: &mut Report) {
    report.count("events in the store", evidence.events.len());
    report.count("messages in the stream", kept.len());
    for delivery in &evidence.ledger.deliveries {
        let is_stored = evidence.events.contains_key(&delivery.events[0]);
        report
            .holds(is_stored, || format!("P1: event {} was accepted and is not stored", delivery.events[0]));
    }
    let jobs: HashMap<String, String> =
        evidence.outcomes.iter().map(|outcome| (outcome.job.clone(), outcome.event.clone())).collect();
    let mut times: HashMap<String, usize> = HashMap::new();
    let mut newest: HashMap<&str, u64> = HashMap::new();
    for message in kept {
        let (job, event) = (&message.id, message.json["id"].as_str().unwrap().to_owned());
        report.holds(jobs.get(job) == Some(&event), || {
            format!("{event} is in the stream as job {job}, which it is not")
        });
        let text = message.json["content"]["text"].as_str().unwrap();
        let (customer, number) = text.split_once('-').unwrap();
        let number = number.parse().unwrap();
        let before = newest.insert(customer, number);
        report.holds(before.is_none_or(|before| before < number), || {
            format!("P6: {text} is behind a later one")
        });
        *times.entry(event).or_default() += 1;
    }
    for event in evidence.events.keys() {
        let count = times.remove(event).unwrap_or_default();
        report.holds(count == 1, || format!("event {event} is in the stream {count} times"));
    }
    for event in times.keys() {
        report.broken(format!("event {event} is in the stream and not in the store"));
    }
    for job in &evidence.jobs {
        report.broken(format!("unfinished job {}: {}", job.id, job.last_error));
    }
}
