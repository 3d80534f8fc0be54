//! What comes in meanwhile: signed deliveries at a steady rate, from customers whom the history knows.

use std::net::SocketAddr;
use std::time::Duration;

use switchboard::clock::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fill::{CUSTOMERS, mixed, phone};
use crate::webhooks::{inbound, sign};

/// Connections, each with its share of the rate.
const CLIENTS: u32 = 10;

pub struct Traffic {
    clients: JoinSet<u64>,
    end: CancellationToken,
}

impl Traffic {
    /// So many a second; none when it is zero.
    pub fn begin(public: SocketAddr, rate: u32) -> Self {
        switchboard::connectly::client::install_crypto_provider();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
        let end = CancellationToken::new();
        let mut clients = JoinSet::new();
        for client in 0..if rate == 0 { 0 } else { CLIENTS } {
            let pause = Duration::from_secs(1) * CLIENTS / rate;
            clients.spawn(post(http.clone(), public, u64::from(client) << 32, pause, end.clone()));
        }
        Self { clients, end }
    }

    /// Ends it; answers how many were accepted.
    pub async fn end(self) -> u64 {
        self.end.cancel();
        self.clients.join_all().await.into_iter().sum()
    }
}

async fn post(
    http: reqwest::Client,
    public: SocketAddr,
    first: u64,
    pause: Duration,
    end: CancellationToken,
) -> u64 {
    let clock = Clock::system();
    let mut beat = tokio::time::interval(pause);
    let mut accepted = 0;
    while end.run_until_cancelled(beat.tick()).await.is_some() {
        let customer = phone(mixed(first + accepted) % CUSTOMERS);
        let body = inbound(&customer, &clock.ulid().to_string(), clock.now(), "and another question");
        let signed = http.post(format!("http://{public}/webhooks/connectly"));
        let signed = signed.header("x-connectly-hmac-sha256", sign(body.as_bytes()));
        assert_eq!(signed.body(body).send().await.unwrap().status(), 200);
        accepted += 1;
    }
    accepted
}
