//! The templates as Connectly lists them.

use serde_json::{Value, json};

use super::templates::{Header, Review, TEMPLATES, Template, Translation};

/// When each of them was made. To the nanosecond, as Connectly has it.
const CREATED_AT: &str = "2026-01-18T01:07:20.075195879Z";
/// What a header of media shows in its review.
const EXAMPLE: &str = "https://shop.example/example";

/// `entity.templateGroups` of `POST get/templates`: a group for each name. `number` is the business's WhatsApp number.
pub(super) fn template_groups(number: &str) -> Vec<Value> {
    TEMPLATES.iter().map(|template| group(template, number)).collect()
}

fn group(template: &Template, number: &str) -> Value {
    let Template { name, category, translations, .. } = template;
    let translations: Vec<Value> =
        translations.iter().map(|translation| listed(template, translation, number)).collect();
    json!({"id": name, "name": name, "category": category, "templates": translations})
}

fn listed(template: &Template, translation: &Translation, number: &str) -> Value {
    let (status, rejection_reason) = match template.review {
        Review::Approved => ("APPROVED", None),
        Review::Pending => ("PENDING", None),
        Review::Rejected(reason) => ("REJECTED", Some(reason)),
    };
    json!({
        "id": format!("{}:{}", template.name, translation.language),
        "language": {"code": translation.language},
        "status": format!("MESSAGE_TEMPLATE_STATUS_{status}"),
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
        "templateComponents": components(translation),
        "rejectionReason": rejection_reason,
        "channel": {"id": "channel-1", "externalId": number, "channelType": "CHANNEL_TYPE_WHATSAPP_CLOUD"},
    })
}

/// Header and body. How Connectly prints buttons and cards is not documented, so they are left out.
fn components(translation: &Translation) -> Vec<Value> {
    let text = |text: &str| json!({"text": {"text": text, "example": []}});
    let media = |kind: &str| json!({"media": {"type": kind, "example": [EXAMPLE]}});
    let header = translation.header.as_ref().map(|header| match header {
        Header::Text(words) => text(words),
        Header::Image => media("TYPE_IMAGE"),
        Header::Document => media("TYPE_DOCUMENT"),
        Header::Video => media("TYPE_VIDEO"),
    });
    let header = header.map(|header| json!({"header": header}));
    header.into_iter().chain([json!({"body": text(translation.body)})]).collect()
}
