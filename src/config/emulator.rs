//! `[emulator]`: the Connectly on your desk.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::section::Section;
use super::shown;

/// Where the emulator listens, and how it behaves.
#[derive(Debug, Clone, Serialize)]
pub struct EmulatorConfig {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The values of the Host header that are accepted besides loopback ones.
    pub hosts: Vec<String>,
    /// Whether a template that is not in the emulator's list is accepted as long as its name could be one.
    pub any_template: bool,
    /// The pause before each status of a message.
    #[serde(serialize_with = "shown::duration")]
    pub status_lag: Duration,
    /// The pause between `sent` and `delivered`; absent: `status_lag`.
    #[serde(serialize_with = "shown::optional_duration")]
    pub delivered_lag: Option<Duration>,
    /// The pause between `delivered` and `read`; absent: `status_lag`.
    #[serde(serialize_with = "shown::optional_duration")]
    pub read_lag: Option<Duration>,
}

impl Default for EmulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8082)),
            hosts: Vec::new(),
            any_template: true,
            status_lag: Duration::from_millis(150),
            delivered_lag: None,
            read_lag: None,
        }
    }
}

impl EmulatorConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let lags = || Duration::ZERO..=Duration::from_hours(24);
        Self {
            listen: section.address("listen").unwrap_or(default.listen),
            hosts: section.texts("hosts").unwrap_or(default.hosts),
            any_template: section.boolean("any_template").unwrap_or(default.any_template),
            status_lag: section.duration("status_lag", lags()).unwrap_or(default.status_lag),
            delivered_lag: section.duration("delivered_lag", lags()),
            read_lag: section.duration("read_lag", lags()),
        }
    }
}
