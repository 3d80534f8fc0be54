//! A Connectly on your desk: an HTTP server that stands in for Connectly, for people without an account and for tests.
//!
//! It accepts session messages and templates as Connectly documents them, applies the 24-hour rule on a clock of its own, and delivers
//! signed webhooks: a message's statuses, and what customers say. What goes wrong in production can be made to go wrong
//! here, by name ([`Fault`]).
//!
//! Webhooks go where they are registered, as at Connectly (`registrations`); as long as nothing is, to the address in the
//! settings.
//!
//! It must not know how the service decodes: of the rest of the house it uses the signature and the clock alone, and its
//! wire structs are its own. The state (`world`) is pure; the endpoints (`send`, `control`) only carry to it and
//! from it, and `webhooks` delivers.
//!
//! To add an endpoint of Connectly's: a request in `wire`, its checks and meaning beside `outbound` and in `world.rs`,
//! a handler beside `send.rs`, a line in `page.txt`.

mod account;
mod catalog;
mod chat;
mod client;
mod connection;
mod control;
mod delivery;
mod desk;
mod echo;
mod errors;
mod faults;
mod host;
mod inbound;
mod message;
mod outbound;
mod pattern;
mod rate;
mod registrations;
mod reply;
mod send;
mod settings;
mod speech;
mod status;
mod templates;
mod time;
mod webhooks;
mod wire;
mod world;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::post;
use axum::{Router, middleware};
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use connection::{Connection, Listener};
use desk::Desk;
use registrations::Registrations;
use time::OwnTime;
use webhooks::Courier;

pub use delivery::{Answer, Attempt, Retry, Webhook};
pub use desk::InboundAnswer;
pub use faults::{Fault, SendFault, Share, WebhookFault};
pub use inbound::{Inbound, InboundError};
pub use message::{EmittedStatus, SentMessage};
pub use rate::Rate;
pub use registrations::ExistingTopic;
pub use reply::{Button, ListPick, ListShape, Shape};
pub use settings::Settings;
pub use wire::{Attachment, Location};

/// A running emulator. It stops when it is dropped; [`Emulator::stop`] also waits for its connections to end.
pub struct Emulator {
    desk: Arc<Desk>,
    address: SocketAddr,
    server: JoinHandle<()>,
    _stop: DropGuard,
}

impl Emulator {
    /// Starts serving. When this returns, the address is bound and requests are answered.
    pub async fn start(settings: Settings, clock: Clock) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let time = OwnTime::over(clock);
        let courier = Courier::new(
            &settings.webhook_secret,
            settings.webhook_url.clone(),
            Registrations::new(settings.existing_topic),
            settings.retry,
            time.clone(),
            stop.clone(),
        )
        .map_err(io::Error::other)?;
        let listener = Listener::bind(settings.listen).await?;
        let address = axum::serve::Listener::local_addr(&listener)?;
        let desk = Arc::new(Desk::new(settings, time, courier, stop.clone()));
        let service = router(&desk).into_make_service_with_connect_info::<Connection>();
        let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the emulator stopped serving");
            }
        });
        tracing::info!(%address, "the emulator listens");
        Ok(Self { desk, address, server, _stop: stop.drop_guard() })
    }

    /// Where it listens; with port 0 in the settings, the port it was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL to use in place of `https://api.connectly.ai`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Delivers webhooks to this URL from now on, as long as nothing is registered.
    pub fn set_webhook_url(&self, url: impl Into<String>) {
        self.desk.courier.set_address(url.into());
    }

    /// Lets a customer say something, and waits for what the webhook's endpoint answers.
    pub async fn inbound(&self, inbound: Inbound) -> Result<InboundAnswer, InboundError> {
        self.desk.inbound(inbound).await
    }

    /// Makes something go wrong with the next `count` sends.
    pub fn inject(&self, fault: impl Into<Fault>, count: u32) {
        self.desk.inject(fault.into(), count);
    }

    /// Makes something go wrong with a share of all sends from now on, drawn at random; it replaces what was said before.
    pub fn set_shares(&self, shares: Vec<Share>) {
        self.desk.world().faults.set_shares(shares);
    }

    /// Forgets the faults that still wait, and the shares.
    pub fn clear_faults(&self) {
        self.desk.world().faults.clear();
    }

    /// Delivers the statuses that were withheld, and answers how many there are.
    pub fn release(&self) -> usize {
        self.desk.release()
    }

    /// Moves the emulator's time on. The service's clock stays; when that moves, the emulator follows.
    pub fn advance(&self, by: Duration) {
        self.desk.time.advance(by);
    }

    /// The emulator's time.
    pub fn now(&self) -> Timestamp {
        self.desk.time.now()
    }

    /// Every message accepted, oldest first.
    pub fn messages(&self) -> Vec<SentMessage> {
        self.desk.world().messages.iter().cloned().collect()
    }

    /// Every webhook delivered or given up, oldest first.
    pub fn webhooks(&self) -> Vec<Webhook> {
        self.desk.courier.delivered()
    }

    /// The conversations as text, one line a message.
    pub fn chat(&self) -> String {
        chat::render(&self.desk.world(), self.now())
    }

    /// Waits until no webhook waits to be delivered. Those withheld do not count.
    pub async fn idle(&self) {
        self.desk.courier.idle().await;
    }

    /// Stops: no more webhooks, and no more requests once those in flight are answered.
    pub async fn stop(self) {
        self.desk.stop.cancel();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the emulator's server did not end by itself");
        }
    }
}

fn router(desk: &Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/businesses/{business_id}/send/messages", post(send::session))
        .route("/v1/businesses/{business_id}/send/whatsapp_templated_messages", post(send::template))
        .merge(account::router())
        .merge(control::router())
        .fallback(errors::not_found)
        .layer(middleware::from_fn_with_state(desk.clone(), host::guard))
        .with_state(desk.clone())
}
