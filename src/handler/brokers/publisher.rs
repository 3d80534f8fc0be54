//! What every broker has to do, and the handler that has it done.

use std::future::Future;

use super::subject::Subject;
use crate::handler::Handler;
use crate::model::context::Context;
use crate::model::event::Event;
use crate::model::outcome::{HandlerError, HandlerResult, Outcome};

/// What is published.
pub(super) struct Message {
    /// What it is published under.
    pub(super) subject: String,
    /// The same over all attempts: the broker keeps one message of an id.
    pub(super) id: String,
    /// The event.
    pub(super) json: Vec<u8>,
}

/// Somewhere to publish events to.
pub(super) trait Broker: Send + Sync + 'static {
    /// Publishes a message, and comes back once the broker keeps it: it has said so, and a message that it knows by its id
    /// counts as kept. An error says that this is not known, and whether to try again; it quotes neither subject nor event.
    ///
    /// Where this process publishes one message after the other was kept or given up, they are kept in that order. The call
    /// may be dropped at any time.
    fn publish(&self, message: Message) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// Publishes each event of a route.
pub(super) struct Publisher<B> {
    subject: Subject,
    broker: B,
}

impl<B: Broker> Publisher<B> {
    pub(super) const fn new(subject: Subject, broker: B) -> Self {
        Self { subject, broker }
    }
}

impl<B: Broker> Handler for Publisher<B> {
    async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        let subject = self.subject.of(event).map_err(HandlerError::fail)?;
        let json = serde_json::to_vec(event)
            .map_err(|_| HandlerError::fail("the event cannot be written as JSON"))?;
        self.broker.publish(Message { subject, id: context.job.to_string(), json }).await?;
        Ok(Outcome::ignored())
    }
}
