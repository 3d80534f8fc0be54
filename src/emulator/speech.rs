//! What happens when a customer speaks: the window opens, and the webhook that Connectly would send is made.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use ulid::Ulid;
use uuid::Uuid;

use super::inbound::{Content, InboundError, Speech};
use super::reply::{Button, ListPick, ListShape, Shape};
use super::status::to_json;
use super::time::{ulid_at, unix_seconds};
use super::wire::{InboundMessage, InboundWebhook, Party, Quoted, Reaction, TapResponse};
use super::world::{Batch, Due, Line, World};

/// An inbound message on its way out.
pub(super) struct Heard {
    /// The message's id; none in the shapes that carry none.
    pub(super) id: Option<Ulid>,
    pub(super) batch: Batch,
}

/// What a reply says of the message that it answers.
#[derive(Default)]
struct Reference<'a> {
    context: Option<Quoted>,
    callback_data: Option<&'a RawValue>,
}

impl World {
    /// Lets a customer speak. The faults of inbound webhooks are taken here.
    pub(super) fn hear(&mut self, speech: &Speech, now: Timestamp) -> Result<Heard, InboundError> {
        let Speech { customer, number, .. } = speech;
        if customer == number || self.business.numbers.contains(customer) {
            return Err(InboundError::FromBusiness);
        }
        self.meet(customer, speech.name.clone(), number);
        self.learn_user_id(customer, speech.user_id.as_ref());
        self.open_window(number, customer, now);
        self.note(Line {
            at: now,
            customer: customer.clone(),
            number: number.clone(),
            words: speech.words.clone(),
            message: None,
        });
        let id = ulid_at(now);
        let batch = Batch {
            customer: customer.clone(),
            copies: self.faults.for_inbound().copies,
            webhooks: vec![Due { after: Duration::ZERO, body: self.inbound_body(speech, id, now) }],
        };
        let carried = carries_id(&speech.content).then_some(id);
        Ok(Heard { id: carried, batch })
    }

    fn inbound_body(&self, speech: &Speech, id: Ulid, now: Timestamp) -> String {
        let reference = self.reference(speech);
        let (sender, recipient) = self.parties(speech);
        let mut webhook = InboundWebhook {
            topic: None,
            timestamp: unix_seconds(now),
            sender,
            recipient,
            callback_data: reference.callback_data,
            context: reference.context,
            message: None,
            button_response: None,
            list_response: None,
        };
        match &speech.content {
            Content::Message { text, attachment, location, referral } => {
                webhook.message = Some(InboundMessage::Live {
                    id: id.to_string(),
                    text: text.clone(),
                    attachments: attachment.iter().cloned().collect(),
                    location: location.clone(),
                    referral: referral.clone(),
                    reaction: None,
                });
            }
            Content::Tap(button) => tap(&mut webhook, button, id),
            Content::Pick(pick) => picked(&mut webhook, pick, id),
            Content::Reaction(emoji) => {
                webhook.message = Some(words(id, "", Some(Reaction { emoji: emoji.clone() })));
            }
        }
        to_json(&webhook)
    }

    /// The two ends, with their names, except in the oldest shape.
    fn parties(&self, speech: &Speech) -> (Party, Party) {
        if shape(&speech.content) == Some(Shape::Flag) {
            let digits = speech.number.trim_start_matches('+');
            return (Party::nameless(&speech.customer), Party::nameless(digits));
        }
        (self.party(&speech.customer), Party::named(&speech.number, Some(&self.business.name)))
    }

    /// The message that was named; for a tap, a pick and a reaction, which cannot be about nothing, else the newest message
    /// to the customer. Words that answer nothing refer to nothing: WhatsApp does not say what they are about.
    fn reference(&self, speech: &Speech) -> Reference<'_> {
        let (is_reply, has_context) = match &speech.content {
            Content::Message { .. } => (false, true),
            Content::Tap(button) => (true, matches!(button.shape, Shape::Context | Shape::Response)),
            Content::Pick(_) | Content::Reaction(_) => (true, true),
        };
        let newest = || self.newest_to(&speech.customer, &speech.number).map(|sent| sent.ulid);
        let Some(id) = speech.answers.or_else(|| if is_reply { newest() } else { None }) else {
            return Reference::default();
        };
        // The shapes without a context get one only when the message was named.
        let is_shown = has_context || speech.answers.is_some();
        Reference {
            context: is_shown.then(|| Quoted { reply_to_id: Uuid::from_u128(id.0).to_string() }),
            callback_data: self.message(id).and_then(|sent| sent.callback_data.as_deref()),
        }
    }
}

fn shape(content: &Content) -> Option<Shape> {
    match content {
        Content::Message { .. } | Content::Pick(_) | Content::Reaction(_) => None,
        Content::Tap(button) => Some(button.shape),
    }
}

fn carries_id(content: &Content) -> bool {
    match shape(content) {
        None | Some(Shape::Topic) => true,
        Some(Shape::Flag | Shape::Context | Shape::Response) => false,
    }
}

/// A message with no more than words and perhaps a reaction, the empty keys of live traffic included.
fn words(id: Ulid, text: &str, reaction: Option<Reaction>) -> InboundMessage {
    InboundMessage::Live {
        id: id.to_string(),
        text: text.to_owned(),
        attachments: Vec::new(),
        location: None,
        referral: None,
        reaction,
    }
}

/// Puts the pick of a row where its shape has it.
fn picked(webhook: &mut InboundWebhook<'_>, pick: &ListPick, id: Ulid) {
    let response =
        TapResponse { id: Some(id.to_string()), text: pick.text.clone(), payload: pick.payload.clone() };
    match pick.shape {
        ListShape::Button => webhook.button_response = Some(response),
        ListShape::List => webhook.list_response = Some(response),
        ListShape::Text => webhook.message = Some(words(id, &pick.text, None)),
    }
}

/// Puts the tap on a button where its shape has it.
fn tap(webhook: &mut InboundWebhook<'_>, button: &Button, id: Ulid) {
    let text = button.text.clone();
    let payload = button.payload.clone();
    match button.shape {
        Shape::Flag | Shape::Context => {
            webhook.message = Some(InboundMessage::Button { text, is_button_response: true });
        }
        Shape::Response => {
            webhook.button_response = Some(TapResponse { id: None, text, payload });
        }
        Shape::Topic => {
            webhook.topic = Some("messages");
            webhook.button_response = Some(TapResponse { id: Some(id.to_string()), text, payload });
        }
    }
}
