//! Replies under fire: Connectly loses answers, refuses for the rate and fails after accepting, and the process is killed.
//! No reply arrives twice, each has reached a final state, and only one of which no status ever came is in doubt (P5).

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use switchboard::connectly::ids::ProviderMessageId;
use switchboard::emulator::{SendFault, Share, Webhook};

use crate::audit::{Evidence, audit};
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::report::Report;
use crate::stage::{ECHO, Setup, Stage};

/// How many replies there are.
const REPLIES: usize = 2_000;
const SHORT_REPLIES: usize = 150;
const PACE: Pace = Pace { rest: Duration::from_millis(100), patience: Duration::from_secs(5) };
/// How often it is looked at whether there are enough.
const LOOK: Duration = Duration::from_millis(20);

pub async fn run(plan: &Plan) -> Report {
    let replies = if plan.short { SHORT_REPLIES } else { REPLIES };
    let mut stage = Stage::set(plan.backend, &Setup::quick(1, ECHO)).await;
    stage.emulator.set_shares(shares());
    let load = Load::begin(&stage.gate.webhook_url(), plan.seed, PACE);
    let mut rng = StdRng::seed_from_u64(plan.seed);
    for kill in 1..=plan.kills as usize {
        // Spread over the whole of it, at an instant of its own.
        while load.taken() < replies * kill / (plan.kills as usize + 1) {
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
        stage.kill(0);
        stage.spawn(0);
        stage.await_ready(0).await;
    }
    while load.taken() < replies {
        tokio::time::sleep(LOOK).await;
    }
    let ledger = load.finish().await;
    let mut report = Report::default();
    report.count("kills", plan.kills);
    let evidence = audit(&mut stage, &ledger, &mut report).await;
    check_states(&evidence, &mut report);
    stage.strike(&mut report);
    report
}

/// One in twenty answers is lost, as many sends are refused with 429, and one in fifty fails after it was accepted.
fn shares() -> Vec<Share> {
    vec![
        Share { fault: SendFault::LostAnswer, per_mille: 50 },
        Share { fault: SendFault::RateLimited { retry_after_seconds: None }, per_mille: 50 },
        Share { fault: SendFault::ServerErrorAfterAccepting { status: 500 }, per_mille: 20 },
    ]
}

fn check_states(evidence: &Evidence<'_>, report: &mut Report) {
    let told_of: HashSet<String> = evidence.webhooks.iter().filter_map(message_of).collect();
    let mut in_doubt = 0;
    for message in &evidence.messages {
        let is_final =
            ["read", "delivered", "sent", "failed", "unconfirmed"].contains(&message.state.as_str());
        report.holds(is_final, || format!("message {} is {}, which is no end", message.id, message.state));
        if message.state == "unconfirmed" {
            in_doubt += 1;
            report.holds(!told_of.contains(&message.provider_id), || {
                format!("P5: message {} is in doubt, although a status came", message.id)
            });
        }
    }
    report.count("messages", evidence.messages.len());
    report.count("  in doubt at the end", in_doubt);
}

/// The message that a status is about.
fn message_of(webhook: &Webhook) -> Option<String> {
    let body: Value = serde_json::from_str(webhook.body.get()).ok()?;
    let id = ProviderMessageId::parse(body.get("statusUpdate")?["id"].as_str()?)?;
    Some(id.to_string())
}
