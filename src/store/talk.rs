//! What was said in a conversation: the customer's events and our messages as one list.

use std::fmt;

use jiff::Timestamp;
use ulid::Ulid;

use super::query::{EventFilter, MessageFilter, Page, PageRequest};
use super::{Result, Store};
use crate::model::event::{Event, EventType};
use crate::model::id::{ConversationId, EventId, MessageId};
use crate::model::message::Message;

/// One thing that was said.
#[derive(Clone)]
pub enum Said {
    /// By the customer.
    In(Box<Event>),
    /// To the customer: by us, or by somebody else whose echo or statuses we saw.
    Out(Box<Message>),
}

impl fmt::Debug for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(event) => write!(formatter, "In({})", event.id),
            Self::Out(message) => write!(formatter, "Out({})", message.id),
        }
    }
}

impl Said {
    /// Its place in the list: ids are made in the order of time.
    pub const fn id(&self) -> Ulid {
        match self {
            Self::In(event) => event.id.ulid(),
            Self::Out(message) => message.id.ulid(),
        }
    }

    /// When it was said.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::In(event) => event.occurred_at.unwrap_or(event.received_at),
            Self::Out(message) => message.created_at,
        }
    }
}

/// A page of what was said, newest first.
pub async fn talk(
    store: &dyn Store,
    conversation: ConversationId,
    page: PageRequest<Ulid>,
) -> Result<Page<Said>> {
    let received = EventFilter {
        conversation: Some(conversation),
        event_type: Some(EventType::MessageReceived),
        ..EventFilter::default()
    };
    let events = PageRequest { limit: page.limit, before: page.before.map(EventId::new) };
    let events = store.events(&received, events).await?;
    let ours = MessageFilter { conversation: Some(conversation), ..MessageFilter::default() };
    let messages = PageRequest { limit: page.limit, before: page.before.map(MessageId::new) };
    let messages = store.messages(&ours, messages).await?;
    let more = events.more || messages.more;
    let mut said: Vec<Said> = events.data.into_iter().map(|event| Said::In(Box::new(event))).collect();
    said.extend(messages.data.into_iter().map(|message| Said::Out(Box::new(message))));
    said.sort_unstable_by_key(|said| std::cmp::Reverse(said.id()));
    let mut whole = Page::of(said, page.limit);
    whole.more |= more;
    Ok(whole)
}
