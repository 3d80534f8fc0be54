//! What becomes of an accepted message, and the webhooks that tell of it.

use jiff::Timestamp;
use serde_json::json;

use super::errors::{ErrorBody, Refusal};
use super::faults::SendFault;
use super::message::SentMessage;
use super::time::unix_seconds;
use super::wire::{Party, StatusUpdate, StatusWebhook};
use super::world::World;

/// One step of a message on its way.
pub(super) struct Step {
    /// Connectly's word for it.
    pub(super) status: &'static str,
    error: Option<ErrorBody>,
}

impl Step {
    fn reached(status: &'static str) -> Self {
        Self { status, error: None }
    }

    fn failed(error: ErrorBody) -> Self {
        Self { status: "delivery_failed", error: Some(error) }
    }
}

/// The steps of a message that suffers this fault: sent, delivered and read, unless it fails.
pub(super) fn steps(fault: Option<&SendFault>, read_receipts: bool) -> Vec<Step> {
    match fault {
        Some(SendFault::WindowRefusedLater) => vec![Step::failed(Refusal::Window.into())],
        Some(SendFault::Failed { code, error_type }) => {
            vec![Step::failed(ErrorBody::of_code(code, error_type.as_deref()))]
        }
        Some(
            SendFault::RateLimited { .. }
            | SendFault::ServerError { .. }
            | SendFault::ServerErrorAfterAccepting { .. }
            | SendFault::LostAnswer
            | SendFault::Slow { .. }
            | SendFault::WindowRefused,
        )
        | None => {
            let mut steps = vec![Step::reached("sent"), Step::reached("delivered")];
            if read_receipts {
                steps.push(Step::reached("read"));
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
        recipient: Party::named(&message.to, world.name_of(&message.to)),
        callback_data: message.callback_data.as_deref(),
        status_update: StatusUpdate {
            id: message.id.clone(),
            status: step.status,
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
