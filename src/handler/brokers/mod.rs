//! Brokers: an event is published as its JSON, and nothing is answered.
//!
//! A job is done once the broker has acknowledged the event. Until then it is tried again by the route's policy, always
//! under the job's id, by which the broker knows a message that it has already: whatever happened to an earlier attempt,
//! the event is there once. Nothing is retried here, and nothing waits here for a broker that is away longer than one
//! attempt lasts: the jobs table remembers.
//!
//! To add a broker: a file here that implements `Broker` and says in `inspect` what the broker looks like to `check`;
//! its arms in [`Brokers::handler`] and in [`inspect`]; its name in `config::broker`.

#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "nats")]
mod publisher;
#[cfg(feature = "nats")]
mod subject;

use super::AnyHandler;
use crate::config::{BrokerConfig, Problems, RouteConfig};

/// The brokers that routes publish to. Routes that name the same one share its connection.
#[derive(Default)]
pub struct Brokers {
    #[cfg(feature = "nats")]
    nats: nats::Links,
}

/// One thing that a look at a broker found, in words without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Well(String),
    /// Well enough, but worth knowing.
    Doubt(String),
    /// Events cannot be published, or can be lost.
    Fault(String),
}

impl Brokers {
    /// Makes the handler of a route to a broker, or says what is wrong with its settings. It connects when its first event
    /// comes, so that a broker that is away keeps nobody from starting.
    #[cfg(feature = "nats")]
    pub fn handler(&mut self, route: &RouteConfig, broker: &BrokerConfig) -> Result<AnyHandler, Problems> {
        let subject = subject::Subject::new(broker, &route.on, nats::check_subject);
        match (subject, self.nats.link(broker)) {
            (Ok(subject), Ok(link)) => {
                let broker = nats::Nats::new(link, route.timeout);
                Ok(AnyHandler::new(publisher::Publisher::new(subject, broker)))
            }
            (subject, link) => {
                let mut problems = Problems::new();
                for (key, message) in
                    subject.err().map(|told| ("subject", told)).into_iter().chain(link.err())
                {
                    problems.add(route.key(key), message);
                }
                Err(problems)
            }
        }
    }

    /// There is no broker in this build.
    #[cfg(not(feature = "nats"))]
    pub fn handler(&mut self, route: &RouteConfig, _broker: &BrokerConfig) -> Result<AnyHandler, Problems> {
        let mut problems = Problems::new();
        let message = format!("found {:?}, which needs a build with the feature `nats`", route.handler);
        problems.add(route.key("handler"), message);
        Err(problems)
    }
}

/// Looks at the broker of a route, as `check` does: whether it can be reached, and whether it keeps what the route publishes
/// as it should. Changes nothing there.
#[cfg(feature = "nats")]
pub async fn inspect(route: &RouteConfig, broker: &BrokerConfig) -> Vec<Finding> {
    match subject::Subject::new(broker, &route.on, nats::check_subject) {
        Ok(subject) => nats::inspect(broker, &subject.patterns(), route.retry.max_age).await,
        Err(told) => vec![Finding::Fault(told)],
    }
}

/// There is no broker in this build.
#[cfg(not(feature = "nats"))]
pub async fn inspect(_route: &RouteConfig, _broker: &BrokerConfig) -> Vec<Finding> {
    Vec::new()
}
