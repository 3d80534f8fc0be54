//! What was answered 200 is there with its bytes (P1, P2), once, with its repeats counted (P3).

use switchboard::emulator::Answer;

use super::{Evidence, grouped};
use crate::ledger::Delivery;
use crate::report::Report;

pub fn check(evidence: &Evidence<'_>, report: &mut Report) {
    let answers = |status: u16| evidence.ledger.answers.get(&status).copied().unwrap_or_default();
    report.count("deliveries, all answered 200 in the end", evidence.ledger.deliveries.len());
    report.count("  answers of 200", answers(200));
    report.count("  answers of 503", answers(503));
    report.count("  no answer", answers(0));
    report.count("events kept", evidence.events.len());
    for (status, count) in &evidence.ledger.answers {
        report.holds([0, 200, 503].contains(status), || format!("{count} deliveries were answered {status}"));
    }
    for attempt in evidence.webhooks.iter().flat_map(|webhook| &webhook.attempts) {
        let fine = match attempt.answer {
            Answer::Answered { status, .. } => [200, 503].contains(&status),
            Answer::Unanswered { .. } => true,
        };
        report.holds(fine, || format!("a status was answered {:?}", attempt.answer));
    }
    for delivery in &evidence.ledger.deliveries {
        if let Err(broken) = check_one(evidence, delivery) {
            report.broken(format!("{}: {broken}", delivery.text()));
        }
    }
    check_once(evidence, report);
}

fn check_one(evidence: &Evidence<'_>, delivery: &Delivery) -> Result<(), String> {
    let id = &delivery.events[0];
    if delivery.events.iter().any(|other| other != id) {
        return Err(format!("P3: it was answered with several events: {:?}", delivery.events));
    }
    let event = evidence.events.get(id).ok_or(format!("P1: event {id} was answered 200 and is missing"))?;
    if event.body != delivery.body {
        return Err(format!("P2: event {id} has other bytes"));
    }
    let answers = delivery.events.len() as u64;
    let (least, most) = (answers - 1, delivery.attempts - 1);
    if !(least..=most).contains(&event.duplicates) {
        return Err(format!("P3: {} repeats are counted, not {least} to {most}", event.duplicates));
    }
    if delivery.repeats + 1 < answers || delivery.repeats > event.duplicates {
        return Err(format!("P3: {} of {answers} answers were called repeats", delivery.repeats));
    }
    Ok(())
}

/// No two events are one delivery, and there is no event that nobody posted.
fn check_once(evidence: &Evidence<'_>, report: &mut Report) {
    let inbound = evidence.events.values().filter(|event| event.kind == "message.received");
    let by_delivery = grouped(inbound, |event| event.provider_id.clone());
    for (provider_id, events) in &by_delivery {
        let ids: Vec<&String> = events.iter().map(|event| &event.id).collect();
        report.holds(ids.len() == 1, || format!("P3: message {provider_id} is kept as {ids:?}"));
    }
    let (kept, posted) = (by_delivery.len(), evidence.ledger.deliveries.len());
    report.holds(kept == posted, || format!("P3: {kept} messages are kept of {posted} that were posted"));
}
