//! What to do with an event: a function from an event and its context to an outcome.
//!
//! A handler sees no store and no client. What it hands back (replies, state, effects) is committed together with the
//! job's completion, so it happens once even if the handler ran twice (P4); a handler that calls out by itself must
//! therefore be able to do so twice.
//!
//! To add a kind of handler: a file here that implements [`Handler`], and its name in `app`, which makes handlers from the
//! configuration.

pub mod brokers;
pub mod http;
pub mod reply;
pub mod rules;
pub mod state;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::model::context::Context;
use crate::model::event::Event;
use crate::model::outcome::HandlerResult;

/// Handles events of the routes that name it.
pub trait Handler: Send + Sync + 'static {
    /// Decides what an event leads to. It may run more than once for one event, never twice at a time for one
    /// conversation of an ordered route. A panic, or running past the route's `timeout`, counts as an error to retry.
    fn handle(&self, event: &Event, context: &Context) -> impl Future<Output = HandlerResult> + Send;
}

/// Any handler, behind one type.
#[derive(Clone)]
pub struct AnyHandler(Arc<dyn Erased>);

impl AnyHandler {
    /// Takes a handler.
    pub fn new(handler: impl Handler) -> Self {
        Self(Arc::new(handler))
    }

    /// Runs it.
    pub async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        self.0.handle(event, context).await
    }
}

impl fmt::Debug for AnyHandler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AnyHandler(..)")
    }
}

/// The same with a boxed future: users write plain `async fn`, and this does the boxing.
trait Erased: Send + Sync {
    fn handle<'a>(
        &'a self,
        event: &'a Event,
        context: &'a Context,
    ) -> Pin<Box<dyn Future<Output = HandlerResult> + Send + 'a>>;
}

impl<H: Handler> Erased for H {
    fn handle<'a>(
        &'a self,
        event: &'a Event,
        context: &'a Context,
    ) -> Pin<Box<dyn Future<Output = HandlerResult> + Send + 'a>> {
        Box::pin(Handler::handle(self, event, context))
    }
}
