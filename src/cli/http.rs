//! HTTP as every command speaks it, and what can go wrong before there is an answer.

use std::error::Error;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, ClientBuilder, redirect};

/// Waiting longer for a connection means that nothing is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence on a connection, streams included, which say something at least twice a minute.
const READ_TIMEOUT: Duration = Duration::from_secs(90);
/// The whole of one request; the slowest are searches in a large store.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Between two looks whether the other side of a silent connection is still there, and how often it may not answer.
const KEEPALIVE: (Duration, u32) = (Duration::from_secs(15), 4);

/// An HTTP client for one command: it keeps to the address it was given, without redirects or proxies.
pub fn client() -> anyhow::Result<Client> {
    built(builder().read_timeout(READ_TIMEOUT))
}

/// The same for what may take long and says nothing meanwhile: it waits for as long as the other side is there.
pub fn patient_client() -> anyhow::Result<Client> {
    let (interval, retries) = KEEPALIVE;
    let builder = builder().tcp_keepalive(interval).tcp_keepalive_interval(interval);
    built(builder.tcp_keepalive_retries(retries))
}

fn built(builder: ClientBuilder) -> anyhow::Result<Client> {
    builder.build().context("cannot prepare an HTTP client")
}

fn builder() -> ClientBuilder {
    // An error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
}

/// What the system said, without the layers around it.
pub fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
