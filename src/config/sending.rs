//! `[sending]` and `[replies]`: how messages leave.

use std::time::Duration;

use serde::Serialize;

use super::section::Section;
use super::shown;

/// How messages are handed to Connectly.
#[derive(Debug, Clone, Serialize)]
pub struct SendingConfig {
    /// How long before its end a 24-hour window counts as closed.
    #[serde(serialize_with = "shown::duration")]
    pub window_margin: Duration,
    /// The time that a connection to Connectly may take.
    #[serde(serialize_with = "shown::duration")]
    pub connect_timeout: Duration,
    /// The time that a whole request to Connectly may take.
    #[serde(serialize_with = "shown::duration")]
    pub timeout: Duration,
    /// What is done about WhatsApp's limits that Connectly does not state.
    pub whatsapp_limits: WhatsAppLimits,
}

/// What is done about WhatsApp's limits that Connectly does not state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhatsAppLimits {
    /// What exceeds one is refused before it is queued.
    Enforce,
    /// What exceeds one is sent all the same, and logged.
    Warn,
}

/// The brake on replies, so that two programs cannot talk to each other for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RepliesConfig {
    /// The most replies that leave per conversation and minute; the send over the limit is parked.
    pub per_minute: u32,
    /// How long rules keep quiet after somebody of the business wrote from elsewhere, as an echo shows.
    #[serde(serialize_with = "shown::duration")]
    pub echo_mutes: Duration,
}

impl Default for SendingConfig {
    fn default() -> Self {
        Self {
            window_margin: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            whatsapp_limits: WhatsAppLimits::Enforce,
        }
    }
}

impl SendingConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let limits = [("enforce", WhatsAppLimits::Enforce), ("warn", WhatsAppLimits::Warn)];
        let timeouts = || Duration::from_millis(100)..=Duration::from_mins(5);
        Self {
            window_margin: section
                .duration("window_margin", Duration::ZERO..=Duration::from_hours(12))
                .unwrap_or(default.window_margin),
            connect_timeout: section
                .duration("connect_timeout", timeouts())
                .unwrap_or(default.connect_timeout),
            timeout: section.duration("timeout", timeouts()).unwrap_or(default.timeout),
            whatsapp_limits: section.choice("whatsapp_limits", &limits).unwrap_or(default.whatsapp_limits),
        }
    }
}

impl Default for RepliesConfig {
    fn default() -> Self {
        Self { per_minute: 20, echo_mutes: Duration::from_hours(2) }
    }
}

impl RepliesConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        // What was written longer ago is not looked for.
        let quiet = Duration::ZERO..=Duration::from_hours(24);
        Self {
            per_minute: section.integer("per_minute", 1..=10_000).unwrap_or(default.per_minute),
            echo_mutes: section.duration("echo_mutes", quiet).unwrap_or(default.echo_mutes),
        }
    }
}
