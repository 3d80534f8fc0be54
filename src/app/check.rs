//! Making handlers and routes from the configuration, and telling everything that is wrong with them at once.

use std::collections::BTreeMap;

use super::running::strictness;
use crate::config::{Config, Problems, RouteConfig, RouteOrdering};
use crate::connectly::message::Strictness;
use crate::handler::AnyHandler;
use crate::handler::brokers::Brokers;
use crate::handler::rules::Rules;
use crate::http::tls;
use crate::routing::{Route, RouteError};

/// The built-in handler that answers by rules.
const RULES: &str = "rules";

/// A route with its handler.
pub(super) struct Built {
    pub(super) route: Route,
    pub(super) handler: AnyHandler,
}

/// Everything that keeps a configuration from being served.
pub fn check(config: &Config, handlers: &BTreeMap<String, AnyHandler>) -> Problems {
    let mut problems = config.check_for_serve();
    problems.extend(config.public.tls.as_ref().map(tls::check).unwrap_or_default());
    if let Err(found) = build(config, handlers) {
        problems.extend(found);
    }
    problems
}

/// Makes every route with its handler, or says everything that is wrong.
pub(super) fn build(
    config: &Config,
    handlers: &BTreeMap<String, AnyHandler>,
) -> Result<Vec<Built>, Problems> {
    let mut problems = Problems::new();
    let mut built = Vec::new();
    let strictness = strictness(config);
    let mut brokers = Brokers::default();
    for config in &config.routes {
        let handler = match &config.broker {
            Some(broker) => brokers.handler(config, broker),
            None => handler_of(config, handlers, strictness),
        };
        let handler = handler.map_err(|found| problems.extend(found));
        let route = route_of(config).map_err(|(key, message)| problems.add(key, message));
        if let (Ok(route), Ok(handler)) = (route, handler) {
            built.push(Built { route, handler });
        }
    }
    if problems.is_empty() { Ok(built) } else { Err(problems) }
}

fn handler_of(
    config: &RouteConfig,
    handlers: &BTreeMap<String, AnyHandler>,
    strictness: Strictness,
) -> Result<AnyHandler, Problems> {
    if config.handler == RULES {
        return Rules::new(config, strictness).map(AnyHandler::new);
    }
    handlers.get(&config.handler).cloned().ok_or_else(|| {
        let known: Vec<&str> = std::iter::once(RULES).chain(handlers.keys().map(String::as_str)).collect();
        let mut problems = Problems::new();
        let message = format!("no handler is named `{}`; known are: {}", config.handler, known.join(", "));
        problems.add(config.key("handler"), message);
        problems
    })
}

fn route_of(config: &RouteConfig) -> Result<Route, (String, String)> {
    let ordered = config.ordering == RouteOrdering::Conversation;
    Route::new(&config.name, &config.on, config.when.as_deref(), ordered).map_err(|error| {
        let key = match error {
            RouteError::UnknownType(_) => "on",
            RouteError::When(_) => "when",
        };
        (config.key(key), error.to_string())
    })
}
