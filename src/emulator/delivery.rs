//! What is told of each webhook: where it went, how often, and what was answered.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// How often and how patiently a webhook is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Deliveries in all, at least one.
    pub attempts: u32,
    /// The pause before the second delivery; it doubles before each further one.
    pub pause: Duration,
}

impl Default for Retry {
    /// Five attempts within about two seconds. Connectly documents neither number; an endpoint that restarts is found
    /// again, and a person at a desk does not wait long.
    fn default() -> Self {
        Self { attempts: 5, pause: Duration::from_millis(100) }
    }
}

/// A webhook that was due, and what became of it.
#[derive(Clone, Serialize)]
pub struct Webhook {
    /// When it was handed to delivery, by the emulator's time.
    pub at: Timestamp,
    /// The endpoint; null when none was set or nobody registered for it, and then there are no attempts.
    pub address: Option<String>,
    /// The body as it was signed.
    pub body: Box<RawValue>,
    /// Each delivery of it, in order.
    pub attempts: Vec<Attempt>,
}

/// One delivery of a webhook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// When its answer came, by the emulator's time.
    pub at: Timestamp,
    /// What came of it.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What the endpoint answered to a delivery.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// An HTTP answer.
    Answered {
        /// Its status; only 200 counts as delivered.
        status: u16,
        /// Its body, as JSON where it is JSON, else as text.
        body: Value,
    },
    /// No answer.
    Unanswered {
        /// Why not, in a few words.
        error: &'static str,
    },
}

impl Answer {
    /// Whether Connectly would not deliver it again.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Answered { status: 200, .. })
    }
}
