//! The templates that the emulator lists, in every state of approval, as Connectly prints them.

use serde_json::{Value, json};

/// A template in one language.
struct Entry {
    name: &'static str,
    category: &'static str,
    language: &'static str,
    status: &'static str,
    rejection_reason: Option<&'static str>,
    body: &'static str,
}

const ENTRIES: &[Entry] = &[
    approved("order_update", "UTILITY", "en", "Hi {{1}}, your order {{2}} is on its way."),
    approved("order_update", "UTILITY", "pt_BR", "Olá {{1}}, seu pedido {{2}} está a caminho."),
    approved("hello_world", "UTILITY", "en", "Hello! This message shows that everything works."),
    Entry {
        status: "PENDING",
        ..approved("summer_sale", "MARKETING", "en", "Hi {{1}}, summer is here: 20% off until Sunday.")
    },
    Entry {
        status: "REJECTED",
        rejection_reason: Some("INVALID_FORMAT"),
        ..approved("winter_sale", "MARKETING", "en", "Hi {{1}}, use the code {{3}}.")
    },
];

/// When each of them was made. To the nanosecond, as Connectly has it.
const CREATED_AT: &str = "2026-01-18T01:07:20.075195879Z";

const fn approved(
    name: &'static str,
    category: &'static str,
    language: &'static str,
    body: &'static str,
) -> Entry {
    Entry { name, category, language, status: "APPROVED", rejection_reason: None, body }
}

/// `entity.templateGroups` of `POST get/templates`: a group for each name. `number` is the business's WhatsApp number.
pub(super) fn template_groups(number: &str) -> Vec<Value> {
    let groups = ENTRIES.chunk_by(|one, next| one.name == next.name);
    groups
        .map(|entries| {
            let templates: Vec<Value> = entries.iter().map(|entry| template(entry, number)).collect();
            let Entry { name, category, .. } = entries[0];
            json!({"id": name, "name": name, "category": category, "templates": templates})
        })
        .collect()
}

fn template(entry: &Entry, number: &str) -> Value {
    let components = json!([{"body": {"text": {"text": entry.body, "example": []}}}]);
    json!({
        "id": format!("{}:{}", entry.name, entry.language),
        "language": {"code": entry.language},
        "status": format!("MESSAGE_TEMPLATE_STATUS_{}", entry.status),
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
        "templateComponents": components,
        "rejectionReason": entry.rejection_reason,
        "channel": {"id": "channel-1", "externalId": number, "channelType": "CHANNEL_TYPE_WHATSAPP_CLOUD"},
    })
}
