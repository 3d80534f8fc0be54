//! Making handlers and routes from the configuration, and telling everything that is wrong with them at once.

use std::collections::BTreeMap;

use super::running::strictness;
use crate::clock::Clock;
use crate::config::{BROKERS, Config, Problems, RouteConfig, RouteOrdering};
use crate::handler::AnyHandler;
use crate::handler::brokers::Brokers;
use crate::handler::http::HttpHandler;
use crate::handler::rules::{Rules, RulesSettings};
use crate::http::tls;
use crate::routing::{Route, RouteError};

/// The built-in handler that answers by rules.
const RULES: &str = "rules";
/// The built-in handler that asks a URL.
const HTTP: &str = "http";

/// A route with its handler.
pub(super) struct Built {
    pub(super) route: Route,
    pub(super) handler: AnyHandler,
}

/// Everything that keeps a configuration from being served.
pub fn check(config: &Config, handlers: &BTreeMap<String, AnyHandler>) -> Problems {
    let mut problems = config.check_for_serve();
    problems.extend(config.public.tls.as_ref().map(tls::check).unwrap_or_default());
    if let Err(found) = build(config, handlers, &Clock::system()) {
        problems.extend(found);
    }
    problems
}

/// Makes every route with its handler, or says everything that is wrong.
pub(super) fn build(
    config: &Config,
    handlers: &BTreeMap<String, AnyHandler>,
    clock: &Clock,
) -> Result<Vec<Built>, Problems> {
    let mut problems = Problems::new();
    let mut built = Vec::new();
    let mut brokers = Brokers::default();
    for route in &config.routes {
        let handler = match &route.broker {
            Some(broker) => brokers.handler(route, broker),
            None => handler_of(config, route, handlers, clock),
        };
        let handler = handler.map_err(|found| problems.extend(found));
        let route = route_of(route).map_err(|(key, message)| problems.add(key, message));
        if let (Ok(route), Ok(handler)) = (route, handler) {
            built.push(Built { route, handler });
        }
    }
    if problems.is_empty() { Ok(built) } else { Err(problems) }
}

fn handler_of(
    config: &Config,
    route: &RouteConfig,
    handlers: &BTreeMap<String, AnyHandler>,
    clock: &Clock,
) -> Result<AnyHandler, Problems> {
    match route.handler.as_str() {
        RULES => Rules::new(route, &settings(config)).map(AnyHandler::new),
        HTTP => HttpHandler::new(route, config.sending.window_margin, clock.clone()).map(AnyHandler::new),
        name => handlers.get(name).cloned().ok_or_else(|| unknown(route, handlers)),
    }
}

fn settings(config: &Config) -> RulesSettings<'_> {
    RulesSettings {
        strictness: strictness(config),
        hours: config.hours.as_ref(),
        echo_mutes: config.replies.echo_mutes,
        window_margin: config.sending.window_margin,
    }
}

fn unknown(route: &RouteConfig, handlers: &BTreeMap<String, AnyHandler>) -> Problems {
    let brokers = if cfg!(feature = "nats") { BROKERS } else { &[] };
    let built_in = [RULES, HTTP].into_iter().chain(brokers.iter().copied());
    let known: Vec<&str> = built_in.chain(handlers.keys().map(String::as_str)).collect();
    let mut problems = Problems::new();
    let message = format!("no handler is named `{}`; known are: {}", route.handler, known.join(", "));
    problems.add(route.key("handler"), message);
    problems
}

fn route_of(config: &RouteConfig) -> Result<Route, (String, String)> {
    let ordered = config.ordering == RouteOrdering::Conversation;
    Route::new(&config.name, &config.on, config.when.as_deref(), ordered).map_err(|error| {
        let key = match error {
            RouteError::UnknownType(_) => "on",
            RouteError::When(_) | RouteError::Unknown(_) => "when",
        };
        (config.key(key), error.to_string())
    })
}
