//! Whether the host names of handlers over HTTP resolve, and to where a request may go.

use std::net::IpAddr;

use super::report::Report;
use crate::config::{Config, Problems};
use crate::handler::http::address::look_up;

/// What the check is called.
const SUBJECT: &str = "handler";

/// Looks the name of every route's URL up, as each connection does, and at where it leads, unless it may lead anywhere. Nothing
/// is sent there.
pub(super) async fn look(config: &Config, problems: &Problems, report: &mut Report) {
    for route in config.routes.iter().filter(|route| route.handler == "http") {
        let told = |detail: &str| format!("routes.{}: {detail}", route.name);
        let url = route.url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
        let host = url.as_ref().and_then(reqwest::Url::host_str).filter(|host| is_name(host));
        // An address needs no looking up, and what is wrong with it is a problem of the configuration.
        let Some(host) = host else { continue };
        if problems.iter().any(|problem| problem.key.starts_with(&route.key(""))) {
            report.skip(SUBJECT, &told("see the problems of the configuration"));
            continue;
        }
        match look_up(host).await {
            Ok(_) if route.allow_private => report.ok(SUBJECT, &told(&format!("{host} resolves"))),
            Ok(Ok(_)) => report.ok(SUBJECT, &told(&format!("{host} resolves to public addresses"))),
            Ok(Err(forbidden)) => report.fail(SUBJECT, &told(&forbidden.to_string())),
            Err(_) => report.fail(SUBJECT, &told(&format!("{host} does not resolve"))),
        }
    }
}

fn is_name(host: &str) -> bool {
    host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_err()
}
