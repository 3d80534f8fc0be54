//! What a customer is made to say, and the check that it can be said.

use serde::Deserialize;
use serde_json::Value;
use ulid::Ulid;

use super::message::parse_id;
use super::outbound::looks_like_bsuid;
use super::reply::{Button, ListPick};
use super::wire::{Attachment, Location, is_e164};

/// The customer who speaks when nobody is named: a number reserved for examples.
const DEFAULT_CUSTOMER: &str = "+15550100001";

/// Something for a customer to say: exactly one of `text`, `button`, `list`, `reaction`, `attachment` and `location`.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// The customer's number in E.164 form; absent: `+15550100001`, or none beside a `user_id`.
    pub from: Option<String>,
    /// The customer's BSUID, as of a number that has them enabled; alone: a customer who shows no number.
    pub user_id: Option<String>,
    /// The business's number in E.164 form; absent: the emulator's own. Another one becomes a number of the business.
    pub to: Option<String>,
    /// The customer's name, remembered for later.
    pub name: Option<String>,
    /// Plain words.
    pub text: Option<String>,
    /// The tap on a button.
    pub button: Option<Button>,
    /// The pick of a row from a list.
    pub list: Option<ListPick>,
    /// A reaction to a message: an emoji, or nothing to take it back.
    pub reaction: Option<String>,
    /// A file.
    pub attachment: Option<Attachment>,
    /// A pin on the map.
    pub location: Option<Location>,
    /// The ad that the customer came from, as Connectly's `referral` object; not with a reply.
    pub referral: Option<Value>,
    /// The id of the message that this one answers, as ULID or UUID; absent: none, and for a button, a list or a reaction
    /// the newest message to the customer.
    pub reply_to: Option<String>,
}

impl Inbound {
    /// The default customer saying this.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// The same, said by this customer.
    #[must_use]
    pub fn by(mut self, number: impl Into<String>) -> Self {
        self.from = Some(number.into());
        self
    }
}

/// Why a customer cannot say that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InboundError {
    /// None or several of the kinds, or a referral with a reply.
    #[error("give exactly one of text, button, list, reaction, attachment, location")]
    OneKind,
    /// A number that is not in E.164 form.
    #[error("{0} is not a phone number in E.164 form")]
    Number(&'static str),
    /// A BSUID that is none.
    #[error("user_id is no BSUID, which looks like US.1349")]
    UserId,
    /// The business writing to itself.
    #[error("from is a number of the business")]
    FromBusiness,
    /// An id in neither spelling.
    #[error("reply_to is neither a ULID nor a UUID")]
    ReplyTo,
}

/// An [`Inbound`] that was checked: reading one is the only way to get it.
pub(super) struct Speech {
    /// The number, or the BSUID of a customer who shows none.
    pub(super) customer: String,
    pub(super) user_id: Option<String>,
    pub(super) number: String,
    pub(super) name: Option<String>,
    /// The content in a few words, for the listing of conversations.
    pub(super) words: String,
    pub(super) content: Content,
    /// The message that is answered, when one was named.
    pub(super) answers: Option<Ulid>,
}

/// What is said.
pub(super) enum Content {
    /// Words, a file or a pin.
    Message {
        text: String,
        attachment: Option<Attachment>,
        location: Option<Location>,
        referral: Option<Value>,
    },
    /// The tap on a button.
    Tap(Button),
    /// The pick of a row.
    Pick(ListPick),
    /// An emoji on a message.
    Reaction(String),
}

impl Speech {
    /// Checks what a customer is to say to the business, whose own number is the default.
    pub(super) fn read(inbound: Inbound, own_number: &str) -> Result<Self, InboundError> {
        let words = words(&inbound).ok_or(InboundError::OneKind)?;
        let answers = match inbound.reply_to.as_deref() {
            Some(id) => Some(parse_id(id).ok_or(InboundError::ReplyTo)?),
            None => None,
        };
        Ok(Self {
            customer: customer(&inbound)?,
            user_id: inbound.user_id.clone(),
            number: number(inbound.to.clone(), own_number, "to")?,
            name: inbound.name.clone(),
            words,
            content: Content::of(inbound),
            answers,
        })
    }
}

impl Content {
    fn of(inbound: Inbound) -> Self {
        match (inbound.button, inbound.list, inbound.reaction) {
            (Some(button), ..) => Self::Tap(button),
            (None, Some(pick), _) => Self::Pick(pick),
            (None, None, Some(emoji)) => Self::Reaction(emoji),
            (None, None, None) => Self::Message {
                text: inbound.text.unwrap_or_default(),
                attachment: inbound.attachment,
                location: inbound.location,
                referral: inbound.referral,
            },
        }
    }
}

fn customer(inbound: &Inbound) -> Result<String, InboundError> {
    match &inbound.user_id {
        Some(user_id) if !looks_like_bsuid(user_id) => Err(InboundError::UserId),
        Some(user_id) if inbound.from.is_none() => Ok(user_id.clone()),
        Some(_) | None => number(inbound.from.clone(), DEFAULT_CUSTOMER, "from"),
    }
}

fn number(given: Option<String>, default: &str, field: &'static str) -> Result<String, InboundError> {
    let number = given.unwrap_or_else(|| default.to_owned());
    if is_e164(&number) { Ok(number) } else { Err(InboundError::Number(field)) }
}

/// The one thing that is said, in a few words; none when it is not one thing.
fn words(inbound: &Inbound) -> Option<String> {
    let said = [
        inbound.text.clone(),
        inbound.button.as_ref().map(|button| format!("[{}]", button.text)),
        inbound.list.as_ref().map(|pick| format!("[{}]", pick.text)),
        inbound.reaction.as_ref().map(|emoji| format!("[reaction {emoji}]")),
        inbound.attachment.as_ref().map(|file| format!("[{}]", file.kind)),
        inbound.location.as_ref().map(|_| "[location]".to_owned()),
    ];
    let is_reply = inbound.button.is_some() || inbound.list.is_some() || inbound.reaction.is_some();
    if is_reply && inbound.referral.is_some() {
        return None;
    }
    let mut said = said.into_iter().flatten();
    let first = said.next()?;
    said.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(inbound: Value) -> Result<Speech, InboundError> {
        let inbound: Inbound = serde_json::from_value(inbound).unwrap();
        Speech::read(inbound, "+15550100002")
    }

    #[test]
    fn defaults_name_the_customer_and_the_business() {
        let speech = read(json!({"text": "hi"})).ok().unwrap();
        assert_eq!((speech.customer.as_str(), speech.number.as_str()), ("+15550100001", "+15550100002"));
        assert_eq!(speech.words, "hi");
    }

    #[test]
    fn what_cannot_be_said_is_told_apart() {
        let both = json!({"text": "hi", "button": {"text": "Yes"}});
        let ad_button = json!({"button": {"text": "Yes"}, "referral": {}});
        for (inbound, error) in [
            (json!({}), InboundError::OneKind),
            (both, InboundError::OneKind),
            (ad_button, InboundError::OneKind),
            (json!({"list": {"text": "Large"}, "reaction": "👍"}), InboundError::OneKind),
            (json!({"reaction": "👍", "referral": {}}), InboundError::OneKind),
            (json!({"text": "hi", "from": "Ana"}), InboundError::Number("from")),
            (json!({"text": "hi", "to": "1"}), InboundError::Number("to")),
            (json!({"text": "hi", "reply_to": "x"}), InboundError::ReplyTo),
            (json!({"text": "hi", "user_id": "1349"}), InboundError::UserId),
        ] {
            assert_eq!(read(inbound).err(), Some(error));
        }
    }
}
