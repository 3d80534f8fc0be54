//! What the clients know: each delivery with its answers.

use std::collections::BTreeMap;

use switchboard::clock::Clock;

use crate::report::Report;
use crate::webhooks::inbound;

/// One body, and what was answered to it over all its attempts.
pub struct Delivery {
    pub customer: usize,
    /// Its place among its customer's deliveries: the next one is posted only after this one was answered 200.
    pub number: u64,
    pub body: String,
    pub attempts: u64,
    /// The event ids of all answers of 200.
    pub events: Vec<String>,
    /// How many of them said that it was a repeat.
    pub repeats: u64,
}

/// What a request came to.
pub enum Answer {
    Kept {
        event: String,
        duplicate: bool,
    },
    Refused(u16),
    /// No answer, or none that could be read.
    None,
}

#[derive(Default)]
pub struct Ledger {
    pub deliveries: Vec<Delivery>,
    /// Answers by their status, 0 for none.
    pub answers: BTreeMap<u16, u64>,
}

impl Delivery {
    pub fn new(customer: usize, number: u64) -> Self {
        let clock = Clock::system();
        let provider_id = clock.ulid().to_string();
        let body = inbound(&phone(customer), &provider_id, clock.now(), &text(customer, number));
        Self { customer, number, body, attempts: 0, events: Vec::new(), repeats: 0 }
    }

    pub fn is_acknowledged(&self) -> bool {
        !self.events.is_empty()
    }

    pub fn text(&self) -> String {
        text(self.customer, self.number)
    }
}

impl Ledger {
    /// Notes an answer to a delivery.
    pub fn note(&mut self, delivery: &mut Delivery, answer: Answer) {
        delivery.attempts += 1;
        let status = match answer {
            Answer::Kept { event, duplicate } => {
                delivery.events.push(event);
                delivery.repeats += u64::from(duplicate);
                200
            }
            Answer::Refused(status) => status,
            Answer::None => 0,
        };
        *self.answers.entry(status).or_default() += 1;
    }

    /// Where no process ends, nobody is left without an answer.
    pub fn check_answered(&self, report: &mut Report) {
        let unanswered = self.answers.get(&0).copied().unwrap_or_default();
        report.holds(unanswered == 0, || format!("{unanswered} deliveries were not answered at all"));
    }

    pub fn merge(&mut self, other: Self) {
        self.deliveries.extend(other.deliveries);
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
    }
}

pub fn phone(customer: usize) -> String {
    format!("+1555{:07}", 1_000_000 + customer)
}

fn text(customer: usize, number: u64) -> String {
    format!("{customer}-{number}")
}
