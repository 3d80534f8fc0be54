//! Signing webhooks and delivering them, in order per customer, again when the answer is not 200.
//!
//! Each customer with something to deliver has a lane: a queue, and one task that works it off and ends with it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::client;
use super::delivery::{Answer, Attempt, Retry, Webhook};
use super::registrations::Registrations;
use super::time::OwnTime;
use super::world::{Batch, push_bounded};
use crate::connectly::signature::{HEADER, Key};

/// The one who delivers. Clones are the same courier.
#[derive(Clone)]
pub(super) struct Courier {
    shared: Arc<Shared>,
}

struct Shared {
    client: reqwest::Client,
    key: Key,
    time: OwnTime,
    retry: Retry,
    board: Mutex<Board>,
    /// The webhooks that are not yet done with.
    waiting: watch::Sender<usize>,
    stop: CancellationToken,
}

/// What the lanes share. A lane is in the map as long as its task runs.
struct Board {
    address: Option<String>,
    registrations: Registrations,
    lanes: HashMap<String, VecDeque<Parcel>>,
    delivered: VecDeque<Webhook>,
}

/// One delivery that is due.
struct Parcel {
    body: String,
    answer: Option<oneshot::Sender<Answer>>,
}

impl Board {
    /// Where a webhook goes: to those who registered for it, or to the one address while nobody registered for anything.
    /// What goes nowhere has one place all the same, the list.
    fn targets(&self, body: &str) -> Vec<Option<String>> {
        let Some(registered) = self.registrations.targets(body) else {
            return vec![self.address.clone()];
        };
        if registered.is_empty() { vec![None] } else { registered.into_iter().map(Some).collect() }
    }
}

