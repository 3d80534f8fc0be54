//! A queued bulk of the API's and two instances on one PostgreSQL: Connectly never sees more than the burst and what the rate
//! allows, everything arrives once, and a reply that comes meanwhile leaves before what is still queued.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use switchboard::clock::Clock;
use switchboard::emulator::{Inbound, Rate, SentMessage};
use ulid::Ulid;

use crate::audit::Evidence;
use crate::instance::TOKEN;
use crate::ledger::{Ledger, phone};
use crate::load::CUSTOMERS;
use crate::plan::Plan;
use crate::rate;
use crate::report::Report;
use crate::stage::{ECHO, Setup, Stage};

/// What Connectly allows.
const RATE: Rate = Rate { per_second: 200, burst: 1_000 };
const MESSAGES: usize = 10_000;
/// Small, so that a few messages exceed it.
const SHORT_RATE: Rate = Rate { per_second: 50, burst: 20 };
const SHORT_MESSAGES: usize = 300;
/// How many are asked for at a time.
const ASKING: usize = 16;
/// From one customer who writes to the next.
const BETWEEN_CUSTOMERS: Duration = Duration::from_millis(250);
/// So many may leave before a reply on a machine that is busy with other tests: what is claimed already, and what leaves while
/// the handler runs.
const FEW: usize = 100;
/// How often it is looked for a reply.
const LOOK: Duration = Duration::from_millis(5);

pub async fn run(plan: &Plan) -> Report {
    let (rate, messages) = if plan.short { (SHORT_RATE, SHORT_MESSAGES) } else { (RATE, MESSAGES) };
    let mut setup = Setup::quick(2, ECHO);
    setup.config = setup.config.replace(
        "per_second = 1000, burst = 1000",
        &format!("per_second = {}, burst = {}", rate.per_second, rate.burst),
    );
    let mut stage = Stage::set(plan.backend, &setup).await;
    stage.pause_sends(true).await;
    ask(&stage, messages).await;
    stage.pause_sends(false).await;
    let replies = converse(&stage, messages).await;
    let mut report = Report::default();
    let quiet = stage.quiet().await;
    report.holds(quiet, || "something was left to do for minutes".to_owned());
    let well = stage.end(&mut report).await;
    report.holds(well, || "an instance did not end well when it was asked to".to_owned());
    let ledger = Ledger::default();
    let evidence = Evidence::gather(&stage, &ledger).await;
    check_arrivals(&evidence, messages, &replies, &mut report);
    check_replies(&replies, rate, &mut report);
    count_waits(&evidence, &mut report);
    rate::check(&evidence, rate, &mut report);
    stage.strike(&mut report);
    report
}

/// Asks for a template to each of so many customers; some of them are those who write later.
async fn ask(stage: &Stage, messages: usize) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/api/v1/messages", stage.instances[0].admin().unwrap());
    let requests = (0..messages).map(|number| {
        let template = json!({"name": "hello_world", "language": "en"});
        let body = json!({"to": phone(number), "from": "+15550100002", "template": template});
        let request = http.post(&url).bearer_auth(TOKEN).header("idempotency-key", format!("bulk-{number}"));
        request.json(&body).send()
    });
    let mut answers = futures_util::stream::iter(requests).buffer_unordered(ASKING);
    while let Some(answer) = answers.next().await {
        assert_eq!(answer.unwrap().status().as_u16(), 202);
    }
}

/// A reply that was given while the bulk was being sent.
struct Reply {
    text: String,
    /// How many messages of the bulk arrived between the customer's message being kept and the reply's arrival.
    overtaken_by: usize,
    took: Duration,
}

