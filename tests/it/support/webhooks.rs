//! Bodies as Connectly sends them, and their signatures.

use secrecy::SecretString;
use switchboard::connectly::signature::Key;

pub const SECRET: &str = "webhook-secret";
pub const CUSTOMER: &str = "+15550100001";
pub const BUSINESS: &str = "+15550100002";

pub fn sign(body: &[u8]) -> String {
    Key::new(&SecretString::from(SECRET)).sign(body)
}

/// A text from a customer, as live traffic shows it. `id` is Connectly's message id.
pub fn inbound(customer: &str, id: &str, at: jiff::Timestamp, text: &str) -> String {
    serde_json::json!({
        "timestamp": at.as_second().to_string(),
        "sender": { "id": customer, "channelType": "whatsapp", "name": "Ana" },
        "recipient": { "id": BUSINESS, "channelType": "whatsapp", "name": "Shop" },
        "message": { "id": id, "text": text, "attachments": [], "location": null },
    })
    .to_string()
}

/// A delivery status of a message to [`CUSTOMER`].
pub fn status(id: &str, status: &str, at: jiff::Timestamp) -> String {
    serde_json::json!({
        "topic": "delivery_status",
        "timestamp": at.as_second().to_string(),
        "sender": { "id": BUSINESS, "channelType": "whatsapp", "name": null },
        "recipient": { "id": CUSTOMER, "channelType": "whatsapp", "name": null },
        "statusUpdate": { "id": id, "status": status, "error": null },
    })
    .to_string()
}
