//! The configuration through its front door.

mod layers;
mod problems;
mod routes;
mod secrets;
mod template;

use super::{Config, Environment, Loaded, Problems};

/// What makes a configuration complete, as variables.
const COMPLETE: [(&str, &str); 5] = [
    ("CONNECTLY_BUSINESS_ID", "business"),
    ("CONNECTLY_API_KEY", "key"),
    ("CONNECTLY_WEBHOOK_SECRET", "secret"),
    ("SWITCHBOARD_ADMIN_TOKEN", "a token of 24 characters"),
    ("DATABASE_URL", "sqlite:///tmp/switchboard.db"),
];

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    Config::from_toml(text, &environment(variables))
}

fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    load(text, variables).unwrap().config
}

fn problems(text: &str, variables: &[(&str, &str)]) -> String {
    load(text, variables).unwrap_err().to_string()
}
