//! What the emulator remembers: numbers, customers, windows, messages, faults. Pure: no HTTP, no clock; the time is
//! passed in, and webhooks come out as bodies to deliver.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use ulid::Ulid;

use super::Settings;
use super::errors::Refusal;
use super::faults::{Faults, SendFault};
use super::message::{EmittedStatus, SentMessage};
use super::outbound::{Kind, Outbound};
use super::rate::Bucket;
use super::status;
use super::time::ulid_at;

/// How long a customer's message lets the business write freely: WhatsApp's customer service window.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// The messages and lines kept, so that a load test cannot fill the memory.
pub(super) const KEPT: usize = 50_000;

/// All that the emulator knows.
pub(super) struct World {
    pub(super) business: Business,
    pub(super) customers: BTreeMap<String, Customer>,
    pub(super) messages: VecDeque<SentMessage>,
    pub(super) lines: VecDeque<Line>,
    pub(super) faults: Faults,
    pub(super) bucket: Bucket,
    heard: BTreeMap<(String, String), Timestamp>,
    withheld: Vec<Batch>,
}

/// The business and its numbers: the one it was given, and each that a customer wrote to.
pub(super) struct Business {
    pub(super) name: String,
    pub(super) number: String,
    pub(super) numbers: BTreeSet<String>,
    read_receipts: bool,
    status_lag: SignedDuration,
}

/// What is known of a customer.
#[derive(Default)]
pub(super) struct Customer {
    /// The newest name given.
    pub(super) name: Option<String>,
    /// The business number last used with this customer, in either direction.
    last_number: Option<String>,
}

/// One line of a conversation, for people to read.
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) customer: String,
    pub(super) number: String,
    pub(super) words: String,
    /// The message that the business sent; none when the customer speaks.
    pub(super) message: Option<Ulid>,
}

/// What of a request is worth remembering beside what was read from it.
pub(super) struct Arrival {
    pub(super) body: Value,
    pub(super) headers: BTreeMap<String, String>,
}

/// Webhooks to one customer's lane, in the order of their delivery.
pub(super) struct Batch {
    pub(super) customer: String,
    pub(super) bodies: Vec<String>,
    /// Deliveries of each.
    pub(super) copies: u32,
}

/// A send that was accepted.
pub(super) struct Accepted {
    pub(super) id: Ulid,
    /// Its statuses; none while they are withheld.
    pub(super) statuses: Option<Batch>,
}

