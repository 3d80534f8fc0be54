//! The service, put together: configuration, store, routes, servers and workers, and a graceful stop.
//!
//! Everything below is handed what it needs here; nothing looks anything up by itself.

mod check;
mod running;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::check::check;
pub use self::running::{ADMIN_LISTEN, PUBLIC_LISTEN, Running, StartError, client_settings};
use crate::clock::Clock;
use crate::config::{Config, Problems};
use crate::handler::{AnyHandler, Handler};

/// A Switchboard with the handlers it knows by name.
///
/// ```no_run
/// # use switchboard::{App, Context, Event, EventKind, Handler, HandlerResult, Outcome};
/// struct Greeter;
///
/// impl Handler for Greeter {
///     async fn handle(&self, event: &Event, _context: &Context) -> HandlerResult {
///         let EventKind::MessageReceived(message) = &event.kind else { return Ok(Outcome::ignored()) };
///         Ok(message.reply_text("Hello! We will be with you shortly.").into())
///     }
/// }
///
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     App::new().handler("greeter", Greeter).main().await
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct App {
    handlers: BTreeMap<String, AnyHandler>,
}

impl App {
    /// No handlers but the built-in ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a handler: routes whose `handler` is this name go to it. A name registered twice takes the later one.
    #[must_use]
    pub fn handler(mut self, name: impl Into<String>, handler: impl Handler) -> Self {
        self.handlers.insert(name.into(), AnyHandler::new(handler));
        self
    }

    /// The names registered, in order.
    pub fn handler_names(&self) -> impl Iterator<Item = &str> {
        self.handlers.keys().map(String::as_str)
    }

    /// Everything that keeps a configuration from being served: what is missing, handlers nobody registered, expressions
    /// and templates that do not parse.
    pub fn check(&self, config: &Config) -> Problems {
        check::check(config, &self.handlers)
    }

    /// Starts the service; it runs until [`Running::stop`]. With `migrate` the schema is brought up to date first.
    pub async fn start(&self, config: &Config, clock: Clock, migrate: bool) -> Result<Running, StartError> {
        Running::start(config, Arc::new(self.handlers.clone()), clock, migrate).await
    }
}
