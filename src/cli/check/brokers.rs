//! Whether the brokers that routes publish to answer, and keep what is published.

use super::report::Report;
use crate::config::{Config, Problems};
use crate::handler::brokers::{Finding, inspect};

/// What the check is called.
const SUBJECT: &str = "broker";

/// Looks at the broker of every route that has one; a service without such routes is told nothing of brokers.
pub(super) async fn look(config: &Config, problems: &Problems, report: &mut Report) {
    for route in &config.routes {
        let Some(broker) = &route.broker else { continue };
        let told = |detail: &str| format!("routes.{}: {detail}", route.name);
        if problems.iter().any(|problem| problem.key.starts_with(&route.key(""))) {
            report.skip(SUBJECT, &told("see the problems of the configuration"));
            continue;
        }
        for finding in inspect(route, broker).await {
            match finding {
                Finding::Well(detail) => report.ok(SUBJECT, &told(&detail)),
                Finding::Doubt(detail) => report.warn(SUBJECT, &told(&detail)),
                Finding::Fault(detail) => report.fail(SUBJECT, &told(&detail)),
            }
        }
    }
}