impl World {
    /// A business with one number, and nobody who ever wrote to it.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            business: Business {
                name: settings.business_name.clone(),
                number: settings.business_number.clone(),
                numbers: BTreeSet::from([settings.business_number.clone()]),
                read_receipts: settings.read_receipts,
                status_lag: SignedDuration::try_from(settings.status_lag).unwrap_or(SignedDuration::MAX),
            },
            customers: BTreeMap::new(),
            messages: VecDeque::new(),
            lines: VecDeque::new(),
            faults: Faults::default(),
            bucket: Bucket::new(settings.rate),
            heard: BTreeMap::new(),
            withheld: Vec::new(),
        }
    }

    /// Accepts a send or refuses it. What is accepted is remembered, and its statuses are ready or withheld.
    pub(super) fn accept(
        &mut self,
        outbound: Outbound,
        arrival: Arrival,
        fault: Option<&SendFault>,
        now: Timestamp,
    ) -> Result<Accepted, Refusal> {
        let from = self.permit(&outbound, fault, now)?;
        self.meet(&outbound.recipient, outbound.recipient_name, &from);
        let id = ulid_at(now);
        self.note(Line {
            at: now,
            customer: outbound.recipient.clone(),
            number: from.clone(),
            words: outbound.summary,
            message: Some(id),
        });
        let message = SentMessage {
            id: id.to_string(),
            at: now,
            from,
            to: outbound.recipient,
            body: arrival.body,
            headers: arrival.headers,
            statuses: Vec::new(),
            ulid: id,
            callback_data: outbound.callback_data,
            campaign_name: outbound.campaign_name,
        };
        let statuses = self.emit(message, fault);
        Ok(Accepted { id, statuses })
    }

    /// Whether the customer wrote to this number within the last 24 hours.
    pub(super) fn window_is_open(&self, number: &str, customer: &str, now: Timestamp) -> bool {
        let heard = self.heard.get(&(number.to_owned(), customer.to_owned()));
        heard.is_some_and(|at| now.duration_since(*at) < WINDOW)
    }

    /// Opens the window of a customer who just wrote.
    pub(super) fn open_window(&mut self, number: &str, customer: &str, now: Timestamp) {
        self.business.numbers.insert(number.to_owned());
        self.heard.insert((number.to_owned(), customer.to_owned()), now);
    }

    /// Remembers a customer, the newest name and the number used.
    pub(super) fn meet(&mut self, customer: &str, name: Option<String>, number: &str) {
        let known = self.customers.entry(customer.to_owned()).or_default();
        known.name = name.or_else(|| known.name.take());
        known.last_number = Some(number.to_owned());
    }

    /// The customer's name, where one was given.
    pub(super) fn name_of(&self, customer: &str) -> Option<&str> {
        self.customers.get(customer)?.name.as_deref()
    }

    /// Adds a line to the listing of conversations.
    pub(super) fn note(&mut self, line: Line) {
        push_bounded(&mut self.lines, line);
    }

    /// The message with this id, in either spelling: the newest first, since that is who is asked for.
    pub(super) fn message(&self, id: Ulid) -> Option<&SentMessage> {
        self.messages.iter().rev().find(|message| message.ulid == id)
    }

    /// The newest message to a customer from this number.
    pub(super) fn newest_to(&self, customer: &str, number: &str) -> Option<&SentMessage> {
        self.messages.iter().rev().find(|message| message.to == customer && message.from == number)
    }

    /// Lets go of the statuses that were withheld, in the order of their messages.
    pub(super) fn release(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.withheld)
    }

    /// Whether the message may leave, and the number that it leaves from.
    fn permit(
        &self,
        outbound: &Outbound,
        fault: Option<&SendFault>,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let from = self.sender(outbound.sender.as_deref(), &outbound.recipient)?;
        if self.business.numbers.contains(&outbound.recipient) {
            return Err(Refusal::ToSelf);
        }
        let refused = fault == Some(&SendFault::WindowRefused);
        let may_leave = match outbound.kind {
            Kind::Session => self.window_is_open(&from, &outbound.recipient, now),
            Kind::Template => true,
        };
        (may_leave && !refused).then_some(from).ok_or(Refusal::Window)
    }

    /// The number asked for; without one the customer's last-used, else the business's own.
    fn sender(&self, asked: Option<&str>, customer: &str) -> Result<String, Refusal> {
        let used = || self.customers.get(customer)?.last_number.as_deref();
        let number = asked.or_else(used).unwrap_or(&self.business.number);
        let known = self.business.numbers.contains(number);
        known.then(|| number.to_owned()).ok_or(Refusal::Sender)
    }

    fn emit(&mut self, mut message: SentMessage, fault: Option<&SendFault>) -> Option<Batch> {
        let steps = status::steps(fault, self.business.read_receipts);
        let treatment = self.faults.for_statuses();
        let mut bodies = Vec::with_capacity(steps.len());
        let mut at = message.at;
        for step in steps {
            at = at.checked_add(self.business.status_lag).unwrap_or(Timestamp::MAX);
            message.statuses.push(EmittedStatus { status: step.status, at });
            bodies.push(status::body(&message, step, at, self));
        }
        if treatment.reversed {
            bodies.reverse();
        }
        let batch = Batch { customer: message.to.clone(), bodies, copies: treatment.copies };
        push_bounded(&mut self.messages, message);
        if treatment.withheld {
            self.withheld.push(batch);
            return None;
        }
        Some(batch)
    }
}

/// Adds to the end and, past what is kept, drops from the front.
pub(super) fn push_bounded<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == KEPT {
        queue.pop_front();
    }
    queue.push_back(item);
}
