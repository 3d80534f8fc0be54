//! `[public]`: the listener that Connectly posts to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::section::Section;
use super::shown;

/// The listener that Connectly posts to, and what it takes from a client.
#[derive(Debug, Clone, Serialize)]
pub struct PublicConfig {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What the listener is called from outside, without a slash at the end: `https://hooks.example.com`.
    pub url: Option<String>,
    /// The most bytes of one request's body.
    #[serde(serialize_with = "shown::size")]
    pub body_limit: usize,
    /// The most bytes of bodies that are held at a time, over all requests.
    #[serde(serialize_with = "shown::size")]
    pub bodies_in_flight: usize,
    /// The time that a client has for a TLS handshake, for a request's headers, and for its body.
    #[serde(serialize_with = "shown::duration")]
    pub read_timeout: Duration,
    /// The most connections at a time; then the one that was used longest ago makes room for the next.
    pub connections: usize,
    /// Certificate and key; none for plain HTTP.
    pub tls: Option<TlsConfig>,
}

/// The files that a TLS listener needs. A relative path begins at the folder that the process runs in.
#[derive(Debug, Clone, Serialize)]
pub struct TlsConfig {
    /// The path of the certificate chain, in PEM.
    pub certificate: PathBuf,
    /// The path of its private key, in PEM.
    pub key: PathBuf,
}

impl Default for PublicConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            url: None,
            body_limit: 1 << 20,
            bodies_in_flight: 64 << 20,
            read_timeout: Duration::from_secs(10),
            connections: 10_000,
            tls: None,
        }
    }
}

impl PublicConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let config = Self {
            listen: section.address("listen").unwrap_or(default.listen),
            url: section.public_url("url"),
            body_limit: section.size("body_limit", 1 << 10..=16 << 20).unwrap_or(default.body_limit),
            bodies_in_flight: section
                .size("bodies_in_flight", 1 << 20..=16 << 30)
                .unwrap_or(default.bodies_in_flight),
            read_timeout: section
                .duration("read_timeout", Duration::from_millis(100)..=Duration::from_mins(5))
                .unwrap_or(default.read_timeout),
            connections: section.integer("connections", 16..=1_000_000).unwrap_or(default.connections),
            tls: section.optional_section("tls", TlsConfig::read).flatten(),
        };
        if config.body_limit > config.bodies_in_flight {
            section
                .problem("bodies_in_flight", "is less than body_limit, expected room for one body at least");
        }
        config
    }
}

impl TlsConfig {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let [certificate, key] = ["certificate", "key"].map(|key| {
            section.require(key, "the path of a PEM file");
            section.text(key)
        });
        Some(Self { certificate: certificate?.into(), key: key?.into() })
    }
}
