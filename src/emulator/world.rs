//! What the emulator remembers: numbers, customers, windows, messages, faults. Pure: no HTTP, no clock; the time is
//! passed in, and webhooks come out as bodies to deliver.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use ulid::Ulid;

use super::Settings;
use super::errors::Refusal;
use super::faults::{Faults, SendFault};
use super::message::{EmittedStatus, SentMessage};
use super::outbound::{Kind, Outbound};
use super::rate::Bucket;
use super::status::{self, Lags};
use super::time::ulid_at;
use super::wire::Party;

/// How long a customer's message lets the business write freely: WhatsApp's customer service window.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// The number that is chosen by mistake when the business has no other.
const SPARE_NUMBER: &str = "+15550100099";
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
    lags: Lags,
}

/// What is known of a customer.
#[derive(Default)]
pub(super) struct Customer {
    /// The newest name given.
    pub(super) name: Option<String>,
    /// The newest BSUID given.
    user_id: Option<String>,
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
    pub(super) webhooks: Vec<Due>,
    /// Deliveries of each.
    pub(super) copies: u32,
}

/// One webhook of a batch.
pub(super) struct Due {
    /// How long after the one before it.
    pub(super) after: Duration,
    pub(super) body: String,
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
                lags: Lags::of(settings),
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
        // A number chosen by mistake is not the one to use from now on.
        if fault != Some(&SendFault::WrongSender) {
            self.meet(&outbound.recipient, outbound.recipient_name, &from);
        }
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

    /// Remembers the BSUID of a customer who wrote with one.
    pub(super) fn learn_user_id(&mut self, customer: &str, user_id: Option<&String>) {
        if let Some(user_id) = user_id {
            self.customers.entry(customer.to_owned()).or_default().user_id = Some(user_id.clone());
        }
    }

    /// The customer as a webhook names them.
    pub(super) fn party(&self, customer: &str) -> Party {
        let known = self.customers.get(customer);
        let party = Party::named(customer, known.and_then(|known| known.name.as_deref()));
        match known.and_then(|known| known.user_id.as_deref()) {
            Some(user_id) => party.with_user_id(user_id),
            None => party,
        }
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
        &mut self,
        outbound: &Outbound,
        fault: Option<&SendFault>,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let from = self.sender(outbound, fault, now)?;
        if self.business.numbers.contains(&outbound.recipient) {
            return Err(Refusal::ToSelf);
        }
        if fault == Some(&SendFault::OptedOut) {
            return Err(Refusal::OptedOut);
        }
        let refused = fault == Some(&SendFault::WindowRefused);
        let may_leave = match outbound.kind {
            Kind::Session => self.window_is_open(&from, &outbound.recipient, now),
            Kind::Template => true,
        };
        (may_leave && !refused).then_some(from).ok_or(Refusal::Window)
    }

    /// The number asked for; without one the customer's last-used, else the business's own.
    fn sender(
        &mut self,
        outbound: &Outbound,
        fault: Option<&SendFault>,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        if let Some(asked) = &outbound.sender {
            let known = self.business.numbers.contains(asked);
            return known.then(|| asked.clone()).ok_or(Refusal::Sender);
        }
        let used = self.customers.get(&outbound.recipient).and_then(|known| known.last_number.clone());
        let usual = used.unwrap_or_else(|| self.business.number.clone());
        if fault == Some(&SendFault::WrongSender) {
            return Ok(self.another_number(&usual, &outbound.recipient, now));
        }
        Ok(usual)
    }

    /// A number of the business that the customer has not written to within 24 hours; a business that has none gets one.
    fn another_number(&mut self, usual: &str, customer: &str, now: Timestamp) -> String {
        let is_closed = |number: &&String| !self.window_is_open(number, customer, now);
        let others = self.business.numbers.iter().filter(|number| *number != usual);
        let another = others.into_iter().find(is_closed).cloned().unwrap_or_else(|| SPARE_NUMBER.to_owned());
        self.business.numbers.insert(another.clone());
        another
    }

    fn emit(&mut self, mut message: SentMessage, fault: Option<&SendFault>) -> Option<Batch> {
        let treatment = self.faults.for_statuses();
        let mut at = message.at;
        let (mut bodies, mut pauses) = (Vec::new(), Vec::new());
        for step in status::steps(fault, self.business.read_receipts) {
            let after = self.business.lags.before(step.status);
            at = at.checked_add(after).unwrap_or(Timestamp::MAX);
            message.statuses.push(EmittedStatus { status: step.status.as_str(), at });
            bodies.push(status::body(&message, step, at, self));
            pauses.push(after);
        }
        if treatment.reversed {
            bodies.reverse();
        }
        let webhooks = pauses.into_iter().zip(bodies).map(|(after, body)| Due { after, body }).collect();
        let batch = Batch { customer: message.to.clone(), webhooks, copies: treatment.copies };
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
