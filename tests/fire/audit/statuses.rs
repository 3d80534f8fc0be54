//! Each status that was answered 200 is kept (P1), and known of its message, whatever came before or after it (P7).

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use switchboard::connectly::ids::ProviderMessageId;
use switchboard::emulator::{Answer, Webhook};

use super::Evidence;
use crate::records::MessageRow;
use crate::report::Report;

pub fn check(evidence: &Evidence<'_>, report: &mut Report) {
    let by_provider: HashMap<&str, &MessageRow> =
        evidence.messages.iter().map(|message| (message.provider_id.as_str(), message)).collect();
    let mut read = HashSet::new();
    let mut kept = 0;
    for webhook in &evidence.webhooks {
        let Some((id, status)) = status_of(webhook) else { continue };
        let Some(event) = event_of(webhook) else {
            report
                .broken(format!("{status} of {id} was never taken, in {} attempts", webhook.attempts.len()));
            continue;
        };
        kept += 1;
        report.holds(evidence.events.contains_key(&event), || {
            format!("P1: event {event}, {status} of {id}, was answered 200 and is missing")
        });
        let Some(message) = by_provider.get(id.as_str()) else {
            report.broken(format!("P7: {status} of {id} came, and its message does not know it"));
            continue;
        };
        report.holds(message.statuses.contains(&known_as(&status)), || {
            format!("P7: {status} of message {} was answered 200 and is forgotten", message.id)
        });
        if status == "read" {
            read.insert(message.id.as_str());
        }
    }
    for message in evidence.messages.iter().filter(|message| read.contains(message.id.as_str())) {
        report.holds(message.state == "read", || {
            format!("P7: message {} was read and is {}", message.id, message.state)
        });
    }
    report.count("statuses kept, repeats included", kept);
}

/// A status as the emulator names it, by the name of its column.
fn known_as(status: &str) -> &'static str {
    match status {
        "sent" => "sent",
        "delivered" => "delivered",
        "read" => "read",
        _ => "failed",
    }
}

/// The message and the status that a webhook tells of.
fn status_of(webhook: &Webhook) -> Option<(String, String)> {
    let body: Value = serde_json::from_str(webhook.body.get()).ok()?;
    let update = body.get("statusUpdate")?;
    let id = ProviderMessageId::parse(update["id"].as_str()?)?;
    Some((id.to_string(), update["status"].as_str()?.to_owned()))
}

/// The event that the last attempt was answered with.
fn event_of(webhook: &Webhook) -> Option<String> {
    match &webhook.attempts.last()?.answer {
        Answer::Answered { status: 200, body } => Some(body["id"].as_str()?.to_owned()),
        Answer::Answered { .. } | Answer::Unanswered { .. } => None,
    }
}
