//! What is shipped beside the program agrees with it: the container files and the systemd unit.

use std::time::Duration;

use switchboard::config::{Config, Environment};

const DOCKERFILE: &str = include_str!("../../Dockerfile");
const COMPOSE: &str = include_str!("../../compose.yaml");
const UNIT: &str = include_str!("../../config/switchboard.service");

/// The variables that compose.yaml gives to the service, with a value in place of each that comes from `.env`.
fn variables() -> Vec<(String, String)> {
    let service = COMPOSE.split("\n  postgres:\n").next().unwrap();
    let block = service.split("\n    environment:\n").nth(1).unwrap();
    let lines = block.lines().take_while(|line| line.starts_with("      "));
    let pairs = lines.filter(|line| !line.trim_start().starts_with('#')).map(|line| {
        let (name, value) = line.trim().split_once(": ").unwrap();
        (name.to_owned(), filled(value))
    });
    pairs.collect()
}

/// A value with `${NAME:?why}` filled in.
fn filled(value: &str) -> String {
    match (value.find("${"), value.find('}')) {
        (Some(from), Some(to)) => format!("{}at-least-16-letters{}", &value[..from], &value[to + 1..]),
        _ => value.to_owned(),
    }
}

/// What the service makes of them.
fn configuration() -> Config {
    let environment: Environment = variables().into_iter().collect();
    let loaded = Config::from_toml("", &environment).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config
}

/// The seconds behind a key.
fn seconds(text: &str, key: &str) -> Duration {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
    Duration::from_secs(line.trim_matches([' ', 's']).parse().unwrap())
}

#[test]
fn the_variables_of_compose_are_all_that_the_service_needs() {
    let variables = variables();
    assert_eq!(variables.len(), 6, "{variables:?}");
    let config = configuration();
    assert!(config.store.url.is_some());
    assert_eq!(config.accounts.len(), 1);
    assert!(!config.admin.listen.ip().is_loopback());
}

#[test]
fn the_image_is_built_with_the_rust_that_the_package_names() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(DOCKERFILE.contains(&format!("FROM rust:{version}-")), "Cargo.toml asks for {version}");
}

#[test]
fn whoever_stops_the_service_waits_longer_than_it_drains() {
    let least = configuration().worker.drain + Duration::from_secs(5);
    assert!(seconds(COMPOSE, "stop_grace_period:") >= least);
    assert!(seconds(UNIT, "TimeoutStopSec=") >= least);
}
