//! Connectly's side, in this process: who is answered has to have written there first.

use secrecy::SecretString;
use switchboard::clock::Clock;
use switchboard::emulator::{Emulator, Inbound, Rate, Settings};

use crate::load::SHOP;
use crate::process::{API_KEY, Server};
use crate::webhooks::SECRET;

/// More than anything here sends.
const RATE: Rate = Rate { per_second: 10_000, burst: 10_000 };
/// So that the product does not hold back either.
const ACCOUNT: &str = "[accounts.default]\nrate = { per_second = 10000, burst = 10000 }\n";

/// An emulator of the business whose number customers write to.
pub(crate) async fn start() -> Emulator {
    let secret = |text: &str| SecretString::from(text.to_owned());
    let settings = Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        business_number: SHOP.to_owned(),
        rate: RATE,
        ..Settings::new("biz", secret(API_KEY), secret(SECRET))
    };
    Emulator::start(settings, Clock::system()).await.unwrap()
}

/// The product beside it, with these routes: it sends there, and is told of what becomes of it.
pub(crate) fn serve(emulator: &Emulator, database: &str, routes: &str) -> Server {
    let config = format!("{ACCOUNT}{routes}");
    let server = Server::start(database, &emulator.url(), &config, "warn,switchboard::app=info");
    emulator.set_webhook_url(server.webhook_url());
    server
}

/// A customer writes.
pub(crate) async fn write(emulator: &Emulator, phone: String) {
    let text = "Hello, I would like to know where my order is.".to_owned();
    let inbound = Inbound { from: Some(phone), text: Some(text), ..Inbound::default() };
    emulator.inbound(inbound).await.unwrap();
}
