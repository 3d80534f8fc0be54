//! Testing a handler: a conversation with it, without a server, a store or a clock to wait for.
//!
//! ```
//! # use switchboard::{Context, Event, EventKind, Handler, HandlerResult, Outcome};
//! # struct Greeter;
//! # impl Handler for Greeter {
//! #     async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
//! #         let EventKind::MessageReceived(message) = &event.kind else { return Ok(Outcome::ignored()) };
//! #         Ok(message.reply_text("Hello!").into())
//! #     }
//! # }
//! use switchboard::testing::Chat;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut chat = Chat::with(Greeter);
//! assert_eq!(chat.says("hi").await.text(), "Hello!");
//! # }
//! ```
//!
//! What the service does with an outcome, the conversation does too: replies and state are checked against their limits, a reply
//! to an echo or to a status of a reply is dropped, the state is there at the next event, an opt-out and a mute are remembered,
//! and so is what was to be said once in a time.

mod bodies;
mod messages;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use ulid::Ulid;

use self::messages::Messages;
pub use self::turn::Turn;
use crate::connectly::event::decode;
pub use crate::connectly::event::status::Status;
use crate::connectly::message::Strictness;
use crate::handler::{AnyHandler, Handler, reply, state};
use crate::model::context::Context;
use crate::model::conversation::{Conversation, Window};
use crate::model::event::{BusinessNumber, Event, EventKind};
use crate::model::id::{ConversationId, CustomerId, EventId, JobId};
use crate::model::outcome::{Effect, HandlerError, HandlerResult, Outcome, StateChange};
use crate::model::replies::guard;

/// When a conversation begins: a Thursday at noon, UTC.
const BEGINNING: &str = "2026-01-01T12:00:00Z";
/// The route that a handler runs in.
const ROUTE: &str = "test";
/// The conversation's id.
const CONVERSATION: Ulid = Ulid(1);

/// A customer, a number of the business, and a handler between them.
pub struct Chat {
    handler: AnyHandler,
    now: Timestamp,
    state: Option<Value>,
    conversation: Conversation,
    messages: Messages,
    person_answered_at: Option<Timestamp>,
    given: BTreeMap<String, Timestamp>,
    events: u128,
    inbounds: u32,
}

impl Chat {
    /// A conversation that nobody has said anything in, on 1 January 2026 at 12:00 UTC.
    pub fn with(handler: impl Handler) -> Self {
        let now = BEGINNING.parse().unwrap_or_default();
        Self {
            handler: AnyHandler::new(handler),
            now,
            state: None,
            conversation: Conversation {
                id: ConversationId::new(CONVERSATION),
                account: "default".to_owned(),
                business: BusinessNumber {
                    id: bodies::BUSINESS.to_owned(),
                    name: Some(bodies::BUSINESS_NAME.to_owned()),
                },
                customer: bodies::customer(CustomerId::new(CONVERSATION)),
                window: Window::default(),
                opted_out_at: None,
                opted_out_by: None,
                muted_until: None,
            },
            messages: Messages::default(),
            person_answered_at: None,
            given: BTreeMap::new(),
            events: 0,
            inbounds: 0,
        }
    }

    /// Begins with a state, as if the handler had kept it.
    #[must_use]
    pub fn with_state(mut self, state: Value) -> Self {
        self.state = Some(state);
        self
    }

