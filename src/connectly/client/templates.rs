//! The templates of a business, with what became of their approval.

use jiff::Timestamp;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, word};
use super::{CallError, Client};

/// A template in one language, as Connectly lists it. What comes from an open set is a word in small letters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedTemplate {
    /// The name that a send gives.
    pub name: String,
    /// The language that a send gives, as in `en` or `pt_BR`; empty when the answer has none.
    pub language: String,
    /// `pending`, `approved`, `rejected`, or what Connectly says beside these; empty when the answer has none.
    pub status: String,
    /// Why it was rejected, as in `INVALID_FORMAT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection_reason: Option<String>,
    /// `marketing`, `utility`, `authentication`, or another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The kind of channel that it is for, as in `whatsapp_cloud`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Connectly's id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// What it is made of, as Connectly prints it; a list.
    pub components: Value,
}

impl Client {
    /// Every template of the business, a language each.
    pub async fn templates(&self) -> Result<Vec<ListedTemplate>, CallError> {
        // Documented as a POST with an empty body.
        let answer = self.call(Method::POST, self.below(&["get", "templates"]), Some(Vec::new())).await?;
        answer.read(templates)
    }
}

impl ListedTemplate {
    /// The words of its body, with `{{1}}` where a parameter goes.
    pub fn body(&self) -> Option<&str> {
        let components = self.components.as_array()?;
        components.iter().find_map(|component| {
            let own = component.pointer("/body/text/text");
            let of_whatsapp = || component.get("text").filter(|_| component["type"] == "BODY");
            own.or_else(of_whatsapp).and_then(Value::as_str)
        })
    }
}

/// `{"entity": {"templateGroups": [{"name", "category", "templates": [...]}]}}`, where protobuf leaves out what is empty.
fn templates(value: &Value) -> Option<Vec<ListedTemplate>> {
    let fields = Fields::of(value)?;
    let entity = fields.object("entity").unwrap_or(fields);
    let groups = entity.list("templateGroups").iter().filter_map(Fields::of);
    let listed = groups.flat_map(|group| {
        let templates = group.list("templates").iter().filter_map(Fields::of);
        templates.filter_map(move |template| listed(group, template))
    });
    Some(listed.collect())
}

fn listed(group: Fields<'_>, template: Fields<'_>) -> Option<ListedTemplate> {
    let whatsapp = template.object("externalTemplate").and_then(|external| external.object("whatsapp"));
    let of_whatsapp = |name| whatsapp.and_then(|whatsapp| whatsapp.text(name));
    let language = template.object("language").and_then(|language| language.text("code"));
    let language = language.or_else(|| template.text("language")).or_else(|| of_whatsapp("language"));
    let reason = template.text("rejectionReason").or_else(|| of_whatsapp("rejectedReason"));
    let components = ["templateComponents", "components"].into_iter().find_map(|name| template.get(name));
    let components = components.or_else(|| whatsapp.and_then(|whatsapp| whatsapp.get("components")));
    let channel = template.object("channel").and_then(|channel| channel.text("channelType"));
    Some(ListedTemplate {
        name: group.text("name").or_else(|| of_whatsapp("name")).or_else(|| group.text("id"))?,
        language: language.unwrap_or_default(),
        status: template
            .text("status")
            .or_else(|| of_whatsapp("status"))
            .map(|status| word(&status, "MESSAGE_TEMPLATE_STATUS_"))
            .unwrap_or_default(),
        rejection_reason: reason.filter(|reason| !reason.eq_ignore_ascii_case("none")),
        category: group.text("category").map(|text| word(&text, "MESSAGE_TEMPLATE_GROUP_CATEGORY_")),
        channel: channel.map(|text| word(&text, "CHANNEL_TYPE_")),
        id: template.text("id"),
        created_at: template.text("createdAt").as_deref().and_then(moment),
        updated_at: template
            .text("updatedAt")
            .or_else(|| of_whatsapp("lastUpdatedTime"))
            .as_deref()
            .and_then(moment),
        components: components
            .filter(|value| value.is_array())
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new())),
    })
}

/// RFC 3339, to the nanosecond, or with WhatsApp's offset without a colon.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
