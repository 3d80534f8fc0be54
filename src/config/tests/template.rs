//! `config/default.toml` and the code's defaults are the same, in both directions.

use toml::{Table, Value};

use super::super::{AccountConfig, Config, RouteConfig, TEMPLATE};
use super::{config, load};

/// The template with the settings that it only shows put in force. Prose has a space after its `#`.
fn uncommented() -> String {
    let lines = TEMPLATE.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn parsed(text: &str) -> Table {
    text.parse().unwrap()
}

#[test]
fn the_template_holds_the_defaults() {
    let loaded = load(TEMPLATE, &[]).unwrap();
    assert_eq!(loaded.config.redacted(), Config::default().redacted());
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn every_default_is_in_the_template() {
    let template = parsed(TEMPLATE);
    for (section, settings) in parsed(&Config::default().redacted()) {
        for key in settings.as_table().unwrap().keys() {
            let shown = template.get(&section).and_then(|section| section.get(key));
            assert!(shown.is_some(), "{section}.{key}");
        }
    }
}

#[test]
fn what_the_template_shows_as_examples_is_known_and_holds_the_defaults() {
    let loaded = load(&uncommented(), &[]).unwrap();
    assert_eq!(
        loaded.warnings,
        ["spool.path: not available in this release; while PostgreSQL is down, deliveries are answered 503",]
    );
    let account = &loaded.config.accounts["default"];
    assert_eq!(account.base_url, AccountConfig::default().base_url);
    assert_eq!(account.rate, AccountConfig::default().rate);
    let (route, default) = (&loaded.config.routes[0], RouteConfig::default());
    assert_eq!(route.ordering, default.ordering);
    assert_eq!(route.timeout, default.timeout);
    assert_eq!(route.concurrency, default.concurrency);
    assert_eq!(route.retry, default.retry);
}

#[test]
fn what_is_printed_is_read_back() {
    let printed = config(&uncommented(), &[]).redacted();
    assert_eq!(config(&printed, &[("DATABASE_URL", "sqlite:x")]).redacted(), printed);
    let route = &parsed(&printed)["routes"][0];
    assert_eq!(route["retry"]["max_age"], Value::from("10m"));
    assert_eq!(route["rules"][0]["match"]["text"][0], Value::from("stop"));
}
