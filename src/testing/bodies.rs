//! What Connectly would post, as seen live.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::connectly::event::status::Status;
use crate::model::event::Customer;
use crate::model::id::CustomerId;

/// A customer's number that belongs to nobody: 555-01xx is kept for fiction.
const CUSTOMER: &str = "+15550100001";
const CUSTOMER_NAME: &str = "Ana";
/// A business's number of the same kind.
pub(super) const BUSINESS: &str = "+15550100002";
pub(super) const BUSINESS_NAME: &str = "Shop";

pub(super) fn customer(id: CustomerId) -> Customer {
    Customer {
        id: Some(id),
        phone: Some(CUSTOMER.to_owned()),
        user_id: None,
        name: Some(CUSTOMER_NAME.to_owned()),
    }
}

pub(super) fn text(at: Timestamp, text: &str) -> Value {
    from_customer(at, "message", &json!({ "text": text }))
}

pub(super) fn button(at: Timestamp, payload: &str) -> Value {
    from_customer(at, "buttonResponse", &json!({ "text": payload, "payload": payload }))
}

pub(super) fn list(at: Timestamp, payload: &str) -> Value {
    from_customer(at, "listResponse", &json!({ "text": payload, "payload": payload }))
}

pub(super) fn echo(at: Timestamp, text: &str) -> Value {
    json!({
        "timestamp": at.as_second().to_string(),
        "sender": { "id": BUSINESS, "name": BUSINESS_NAME },
        "recipient": { "id": CUSTOMER, "name": CUSTOMER_NAME },
        "message": { "text": text, "isEcho": true },
    })
}

pub(super) fn status(at: Timestamp, id: &str, status: Status) -> Value {
    from_customer(at, "statusUpdate", &json!({ "id": id, "status": status.as_str() }))
}

fn from_customer(at: Timestamp, member: &str, content: &Value) -> Value {
    let mut body = json!({
        "timestamp": at.as_second().to_string(),
        "sender": { "id": CUSTOMER, "name": CUSTOMER_NAME },
        "recipient": { "id": BUSINESS, "name": BUSINESS_NAME },
    });
    body[member] = content.clone();
    body
}
