//! What `serve` needs beyond a well-formed configuration.

use secrecy::ExposeSecret as _;

use super::Config;
use super::account::{AccountConfig, DEFAULT_ACCOUNT};
use super::environment::alias;
use super::problem::Problems;

/// The fewest letters of an admin token that nobody guesses over the network.
const TOKEN_LETTERS: usize = 16;

impl Config {
    /// Says what is missing to run the service: an account with its id, key and webhook secrets, an admin token of at
    /// least 16 characters, a database. Made to be handed to [`Config::load_checked`].
    pub fn check_for_serve(&self) -> Problems {
        let mut problems = Problems::new();
        if self.accounts.is_empty() {
            check_account(DEFAULT_ACCOUNT, &AccountConfig::default(), &mut problems);
        }
        for (name, account) in &self.accounts {
            check_account(name, account, &mut problems);
        }
        match &self.admin.token {
            None => missing(&mut problems, "admin.token"),
            Some(token) if token.expose_secret().chars().count() < TOKEN_LETTERS => {
                problems
                    .add("admin.token", format!("too short, expected at least {TOKEN_LETTERS} characters"));
            }
            Some(_) => {}
        }
        if self.store.url.is_none() {
            missing(&mut problems, "store.url");
        }
        problems
    }
}

fn check_account(name: &str, account: &AccountConfig, problems: &mut Problems) {
    let given = [
        ("business_id", !account.business_id.is_empty()),
        ("api_key", !account.api_key.expose_secret().is_empty()),
        ("webhook_secrets", !account.webhook_secrets.is_empty()),
    ];
    for (key, _) in given.iter().filter(|(_, given)| !given) {
        missing(problems, &format!("accounts.{name}.{key}"));
    }
}

fn missing(problems: &mut Problems, key: &str) {
    let message = match alias(key) {
        Some(variable) => format!("missing; set it in the configuration file or as {variable}"),
        None => "missing; set it in the configuration file".to_owned(),
    };
    problems.add(key, message);
}
