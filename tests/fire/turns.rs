//! Conversations of five turns with a handler over HTTP that keeps its state with us, while the process is killed: afterwards
//! each has its five turns in order, none lost, none answered twice, and what did not arrive is in doubt (P4, P5, P6).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use switchboard::clock::Clock;
use switchboard::emulator::Inbound;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::audit::Evidence;
use crate::ledger::{Answer, Ledger, phone};
use crate::load;
use crate::plan::Plan;
use crate::records::MessageRow;
use crate::report::Report;
use crate::stage::{Setup, Stage};
use crate::webhooks::inbound;

const CONVERSATIONS: usize = 1_000;
const SHORT_CONVERSATIONS: usize = 40;
const TURNS: usize = 5;
/// How many conversations are under way at a time.
const AT_A_TIME: usize = 50;
/// How long the handler takes, so that a kill finds some of it under way.
const TAKES: Duration = Duration::from_millis(20);
/// How often it is looked at whether it is time for a kill.
const LOOK: Duration = Duration::from_millis(20);
/// Behind a number of its own, so that no customer of another scenario is one of these.
const FIRST: usize = 100_000;

pub async fn run(plan: &Plan) -> Report {
    let conversations = if plan.short { SHORT_CONVERSATIONS } else { CONVERSATIONS };
    let (url, asked) = counting_handler().await;
    let mut stage = Stage::set(plan.backend, &Setup::quick(1, &route(&url))).await;
    // The first turn opens the window at the emulator.
    for conversation in 0..conversations {
        let first = Inbound::text(turn(1)).by(phone(FIRST + conversation));
        stage.emulator.inbound(first).await.unwrap();
    }
    let taken = Arc::new(AtomicUsize::new(0));
    let talking = talk(&stage.gate.webhook_url(), conversations, &taken);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let turns = conversations * (TURNS - 1);
    for kill in 1..=plan.kills as usize {
        while taken.load(Ordering::Relaxed) < turns * kill / (plan.kills as usize + 1) {
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..50))).await;
        stage.kill(0);
        stage.spawn(0);
        stage.await_ready(0).await;
    }
    talking.join_all().await;
    let mut report = Report::default();
    report.count("kills", plan.kills);
    let quiet = stage.quiet().await;
    report.holds(quiet, || "something was left to do for minutes after the last turn".to_owned());
    let well = stage.end(&mut report).await;
    report.holds(well, || "the instance did not end well when it was asked to".to_owned());
    let ledger = Ledger::default();
    let evidence = Evidence::gather(&stage, &ledger).await;
    report.count("requests to the handler", asked.load(Ordering::Relaxed));
    check(&evidence, conversations, &mut report);
    stage.strike(&mut report);
    report
}

/// Says which turn it is by the state that it was given: one that was lost or done twice would show.
async fn counting_handler() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move |Json(told): Json<Value>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(TAKES).await;
            let turn = told["state"]["turn"].as_u64().unwrap_or(0) + 1;
            let (phone, said) = (&told["event"]["customer"]["phone"], &told["event"]["content"]["text"]);
            let text = reply(phone.as_str().unwrap(), turn, said.as_str().unwrap());
            Json(json!({"replies": [{"message": {"text": text}}], "state": {"turn": turn}}))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

fn route(url: &str) -> String {
    format!(
        "[[routes]]\nname = \"bot\"\non = [\"message.received\"]\nhandler = \"http\"\nurl = \"{url}\"\nallow_private = true\n\
         retry = {{ attempts = 20, max_age = \"10m\" }}\n"
    )
}

fn turn(number: usize) -> String {
    format!("turn {number}")
}

fn reply(phone: &str, number: u64, said: &str) -> String {
    format!("{phone} {number}: {said}")
}

/// The turns behind the first: each customer waits until the last one is kept, and for no answer.
fn talk(url: &str, conversations: usize, taken: &Arc<AtomicUsize>) -> JoinSet<()> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    let slots = Arc::new(Semaphore::new(AT_A_TIME));
    let mut talking = JoinSet::new();
    for conversation in 0..conversations {
        let (http, url, slots, taken) = (http.clone(), url.to_owned(), Arc::clone(&slots), Arc::clone(taken));
        talking.spawn(async move {
            let _slot = slots.acquire().await.unwrap();
            let clock = Clock::system();
            for number in 2..=TURNS {
                let id = clock.ulid().to_string();
                let body = inbound(&phone(FIRST + conversation), &id, clock.now(), &turn(number));
                while !matches!(load::post(&http, &url, &body).await, Answer::Kept { .. }) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                taken.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    talking
}

fn check(evidence: &Evidence<'_>, conversations: usize, report: &mut Report) {
    let mut arrived: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for sent in &evidence.sent {
        let text = sent.body["message"]["text"].as_str().unwrap_or_default();
        let phone = text.split(' ').next().unwrap_or_default();
        arrived.entry(phone.to_owned()).or_default().push(text.to_owned());
    }
    let messages: BTreeMap<&str, Vec<&MessageRow>> =
        evidence.messages.iter().fold(BTreeMap::new(), |mut messages, message| {
            messages.entry(message.text.as_str()).or_insert_with(Vec::new).push(message);
            messages
        });
    let mut in_doubt = 0;
    for conversation in 0..conversations {
        let phone = phone(FIRST + conversation);
        let expected: Vec<String> =
            (1..=TURNS).map(|number| reply(&phone, number as u64, &turn(number))).collect();
        let arrived = arrived.get(&phone).cloned().unwrap_or_default();
        let mut missing = expected.clone();
        missing.retain(|text| !arrived.contains(text));
        let in_order: Vec<String> = expected.iter().filter(|text| arrived.contains(text)).cloned().collect();
        report.holds(arrived == in_order, || format!("P4, P6: {phone} was told {arrived:?}"));
        for text in &expected {
            let queued = messages.get(text.as_str()).map_or(0, Vec::len);
            report.holds(queued == 1, || format!("P4: {text:?} was queued {queued} times"));
        }
        for text in missing {
            in_doubt += 1;
            let state = messages.get(text.as_str()).and_then(|of_text| of_text.first()).map(|it| &it.state);
            report.holds(state.is_some_and(|state| state == "unconfirmed"), || {
                format!("P5: {text:?} did not arrive, and is {state:?}")
            });
        }
    }
    report.holds(evidence.jobs.is_empty(), || format!("{} jobs are left", evidence.jobs.len()));
    report.count("conversations", conversations);
    report.count("replies that arrived", evidence.sent.len());
    report.count("replies in doubt that did not", in_doubt);
}