    /// Begins at another time.
    #[must_use]
    pub fn starting_at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time).unwrap_or(Timestamp::MAX);
    }

    /// The customer writes a text.
    pub async fn says(&mut self, text: &str) -> Turn {
        let body = bodies::text(self.now, text);
        self.receives(&body).await
    }

    /// The customer taps a button that carries this payload.
    pub async fn presses(&mut self, payload: &str) -> Turn {
        let body = bodies::button(self.now, payload);
        self.receives(&body).await
    }

    /// The customer picks a row of a list that carries this payload.
    pub async fn picks(&mut self, payload: &str) -> Turn {
        let body = bodies::list(self.now, payload);
        self.receives(&body).await
    }

    /// Somebody of the business writes from elsewhere, such as Connectly's inbox.
    pub async fn person_answers(&mut self, text: &str) -> Turn {
        let body = bodies::echo(self.now, text);
        self.person_answered_at = Some(self.now);
        self.receives(&body).await
    }

    /// Connectly tells what became of the latest reply.
    ///
    /// # Panics
    ///
    /// When nothing was replied yet.
    pub async fn reply_becomes(&mut self, status: Status) -> Turn {
        let latest = self.messages.latest().and_then(|message| message.provider_message_id.as_deref());
        let Some(id) = latest else { panic!("nothing was replied yet") };
        let body = bodies::status(self.now, id, status);
        self.receives(&body).await
    }

    /// Anything that Connectly may post, as the body of its request. A status in it is taken for one of a message that somebody
    /// else sent: for the handler's own there is [`Chat::reply_becomes`].
    pub async fn receives(&mut self, body: &Value) -> Turn {
        self.events += 1;
        let decoded = decode(body.to_string().as_bytes());
        let mut event = Event::arriving(EventId::new(Ulid(self.events)), "default", self.now, &decoded);
        event.conversation_id = Some(self.conversation.id);
        event.customer = Some(self.conversation.customer.clone());
        if matches!(event.kind, EventKind::MessageReceived(_)) {
            self.inbounds += 1;
            self.conversation.window = Window { last_inbound_at: Some(self.now), closed_at: None };
        }
        self.messages.take_status(&event);
        let context = self.context(&event);
        let result = self.handler.handle(&event, &context).await.and_then(checked);
        Turn::new(result.map(|outcome| self.commit(&event, outcome)))
    }

    /// What the handler keeps for the conversation.
    pub const fn state(&self) -> Option<&Value> {
        self.state.as_ref()
    }

    /// Whether the customer has opted out.
    pub const fn opted_out(&self) -> bool {
        self.conversation.opted_out_at.is_some()
    }

    /// Until when rules keep quiet.
    pub const fn muted_until(&self) -> Option<Timestamp> {
        self.conversation.muted_until
    }

    fn context(&self, event: &Event) -> Context {
        let is_inbound = matches!(event.kind, EventKind::MessageReceived(_));
        Context {
            conversation: Some(self.conversation.clone()),
            first_contact: is_inbound && self.inbounds == 1,
            message: self.messages.referred(event).cloned(),
            latest_message: self.messages.latest().cloned(),
            person_answered_at: self.person_answered_at,
            state: self.state.clone(),
            ..Context::new(JobId::new(Ulid(self.events)), 1, ROUTE.to_owned(), self.now)
        }
    }

    /// What the service commits with a job's completion.
    fn commit(&mut self, event: &Event, mut outcome: Outcome) -> Outcome {
        let referred = self.messages.referred(event).map(|message| message.origin);
        // The id of whatever left is known, so no status is in doubt.
        if let Some(reason) =
            guard(event.event_type(), referred, false).filter(|_| !outcome.replies.is_empty())
        {
            outcome.replies.clear();
            outcome.note = Some(reason.to_owned());
        }
        if let Some(once) = outcome.once.take().filter(|_| !outcome.replies.is_empty()) {
            let since = |at: &Timestamp| Duration::try_from(self.now.duration_since(*at)).unwrap_or_default();
            if self.given.get(&once.name).is_some_and(|at| since(at) < once.per) {
                outcome.replies.clear();
            } else {
                self.given.insert(once.name, self.now);
            }
        }
        match &outcome.state {
            StateChange::Keep => {}
            StateChange::Clear => self.state = None,
            StateChange::Set(state) => self.state = Some(state.clone()),
        }
        for effect in &outcome.effects {
            match effect {
                Effect::OptOut => {
                    self.conversation.opted_out_at = self.conversation.opted_out_at.or(Some(self.now));
                }
                Effect::OptIn => self.conversation.opted_out_at = None,
                Effect::Mute(time) => {
                    let until = self.now.saturating_add(*time).unwrap_or(Timestamp::MAX);
                    self.conversation.muted_until = Some(until).filter(|_| !time.is_zero());
                    self.person_answered_at = self.person_answered_at.filter(|_| !time.is_zero());
                }
            }
        }
        for reply in &outcome.replies {
            self.messages.leave(reply, &self.conversation, self.now);
        }
        outcome
    }
}

/// What the service refuses, a test must not pass.
fn checked(mut outcome: Outcome) -> HandlerResult {
    let (replies, _) = reply::check(outcome.replies, Strictness::Enforce).map_err(HandlerError::fail)?;
    outcome.replies = replies;
    if let StateChange::Set(kept) = &outcome.state {
        state::check(kept).map_err(HandlerError::fail)?;
    }
    Ok(outcome)
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Chat({} events)", self.events)
    }
}