/// Lets customers write, one after the other, until the bulk has arrived.
async fn converse(stage: &Stage, messages: usize) -> Vec<Reply> {
    let mut replies = Vec::new();
    for number in 0.. {
        if bulk_arrived(stage) >= messages {
            break;
        }
        let text = format!("{}-{number}", number % CUSTOMERS);
        stage.emulator.inbound(Inbound::text(&text).by(phone(number % CUSTOMERS))).await.unwrap();
        let (watch, before) = (Clock::system().stopwatch(), bulk_arrived(stage));
        let answer = format!("You said: {text}");
        while !stage.emulator.messages().iter().rev().take(2_000).any(|sent| text_of(sent) == Some(&answer)) {
            tokio::time::sleep(LOOK).await;
        }
        replies.push(Reply {
            text: answer,
            overtaken_by: bulk_arrived(stage) - before,
            took: watch.elapsed(),
        });
        tokio::time::sleep(BETWEEN_CUSTOMERS).await;
    }
    replies
}

fn bulk_arrived(stage: &Stage) -> usize {
    stage.emulator.messages().iter().filter(|sent| text_of(sent).is_none()).count()
}

fn text_of(sent: &SentMessage) -> Option<&str> {
    sent.body["message"]["text"].as_str()
}

fn check_arrivals(evidence: &Evidence<'_>, messages: usize, replies: &[Reply], report: &mut Report) {
    let mut arrivals: HashMap<&str, usize> = HashMap::new();
    for sent in &evidence.sent {
        *arrivals.entry(text_of(sent).unwrap_or(&sent.to)).or_default() += 1;
    }
    report.count("messages of the bulk", messages);
    report.count("replies meanwhile", replies.len());
    for (what, times) in arrivals.iter().filter(|(_, times)| **times > 1) {
        report.broken(format!("P5: {what} arrived {times} times"));
    }
    for missing in (0..messages).map(phone).filter(|to| !arrivals.contains_key(to.as_str())) {
        report.broken(format!("the message to {missing} did not arrive"));
    }
    for reply in replies.iter().filter(|reply| !arrivals.contains_key(reply.text.as_str())) {
        report.broken(format!("{} did not arrive", reply.text));
    }
    for job in &evidence.jobs {
        report.broken(format!("unfinished {} job {}: {}", job.kind, job.id, job.last_error));
    }
}

/// Where the time went: until a reply was queued is the handler's, until it left is the queue's.
fn count_waits(evidence: &Evidence<'_>, report: &mut Report) {
    let made = |id: &str| Ulid::from_string(id).ok().and_then(|id| i64::try_from(id.timestamp_ms()).ok());
    let events: HashMap<&str, &str> = evidence
        .outcomes
        .iter()
        .filter(|outcome| outcome.kind == "deliver")
        .map(|outcome| (outcome.job.as_str(), outcome.event.as_str()))
        .collect();
    let (mut queued, mut left) = (Vec::new(), Vec::new());
    for message in evidence.messages.iter().filter(|message| message.origin == "reply") {
        let at = made(&message.id);
        let event = events.get(message.caused_by.as_str()).and_then(|event| made(event));
        queued.extend(at.zip(event).map(|(at, event)| at - event));
        left.extend(at.zip(message.dispatched_at).map(|(at, left)| left - at));
    }
    for (what, mut waits) in [("queued after, median, ms", queued), ("left after that, median, ms", left)] {
        waits.sort_unstable();
        report.count(format!("  {what}"), waits.get(waits.len() / 2).copied().unwrap_or(0));
        report.count(format!("  {}", what.replace("median", "longest")), waits.last().copied().unwrap_or(0));
    }
}

/// A reply leaves before what is queued: within what leaves in a second, whatever the machine does meanwhile.
fn check_replies(replies: &[Reply], rate: Rate, report: &mut Report) {
    let mut took: Vec<u128> = replies.iter().map(|reply| reply.took.as_millis()).collect();
    took.sort_unstable();
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1)));
    for (name, share) in [("median", 50), ("99th percentile", 99), ("longest", 100)] {
        report.count(format!("reply at Connectly after, {name}, ms"), at(share).copied().unwrap_or(0));
    }
    report.holds(!replies.is_empty(), || "no reply was given while the bulk was sent".to_owned());
    let allowed = usize::try_from(rate.per_second).unwrap().max(FEW);
    for reply in replies.iter().filter(|reply| reply.overtaken_by > allowed) {
        report.broken(format!("{} messages of the bulk left before \"{}\"", reply.overtaken_by, reply.text));
    }
}
