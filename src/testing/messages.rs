//! What the handler has said in a conversation.

use jiff::Timestamp;
use ulid::Ulid;

use crate::model::conversation::Conversation;
use crate::model::event::Event;
use crate::model::id::MessageId;
use crate::model::message::{Message, Origin, SendKind};
use crate::model::outcome::Reply;

/// The replies that left, in their order. Each has an id of Connectly's from the start.
#[derive(Default)]
pub(super) struct Messages(Vec<Message>);

impl Messages {
    pub(super) fn latest(&self) -> Option<&Message> {
        self.0.last()
    }

    /// The one that a status is about, or that an inbound answers.
    pub(super) fn referred(&self, event: &Event) -> Option<&Message> {
        let ids = [&event.provider_message_id, &event.in_reply_to];
        self.0.iter().find(|message| ids.contains(&&message.provider_message_id))
    }

    /// Takes a status for what is known of its message.
    pub(super) fn take_status(&mut self, event: &Event) {
        let Some(status) = event.event_type().status() else { return };
        let about = |message: &&mut Message| message.provider_message_id == event.provider_message_id;
        if let Some(message) = self.0.iter_mut().find(about) {
            status.as_str().clone_into(&mut message.state);
            message.updated_at = event.received_at;
        }
    }

    pub(super) fn leave(&mut self, reply: &Reply, conversation: &Conversation, now: Timestamp) {
        let id = Ulid(self.0.len() as u128 + 1);
        self.0.push(Message {
            id: MessageId::new(id),
            provider_message_id: Some(id.to_string()),
            account: conversation.account.clone(),
            conversation_id: Some(conversation.id),
            origin: Origin::Reply,
            kind: SendKind::Session,
            from: Some(conversation.business.id.clone()),
            to: conversation.customer.phone.clone(),
            state: "accepted".to_owned(),
            content: Some(reply.message.clone()),
            fallback: reply.fallback.clone(),
            callback_data: reply.callback_data.clone(),
            campaign: None,
            error: None,
            created_at: now,
            updated_at: now,
        });
    }
}
