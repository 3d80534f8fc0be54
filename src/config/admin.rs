//! `[admin]`: the listener for operators, behind a token.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::SecretString;
use serde::Serialize;

use super::section::Section;
use super::shown;

/// The listener of the admin API and the dashboard.
#[derive(Debug, Clone, Serialize)]
pub struct AdminConfig {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What clients show as their bearer token. `serve` insists on one.
    #[serde(serialize_with = "shown::optional_secret")]
    pub token: Option<SecretString>,
    /// The values of the Host header that are accepted besides loopback ones.
    pub hosts: Vec<String>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)), token: None, hosts: Vec::new() }
    }
}

impl AdminConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            listen: section.address("listen").unwrap_or(default.listen),
            token: section.secret("token", "token_file"),
            hosts: section.texts("hosts").unwrap_or(default.hosts),
        }
    }
}
