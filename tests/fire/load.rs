//! Clients that behave as Connectly does: the same body again until it is answered 200, now and then once more after that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Answer, Delivery, Ledger};
use crate::webhooks::sign;

const CLIENTS: usize = 10;
const CUSTOMERS_EACH: usize = 3;
/// All customers, each with one conversation, which one client alone writes to.
pub const CUSTOMERS: usize = CLIENTS * CUSTOMERS_EACH;

/// How fast clients are, and how patient.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The most that one rests between two deliveries.
    pub rest: Duration,
    /// How long it waits for an answer: an instance that stands still gives none.
    pub patience: Duration,
}

/// A load that goes on until it is ended.
pub struct Load {
    clients: JoinSet<Ledger>,
    end: CancellationToken,
    taken: Arc<AtomicUsize>,
}

impl Load {
    pub fn begin(url: &str, seed: u64, pace: Pace) -> Self {
        switchboard::connectly::client::install_crypto_provider();
        let http = reqwest::Client::builder().no_proxy().timeout(pace.patience).build().unwrap();
        let end = CancellationToken::new();
        let taken = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for index in 0..CLIENTS {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(1 + index as u64));
            let client = Client {
                index,
                rest: pace.rest,
                rng,
                http: http.clone(),
                url: url.to_owned(),
                end: end.clone(),
                taken: Arc::clone(&taken),
            };
            clients.spawn(client.run());
        }
        Self { clients, end, taken }
    }

    /// How many deliveries were answered 200 so far, repeats aside.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Lets every client bring its last delivery to a 200.
    pub async fn finish(self) -> Ledger {
        self.end.cancel();
        let mut all = Ledger::default();
        for ledger in self.clients.join_all().await {
            all.merge(ledger);
        }
        all
    }
}

/// Posts a signed body once.
pub async fn post(http: &reqwest::Client, url: &str, body: &str) -> Answer {
    let signed = http.post(url).header("x-connectly-hmac-sha256", sign(body.as_bytes()));
    let Ok(answer) = signed.body(body.to_owned()).send().await else { return Answer::None };
    let status = answer.status().as_u16();
    if status != 200 {
        return Answer::Refused(status);
    }
    let Ok(answer) = answer.json::<Value>().await else { return Answer::None };
    Answer::Kept {
        event: answer["id"].as_str().unwrap().to_owned(),
        duplicate: answer["duplicate"].as_bool().unwrap(),
    }
}

struct Client {
    index: usize,
    rest: Duration,
    rng: StdRng,
    http: reqwest::Client,
    url: String,
    end: CancellationToken,
    taken: Arc<AtomicUsize>,
}

impl Client {
    async fn run(mut self) -> Ledger {
        let mut ledger = Ledger::default();
        let mut next = [0; CUSTOMERS_EACH];
        while !self.end.is_cancelled() {
            let own = self.rng.random_range(0..CUSTOMERS_EACH);
            let mut delivery = Delivery::new(self.index * CUSTOMERS_EACH + own, next[own]);
            next[own] += 1;
            // The first attempt may come twice at the same time.
            let mut copies = if self.rng.random_bool(0.1) { 2 } else { 1 };
            while !delivery.is_acknowledged() {
                self.post(&mut ledger, &mut delivery, copies).await;
                copies = 1;
                if !delivery.is_acknowledged() {
                    self.sleep(Duration::from_millis(150)).await;
                }
            }
            self.taken.fetch_add(1, Ordering::Relaxed);
            if self.rng.random_bool(0.1) {
                self.post(&mut ledger, &mut delivery, 2).await;
            }
            ledger.deliveries.push(delivery);
            self.sleep(self.rest).await;
        }
        ledger
    }

    async fn post(&self, ledger: &mut Ledger, delivery: &mut Delivery, copies: usize) {
        let posts = (0..copies).map(|_| post(&self.http, &self.url, &delivery.body));
        for answer in futures_util::future::join_all(posts).await {
            ledger.note(delivery, answer);
        }
    }

    async fn sleep(&mut self, most: Duration) {
        let millis = u64::try_from(most.as_millis()).unwrap();
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..=millis))).await;
    }
}
