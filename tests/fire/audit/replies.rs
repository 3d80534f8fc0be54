//! The route ran for every event, and its reply was committed once (P4); nothing left twice, and what did not arrive is
//! unconfirmed (P5); a conversation's replies left in the order of its events (P6).

use std::collections::{HashMap, HashSet};

use switchboard::connectly::mark;
use switchboard::emulator::SentMessage;

use super::{Evidence, grouped};
use crate::ledger::phone;
use crate::records::MessageRow;
use crate::report::Report;

/// What a message that never arrived may be called.
const IN_DOUBT: &str = "unconfirmed";

pub fn check(evidence: &Evidence<'_>, report: &mut Report) {
    check_completions(evidence, report);
    check_arrivals(evidence, report);
    check_order(evidence, report);
}

/// Every delivery has one completion, and that has one reply.
fn check_completions(evidence: &Evidence<'_>, report: &mut Report) {
    let deliveries = evidence.outcomes.iter().filter(|outcome| outcome.kind == "deliver");
    let by_event = grouped(deliveries, |outcome| outcome.event.clone());
    let replies = grouped(&evidence.messages, |message| message.caused_by.clone());
    for delivery in &evidence.ledger.deliveries {
        let (event, text) = (&delivery.events[0], delivery.text());
        let completions = by_event.get(event).map_or(&[][..], Vec::as_slice);
        let [completion] = completions else {
            report.broken(format!("P4: {text} (event {event}) has {} completions", completions.len()));
            continue;
        };
        report.holds(completion.outcome == "done", || format!("P4: {text} ended {}", completion.outcome));
        let texts: Vec<&str> =
            replies.get(&completion.job).into_iter().flatten().map(|reply| spoken(&reply.text)).collect();
        report.holds(texts == [text.as_str()], || format!("P4: {text} is answered by {texts:?}"));
    }
    let strangers = evidence.messages.iter().filter(|message| message.origin != "reply");
    for message in strangers {
        report.broken(format!("message {} is {}, and nobody else sends here", message.id, message.origin));
    }
}

/// Each reply arrived at most once, and the store knows which did.
fn check_arrivals(evidence: &Evidence<'_>, report: &mut Report) {
    let stored: HashMap<&str, &MessageRow> =
        evidence.messages.iter().map(|message| (message.id.as_str(), message)).collect();
    let mut arrived = HashSet::new();
    for sent in &evidence.sent {
        let Some(id) = mark_of(sent) else {
            report.broken(format!("P5: {} arrived without a mark", text_of(sent)));
            continue;
        };
        report.holds(arrived.insert(id.clone()), || format!("P5: message {id} arrived twice"));
        match stored.get(id.as_str()) {
            None => report.broken(format!("P4: message {id} arrived and is not kept")),
            Some(message) => check_known(message, sent, report),
        }
    }
    let missing: Vec<_> = evidence.messages.iter().filter(|message| !arrived.contains(&message.id)).collect();
    for message in &missing {
        report.holds(message.state == IN_DOUBT, || {
            format!("P5: message {} never arrived and is {}", message.id, message.state)
        });
    }
    report.count("replies kept", evidence.messages.len());
    report.count("  arrived at Connectly", arrived.len());
    report.count("  did not, and are unconfirmed", missing.len());
}

fn check_known(message: &MessageRow, sent: &SentMessage, report: &mut Report) {
    report
        .holds(message.text == text_of(sent), || format!("message {} arrived with another text", message.id));
    report.holds(message.state != "queued" && message.state != IN_DOUBT, || {
        format!("P5: message {} arrived, its statuses too, and it is {}", message.id, message.state)
    });
    report.holds(message.provider_id == sent.id, || {
        format!("message {} is {} and not {} at Connectly", message.id, sent.id, message.provider_id)
    });
}

/// What arrived for each customer counts upwards, but for a message that was given up, its lane going on without it, and
/// turned out not to have left: that one was queued again, at the lane's end.
fn check_order(evidence: &Evidence<'_>, report: &mut Report) {
    let sends = evidence.outcomes.iter().filter(|outcome| outcome.kind == "send");
    let jobs = grouped(sends, |outcome| outcome.message.clone());
    let queued_again =
        |sent: &SentMessage| mark_of(sent).and_then(|id| jobs.get(&id)).is_some_and(|jobs| jobs.len() > 1);
    let kept_their_place: Vec<&SentMessage> =
        evidence.sent.iter().filter(|sent| !queued_again(sent)).collect();
    report.count("  were queued again", evidence.sent.len() - kept_their_place.len());
    let customers: HashMap<String, usize> =
        evidence.ledger.deliveries.iter().map(|one| (phone(one.customer), one.customer)).collect();
    for (to, messages) in grouped(kept_their_place, |sent| sent.to.clone()) {
        let numbers: Vec<u64> = messages.iter().filter_map(|sent| number_of(sent)).collect();
        let whole = numbers.len() == messages.len() && customers.contains_key(&to);
        report.holds(whole, || "a reply arrived that answers nobody".to_owned());
        let falls = numbers.iter().zip(numbers.iter().skip(1)).find(|(earlier, later)| earlier >= later);
        if let Some((earlier, later)) = falls {
            report.broken(format!("P6: to customer {:?}, {earlier} left before {later}", customers.get(&to)));
        }
    }
}

/// The text without what the handler put around it.
fn spoken(reply: &str) -> &str {
    let said = reply.strip_prefix("You said: ").unwrap_or(reply);
    said.split(' ').next().unwrap_or(said)
}

fn text_of(sent: &SentMessage) -> &str {
    sent.body["message"]["text"].as_str().unwrap_or_default()
}

fn number_of(sent: &SentMessage) -> Option<u64> {
    spoken(text_of(sent)).split_once('-')?.1.parse().ok()
}

fn mark_of(sent: &SentMessage) -> Option<String> {
    let data = sent.body["callbackData"].to_string();
    mark::strip(&data).1.map(|id| id.to_string())
}
