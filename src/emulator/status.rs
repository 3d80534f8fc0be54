//! What becomes of an accepted message, and the webhooks that tell of it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::Settings;
use super::errors::{ErrorBody, Refusal};
use super::faults::SendFault;
use super::message::SentMessage;
use super::time::unix_seconds;
use super::wire::{Party, StatusUpdate, StatusWebhook};
use super::world::World;

/// What a status webhook can say of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Sent,
    Delivered,
    Read,
    Failed,
}

impl Status {
    /// Connectly's word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "delivery_failed",
        }
    }
}

/// The pauses before the statuses of a message.
pub(super) struct Lags {
    each: Duration,
    delivered: Duration,
    read: Duration,
}

impl Lags {
    /// The pauses that were set.
    pub(super) fn of(settings: &Settings) -> Self {
        let each = settings.status_lag;
        Self {
            each,
            delivered: settings.delivered_lag.unwrap_or(each),
            read: settings.read_lag.unwrap_or(each),
        }
    }

    /// The pause between this status and what came before it.
    pub(super) fn before(&self, status: Status) -> Duration {
        match status {
            Status::Sent | Status::Failed => self.each,
            Status::Delivered => self.delivered,
            Status::Read => self.read,
        }
    }
}

/// One step of a message on its way.
pub(super) struct Step {
    pub(super) status: Status,
    error: Option<ErrorBody>,
}

impl Step {
    fn reached(status: Status) -> Self {
        Self { status, error: None }
    }

    fn failed(error: ErrorBody) -> Self {
        Self { status: Status::Failed, error: Some(error) }
    }
}

/// The steps of a message that suffers this fault: sent, delivered and read, unless it fails.
pub(super) fn steps(fault: Option<&SendFault>, read_receipts: bool) -> Vec<Step> {
    match fault {
        Some(SendFault::WindowRefusedLater) => vec![Step::failed(Refusal::Window.into())],
        Some(SendFault::OptedOutLater) => vec![Step::failed(Refusal::OptedOut.into())],
        Some(SendFault::Failed { code, error_type }) => {
            vec![Step::failed(ErrorBody::of_code(code, error_type.as_deref()))]
        }
        Some(
            SendFault::RateLimited { .. }
            | SendFault::ServerError { .. }
            | SendFault::ServerErrorAfterAccepting { .. }
            | SendFault::LostAnswer
            | SendFault::Slow { .. }
            | SendFault::WindowRefused
            | SendFault::OptedOut
            | SendFault::Refused { .. }
            | SendFault::WrongSender,
        )
        | None => {
            let mut steps = vec![Step::reached(Status::Sent), Step::reached(Status::Delivered)];
            if read_receipts {
                steps.push(Step::reached(Status::Read));
            }
            steps
        }
    }
}

/// The webhook's body for one step of a message, its callbackData byte for byte as it was given.
pub(super) fn body(message: &SentMessage, step: Step, at: Timestamp, world: &World) -> String {
    let webhook = StatusWebhook {
        topic: "delivery_status",
        timestamp: unix_seconds(at),
        sender: Party::named(&message.from, Some(&world.business.name)),
        recipient: world.party(&message.to),
        callback_data: message.callback_data.as_deref(),
        status_update: StatusUpdate {
            id: message.id.clone(),
            status: step.status.as_str(),
            error: step.error,
            metadata: message.campaign_name.as_ref().map(|name| json!({"campaignName": name})),
        },
    };
    to_json(&webhook)
}

/// The JSON text of one of the wire structs.
pub(super) fn to_json(webhook: &impl serde::Serialize) -> String {
    serde_json::to_string(webhook).expect("wire structs have string keys and no failing fields")
}
