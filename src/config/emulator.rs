//! `[emulator]`: the Connectly on your desk.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Serialize;

use super::section::Section;

/// Where the emulator listens.
#[derive(Debug, Clone, Serialize)]
pub struct EmulatorConfig {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The values of the Host header that are accepted besides loopback ones.
    pub hosts: Vec<String>,
}

impl Default for EmulatorConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8082)), hosts: Vec::new() }
    }
}

impl EmulatorConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            listen: section.address("listen").unwrap_or(default.listen),
            hosts: section.texts("hosts").unwrap_or(default.hosts),
        }
    }
}