impl Courier {
    /// A courier who signs with this secret.
    pub(super) fn new(
        secret: &SecretString,
        address: Option<String>,
        registrations: Registrations,
        retry: Retry,
        time: OwnTime,
        stop: CancellationToken,
    ) -> reqwest::Result<Self> {
        let board = Board { address, registrations, lanes: HashMap::new(), delivered: VecDeque::new() };
        let shared = Shared {
            client: client::build()?,
            key: Key::new(secret),
            time,
            retry,
            board: Mutex::new(board),
            waiting: watch::Sender::new(0),
            stop,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Delivers to this address from now on, as long as nothing is registered.
    pub(super) fn set_address(&self, address: String) {
        self.board().address = Some(address);
    }

    /// Looks at what is registered, or changes it.
    pub(super) fn registrations<T>(&self, look: impl FnOnce(&mut Registrations) -> T) -> T {
        look(&mut self.board().registrations)
    }

    /// Delivers a batch, each webhook when its time has come, behind what its customer waits for by then. The answer to
    /// the batch's first delivery can be waited for.
    pub(super) fn enqueue(&self, batch: Batch) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let copies = usize::try_from(batch.copies).unwrap_or(usize::MAX);
        self.shared.waiting.send_modify(|waiting| *waiting += batch.webhooks.len() * copies);
        if batch.webhooks.iter().all(|webhook| webhook.after.is_zero()) {
            // Here and now, so that what is handed over in order is queued in order.
            let mut answer = Some(sender);
            for webhook in batch.webhooks {
                self.queue(&batch.customer, webhook.body, copies, answer.take());
            }
        } else {
            let courier = self.clone();
            tokio::spawn(async move { courier.queue_in_time(batch, copies, sender).await });
        }
        receiver
    }

    async fn queue_in_time(&self, batch: Batch, copies: usize, answer: oneshot::Sender<Answer>) {
        let mut answer = Some(answer);
        let in_time = async {
            for webhook in batch.webhooks {
                tokio::time::sleep(webhook.after).await;
                self.queue(&batch.customer, webhook.body, copies, answer.take());
            }
        };
        self.shared.stop.run_until_cancelled(in_time).await;
    }

    /// Puts the copies of a webhook at the end of its customer's lane.
    fn queue(
        &self,
        customer: &str,
        body: String,
        copies: usize,
        mut answer: Option<oneshot::Sender<Answer>>,
    ) {
        let copies = std::iter::repeat_n(body, copies);
        let parcels: VecDeque<Parcel> = copies.map(|body| Parcel { body, answer: answer.take() }).collect();
        let mut board = self.board();
        if let Some(lane) = board.lanes.get_mut(customer) {
            lane.extend(parcels);
        } else {
            board.lanes.insert(customer.to_owned(), parcels);
            let (courier, customer) = (self.clone(), customer.to_owned());
            tokio::spawn(async move { courier.work(customer).await });
        }
    }

    /// Waits until every queued webhook is delivered or given up, or the emulator stops.
    pub(super) async fn idle(&self) {
        let mut waiting = self.shared.waiting.subscribe();
        let drained = waiting.wait_for(|waiting| *waiting == 0);
        self.shared.stop.run_until_cancelled(drained).await;
    }

    /// What was delivered or given up, oldest first.
    pub(super) fn delivered(&self) -> Vec<Webhook> {
        self.board().delivered.iter().cloned().collect()
    }

    /// Works one lane off, until it is empty or the emulator stops.
    async fn work(&self, customer: String) {
        let work = async {
            while let Some(parcel) = self.next(&customer) {
                self.deliver(parcel).await;
                self.shared.waiting.send_modify(|waiting| *waiting -= 1);
            }
        };
        self.shared.stop.run_until_cancelled(work).await;
    }

    /// Takes the next parcel, or closes the lane. Both under one lock: nothing can be queued on a lane that closes.
    fn next(&self, customer: &str) -> Option<Parcel> {
        let mut board = self.board();
        let parcel = board.lanes.get_mut(customer)?.pop_front();
        if parcel.is_none() {
            board.lanes.remove(customer);
        }
        parcel
    }

    async fn deliver(&self, parcel: Parcel) {
        let targets = self.board().targets(&parcel.body);
        let mut answer = None;
        for address in targets {
            let said = self.deliver_to(address, &parcel.body).await;
            answer = answer.or(said);
        }
        if let (Some(waits), Some(answer)) = (parcel.answer, answer) {
            // Nobody waits for the answer to a status.
            let _ = waits.send(answer);
        }
    }

    /// Delivers to one address, or lists what goes nowhere. The last answer.
    async fn deliver_to(&self, address: Option<String>, body: &str) -> Option<Answer> {
        let at = self.shared.time.now();
        let attempts = match &address {
            Some(address) => self.attempts(address, body).await,
            None => Vec::new(),
        };
        let answer = attempts.last().map(|attempt| attempt.answer.clone());
        if let Ok(body) = RawValue::from_string(body.to_owned()) {
            let webhook = Webhook { at, address, body, attempts };
            push_bounded(&mut self.board().delivered, webhook);
        }
        answer
    }

    async fn attempts(&self, address: &str, body: &str) -> Vec<Attempt> {
        let mut pause = self.shared.retry.pause;
        let mut attempts = Vec::new();
        for number in 1..=self.shared.retry.attempts.max(1) {
            if number > 1 {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
            let answer = self.post(address, body).await;
            let accepted = answer.is_accepted();
            tracing::debug!(webhook.attempt = number, webhook.accepted = accepted, "delivered a webhook");
            attempts.push(Attempt { at: self.shared.time.now(), answer });
            if accepted {
                break;
            }
        }
        attempts
    }

    async fn post(&self, address: &str, body: &str) -> Answer {
        let request = self
            .shared
            .client
            .post(address)
            .header(HEADER, self.shared.key.sign(body.as_bytes()))
            .header("content-type", "text/plain; charset=utf-8")
            .header("accept-encoding", "gzip")
            .body(body.to_owned());
        client::answer(request).await
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // Every change under this lock is one step, so what a panic leaves behind is whole.
        self.shared.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
