//! Messages that may be sent while the 24-hour window is open, exactly as Connectly's `message` object has them.
//!
//! The types read and write Connectly's JSON and forgive what it forgives. What a person or a program wrote comes in by
//! [`Message::from_value`], which forgives nothing and names the field. To add a kind: its type, a field and a builder
//! here, its keys in `schema`, its limits in `limits`, its rules in `validate`.

mod attachment;
pub mod callback_data;
mod findings;
mod interactive;
mod invalid;
pub(super) mod limits;
mod location;
mod product;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod validate;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use attachment::{Attachment, AttachmentKind};
pub use interactive::{
    Footer, Header, ListButton, ListMessage, ReplyButton, ReplyButtonMessage, Row, Section,
};
pub use invalid::{Invalid, Problem, Strictness};
pub use limits::{Limit, Source, Unit};
pub use location::Location;
pub use product::{MultiProductMessage, ProductItem, ProductSection, SingleProductMessage};
pub use text::Text;

pub(super) use findings::Findings;
pub(super) use schema::{Field, Shape, check};
pub(super) use text::null_as_default;

/// One message: a text, or one of the other kinds, which `text` accompanies as the body where they are interactive.
///
/// `Debug` output tells lengths only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Message {
    /// Connectly's optional identifier; what it does with one of ours is not documented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// The words, or the body of an interactive message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// Media; Connectly takes one.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub attachments: Vec<Attachment>,
    /// A pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// A menu.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_message: Option<ListMessage>,
    /// Buttons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_button_message: Option<ReplyButtonMessage>,
    /// A product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_product_message: Option<SingleProductMessage>,
    /// Products.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_product_message: Option<MultiProductMessage>,
}

impl Message {
    /// A plain text.
    pub fn text(text: impl Into<Text>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// A body with a menu.
    pub fn list(body: impl Into<Text>, list: ListMessage) -> Self {
        Self { list_message: Some(list), ..Self::text(body) }
    }

    /// A body with buttons.
    pub fn buttons(body: impl Into<Text>, buttons: ReplyButtonMessage) -> Self {
        Self { reply_button_message: Some(buttons), ..Self::text(body) }
    }

    /// A product, without a body.
    pub fn product(product: SingleProductMessage) -> Self {
        Self { single_product_message: Some(product), ..Self::default() }
    }

    /// A body with products.
    pub fn products(body: impl Into<Text>, products: MultiProductMessage) -> Self {
        Self { multi_product_message: Some(products), ..Self::text(body) }
    }

    /// The message that a person or a program wrote as Connectly's `message` object, within WhatsApp's limits.
    ///
    /// An unknown or misspelt key, a wrong type or a value over a limit is an error that names the field, as in
    /// `message.listMessage.sections[0].rows`.
    pub fn from_value(value: &Value) -> Result<Self, Invalid> {
        let message = Self::parse(value)?;
        message.validate()?;
        Ok(message)
    }

    /// The same, within its limits or not: only the keys and their types are looked at.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        schema::check(value, &schema::MESSAGE, "message")?;
        Self::deserialize(value).map_err(|_| Invalid::new("message", Problem::Unreadable))
    }

    /// Whether WhatsApp would take it: exactly one kind of content, every part within its limit. The first problem is
    /// reported; [`Message::problems`] has them all.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that WhatsApp would not take, in the order of the fields.
    pub fn problems(&self) -> Vec<Invalid> {
        validate::problems(self)
    }
}

impl From<Attachment> for Message {
    fn from(attachment: Attachment) -> Self {
        Self { attachments: vec![attachment], ..Self::default() }
    }
}

impl From<Location> for Message {
    fn from(location: Location) -> Self {
        Self { location: Some(location), ..Self::default() }
    }
}
