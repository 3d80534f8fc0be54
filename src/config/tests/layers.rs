//! What overrides what.

use std::time::Duration;

use super::super::{Config, Environment, LogFormat};
use super::{config, environment, load, problems};

#[test]
fn the_environment_overrides_the_file_and_the_file_the_defaults() {
    let file = "[public]\nlisten = \"1.2.3.4:1\"\nread_timeout = \"3s\"\n[worker]\nconcurrency = 3";
    let config = config(
        file,
        &[
            ("SWITCHBOARD_PUBLIC__LISTEN", "127.0.0.1:0"),
            ("SWITCHBOARD_PUBLIC__BODY_LIMIT", "65536"),
            ("SWITCHBOARD_REPLIES__PER_MINUTE", "7"),
            ("SWITCHBOARD_LOG__FORMAT", "json"),
            ("SWITCHBOARD_ADMIN__HOSTS", "switchboard.internal, admin.example"),
        ],
    );
    assert_eq!(config.public.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.public.read_timeout, Duration::from_secs(3));
    assert_eq!(config.public.body_limit, 65536);
    assert_eq!(config.worker.concurrency, 3);
    assert_eq!(config.worker.lease, Duration::from_secs(10));
    assert_eq!(config.replies.per_minute, 7);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.admin.hosts, ["switchboard.internal", "admin.example"]);
}

#[test]
fn nested_settings_follow_the_pattern() {
    let variables = [
        ("SWITCHBOARD_ACCOUNTS__DEFAULT__RATE__BURST", "5"),
        ("SWITCHBOARD_PUBLIC__TLS__CERTIFICATE", "c.pem"),
        ("SWITCHBOARD_PUBLIC__TLS__KEY", "k.pem"),
    ];
    let config = config("", &variables);
    assert_eq!(config.accounts["default"].rate.burst, 5);
    assert_eq!(config.public.tls.unwrap().key.to_str(), Some("k.pem"));
}

#[test]
fn the_default_account_exists_when_the_environment_says_who_it_is() {
    let config = |variables: &[(&str, &str)]| config("[accounts.brazil]\nbusiness_id = \"b\"", variables);
    let both = config(&[("CONNECTLY_BUSINESS_ID", "id"), ("CONNECTLY_BASE_URL", "http://127.0.0.1:8082/")]);
    assert_eq!(both.accounts.keys().collect::<Vec<_>>(), ["brazil", "default"]);
    assert_eq!(both.accounts["default"].business_id, "id");
    assert_eq!(both.accounts["default"].base_url, "http://127.0.0.1:8082");
    assert_eq!(both.accounts["brazil"].base_url, "https://api.connectly.ai");
    let one = config(&[("CONNECTLY_BASE_URL", "http://127.0.0.1:8082")]);
    assert_eq!(one.accounts.keys().collect::<Vec<_>>(), ["brazil"]);
}

#[test]
fn strings_survive_as_they_are_written() {
    for text in ["00123", "1e5", "true", "+16044441111", "0x10", "null", " padded "] {
        let file = format!("[accounts.default]\nbusiness_id = \"{text}\"");
        assert_eq!(config(&file, &[]).accounts["default"].business_id, text);
        let from_variable = config("", &[("CONNECTLY_BUSINESS_ID", text)]);
        assert_eq!(from_variable.accounts["default"].business_id, text);
    }
    assert_eq!(
        problems("[accounts.default]\nbusiness_id = 123", &[]),
        "accounts.default.business_id: found 123, expected a non-empty string in quotes"
    );
}

#[test]
fn unknown_variables_are_named() {
    let variables = [
        ("SWITCHBOARD_ACCOUNTS__BRAZIL__API_KEY", "k"),
        ("SWITCHBOARD_PUBLIC__LISEN", "x"),
        ("SWITCHBOARD_PUBLIC__LISTEN_FILE", "x"),
    ];
    insta::assert_snapshot!(problems("", &variables), @r"
    SWITCHBOARD_ACCOUNTS__BRAZIL__API_KEY: unknown variable; variables reach single settings of fixed sections and of account `default`
    SWITCHBOARD_PUBLIC__LISEN: unknown variable; did you mean SWITCHBOARD_PUBLIC__LISTEN?
    SWITCHBOARD_PUBLIC__LISTEN_FILE: unknown variable; variables reach single settings of fixed sections and of account `default`
    ");
}

#[test]
fn variables_of_others_are_left_alone() {
    let variables = [
        ("SWITCHBOARD_CONFIG", "unused.toml"),
        ("SWITCHBOARD_URL", "http://x"),
        ("SWITCHBOARD_TEST_POSTGRES__URL", "x"),
        ("SWITCHBOARD_SERVICE_HOST", "10.0.0.1"),
        ("SWITCHBOARD_PUBLIC_LISTEN", "x"),
        ("PATH", "/bin"),
    ];
    let warnings = load("", &variables).unwrap().warnings;
    let expected =
        "SWITCHBOARD_PUBLIC_LISTEN: this variable is not read; did you mean SWITCHBOARD_PUBLIC__LISTEN?";
    assert_eq!(warnings, [expected]);
}

#[test]
fn the_file_is_named_by_argument_or_variable() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    std::fs::write(&one, "[worker]\nconcurrency = 1").unwrap();
    std::fs::write(&two, "[worker]\nconcurrency = 2").unwrap();
    let named = environment(&[("SWITCHBOARD_CONFIG", two.to_str().unwrap())]);
    let none = Environment::default();
    let concurrency = |path, environment| {
        let loaded = Config::load(path, environment).unwrap();
        loaded.config.worker.concurrency
    };
    assert_eq!(concurrency(None, &none), 64);
    assert_eq!(concurrency(None, &named), 2);
    assert_eq!(concurrency(Some(one.as_path()), &named), 1);
    let missing = folder.path().join("missing");
    let problems = Config::load(Some(&missing), &named).unwrap_err().to_string();
    assert!(problems.contains("missing: cannot read the configuration file: "), "{problems}");
}
