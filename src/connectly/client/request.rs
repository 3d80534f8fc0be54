//! The body of a send request.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::connectly::message::Message;
use crate::connectly::order::Order;
use crate::connectly::template::{Parameter, Template};

/// One free-form message on its way to one customer. It was validated before: the client sends what it is given.
#[derive(Clone, Copy)]
pub struct SessionRequest<'a> {
    /// The business number it leaves from, `+` and digits.
    pub sender: &'a str,
    /// Who gets it.
    pub recipient: Recipient<'a>,
    /// What is sent.
    pub message: &'a Message,
    /// What Connectly echoes in the message's events; JSON null is sent as null, `None` not at all.
    pub callback_data: Option<&'a Value>,
    /// The campaign the message is counted under.
    pub campaign: Option<&'a str>,
    /// What it waits for at Connectly.
    pub order: Option<&'a Order>,
}

/// One template on its way to one customer.
#[derive(Clone, Copy)]
pub struct TemplateRequest<'a> {
    /// The business number it leaves from, `+` and digits.
    pub sender: &'a str,
    /// Who gets it.
    pub recipient: Recipient<'a>,
    /// What is sent.
    pub template: &'a Template,
    /// What Connectly echoes in the message's events; JSON null is sent as null, `None` not at all.
    pub callback_data: Option<&'a Value>,
    /// The campaign the message is counted under.
    pub campaign: Option<&'a str>,
}

/// A customer's address.
#[derive(Clone, Copy)]
pub enum Recipient<'a> {
    /// A phone number, `+` and digits.
    Phone(&'a str),
    /// A business-scoped user id, bare, of a customer whose number is not known.
    UserId(&'a str),
    /// Both, of a customer known by both.
    Both {
        /// The phone number.
        phone: &'a str,
        /// The business-scoped user id.
        user_id: &'a str,
    },
}

impl SessionRequest<'_> {
    /// The JSON that Connectly documents; `None` only when the parts cannot be written as JSON.
    pub(super) fn to_json(self) -> Option<Vec<u8>> {
        serde_json::to_vec(&Body {
            sender: Endpoint::whatsapp(self.sender, None),
            recipient: self.recipient.endpoint(),
            message: self.message,
            callback_data: self.callback_data,
            campaign_name: self.campaign,
            order: self.order,
        })
        .ok()
    }
}

impl TemplateRequest<'_> {
    /// The JSON that Connectly documents; `None` only when the parts cannot be written as JSON.
    pub(super) fn to_json(self) -> Option<Vec<u8>> {
        serde_json::to_vec(&TemplateBody {
            sender: self.sender,
            number: self.recipient.number(),
            template_name: &self.template.name,
            language: &self.template.language,
            parameters: &self.template.parameters,
            callback_data: self.callback_data,
            campaign_name: self.campaign,
        })
        .ok()
    }
}

impl<'a> Recipient<'a> {
    /// The one address of a template: a phone number, else the BSUID with a prefix, unlike in session messages.
    fn number(self) -> Cow<'a, str> {
        match self {
            Self::Phone(phone) | Self::Both { phone, .. } => Cow::Borrowed(phone),
            Self::UserId(user_id) => Cow::Owned(format!("bsuid:{user_id}")),
        }
    }

    /// Connectly requires `id`; without a phone number its field table lets a bare BSUID stand there.
    fn endpoint(self) -> Endpoint<'a> {
        match self {
            Self::Phone(phone) => Endpoint::whatsapp(phone, None),
            Self::UserId(user_id) => Endpoint::whatsapp(user_id, Some(user_id)),
            Self::Both { phone, user_id } => Endpoint::whatsapp(phone, Some(user_id)),
        }
    }
}

impl std::fmt::Debug for SessionRequest<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionRequest(..)")
    }
}

impl std::fmt::Debug for TemplateRequest<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TemplateRequest(..)")
    }
}

impl std::fmt::Debug for Recipient<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Recipient(..)")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    sender: Endpoint<'a>,
    recipient: Endpoint<'a>,
    message: &'a Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_data: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a Order>,
}

/// Here `sender` is a plain text, where a session message has an object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TemplateBody<'a> {
    sender: &'a str,
    number: Cow<'a, str>,
    template_name: &'a str,
    language: &'a str,
    parameters: &'a [Parameter],
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_data: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    id: &'a str,
    channel_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

impl<'a> Endpoint<'a> {
    fn whatsapp(id: &'a str, user_id: Option<&'a str>) -> Self {
        Self { id, channel_type: "whatsapp", user_id }
    }
}
