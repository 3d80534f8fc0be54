//! Secrets: every way to give one, and that none is ever shown.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use super::{COMPLETE, config, load, problems};

/// A file with a secret, in a folder that goes with it.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn exposed(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(SecretString::expose_secret).collect()
}

fn token(text: &str, variables: &[(&str, &str)]) -> String {
    let token = config(text, variables).admin.token.unwrap();
    token.expose_secret().to_owned()
}

#[test]
fn secrets_survive_as_they_are_written() {
    for text in ["00123", "1e5", "true", "+16044441111", " padded "] {
        assert_eq!(token(&format!("[admin]\ntoken = \"{text}\""), &[]), text);
        assert_eq!(token("", &[("SWITCHBOARD_ADMIN_TOKEN", text)]), text);
        let (_folder, path) = file(text);
        assert_eq!(token("", &[("SWITCHBOARD_ADMIN_TOKEN_FILE", path.to_str().unwrap())]), text);
    }
}

#[test]
fn one_newline_is_cut_from_a_file() {
    for (written, expected) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
        let (_folder, path) = file(written);
        assert_eq!(token(&format!("[admin]\ntoken_file = {path:?}"), &[]), expected);
    }
}

#[test]
fn the_environment_wins_in_any_spelling_and_the_pattern_over_the_short_name() {
    let (_folder, path) = file("from a file");
    let path = path.to_str().unwrap();
    let text = "[admin]\ntoken_file = \"/nowhere\"";
    assert_eq!(token(text, &[("SWITCHBOARD_ADMIN__TOKEN_FILE", path)]), "from a file");
    let both = [("SWITCHBOARD_ADMIN__TOKEN", "pattern"), ("SWITCHBOARD_ADMIN_TOKEN", "short")];
    assert_eq!(token(text, &both), "pattern");
    let url = config("[store]\nurl = \"postgres://file\"", &[("DATABASE_URL", "postgres://env")]);
    assert_eq!(url.store.url.unwrap().expose_secret(), "postgres://env");
}

#[test]
fn webhook_secrets_are_rotated_in_either_place() {
    let secrets = |text: &str, variables: &[(&str, &str)]| {
        let config = config(text, variables);
        exposed(&config.accounts["default"].webhook_secrets).join(",")
    };
    let text = "[accounts.default]\nwebhook_secrets = [\"a\", \"b\"]";
    let (current, previous) = ("CONNECTLY_WEBHOOK_SECRET", "CONNECTLY_WEBHOOK_SECRET_PREVIOUS");
    assert_eq!(secrets(text, &[]), "a,b");
    assert_eq!(secrets(text, &[(current, "c")]), "c");
    assert_eq!(secrets("", &[(current, "c"), (previous, "p")]), "c,p");
    assert_eq!(secrets(text, &[(previous, "p")]), "a,b,p");
    let (_folder, path) = file("one\n\ntwo\r\n");
    assert_eq!(secrets(&format!("[accounts.default]\nwebhook_secrets_file = {path:?}"), &[]), "one,two");
    let (_folder, path) = file("one\n");
    assert_eq!(secrets("", &[("CONNECTLY_WEBHOOK_SECRET_FILE", path.to_str().unwrap())]), "one");
}

#[test]
fn the_default_accounts_secrets_do_not_reach_another() {
    let config = config("[accounts.other]\nwebhook_secrets = [\"a\"]", &COMPLETE);
    assert_eq!(exposed(&config.accounts["other"].webhook_secrets), ["a"]);
    assert!(config.accounts["other"].api_key.expose_secret().is_empty());
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_it() {
    let (_folder, empty) = file("\n");
    let text = format!(
        r#"
        [admin]
        token = "hunter2"
        token_file = "x"
        [store]
        url = "mysql://hunter2@host"
        [accounts.default]
        api_key = 1e5
        webhook_secrets = ["", 7777]
        [accounts.empty]
        api_key = ""
        webhook_secrets = []
        [accounts.file]
        api_key_file = 5
        webhook_secrets_file = {empty:?}
        [accounts.missing]
        api_key_file = "/nowhere/at/all"
        webhook_secrets = "hunter2"
        "#
    );
    let variables = [
        ("CONNECTLY_WEBHOOK_SECRET", ""),
        ("CONNECTLY_WEBHOOK_SECRET_PREVIOUS", "hunter2"),
        ("CONNECTLY_WEBHOOK_SECRET_PREVIOUS_FILE", "x"),
    ];
    let problems = problems(&text, &variables).replace(empty.to_str().unwrap(), "/empty");
    insta::assert_snapshot!(problems, @r#"
    admin.token: given by both `token` and `token_file`; keep one
    store.url: expected a URL that begins with postgres://, postgresql:// or sqlite:
    accounts.default.api_key: found a number, expected a non-empty string in quotes
    accounts.default.webhook_secrets[0]: the secret is empty
    accounts.default.webhook_secrets[1]: found a number, expected a non-empty string in quotes
    accounts.default.webhook_secrets: the secret in CONNECTLY_WEBHOOK_SECRET is empty
    accounts.default.webhook_secrets: given by both CONNECTLY_WEBHOOK_SECRET_PREVIOUS and CONNECTLY_WEBHOOK_SECRET_PREVIOUS_FILE; keep one
    accounts.empty.api_key: the secret is empty
    accounts.empty.webhook_secrets: found an empty list, expected at least one secret
    accounts.file.api_key_file: found a number, expected the path of a file
    accounts.file.webhook_secrets_file: /empty is empty, expected one secret a line
    accounts.missing.api_key_file: cannot read "/nowhere/at/all": No such file or directory (os error 2)
    accounts.missing.webhook_secrets: found a string, expected a list of non-empty strings
    "#);
}

#[test]
fn a_syntax_error_does_not_quote_its_line() {
    for text in
        ["[admin]\ntoken = hunter2hunter2", "[admin]\ntoken = \"hunter2", "[admin]\n\"token\" \"hunter2\""]
    {
        let problems = problems(text, &[]);
        assert!(problems.starts_with("configuration: not TOML at line 2: "), "{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn no_secret_is_printed() {
    let text = r#"
        [admin]
        token = "hunter2"
        [store]
        url = "postgres://u:hunter2@h/d"
        [accounts.default]
        api_key = "hunter2"
        webhook_secrets = ["hunter2", "hunter2"]
    "#;
    let loaded = load(text, &[]).unwrap();
    let printed = loaded.config.redacted();
    assert!(printed.contains("webhook_secrets = [\"***\", \"***\"]"), "{printed}");
    assert_eq!(printed.matches("***").count(), 5, "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(!format!("{loaded:?}").contains("hunter2"));
}
