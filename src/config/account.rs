//! `[accounts.NAME]`: the Connectly businesses, one or more.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Serialize;

use super::environment::{WEBHOOK_SECRET, WEBHOOK_SECRET_PREVIOUS, alias};
use super::section::Section;
use super::shown;
use super::value::{NAME, is_name};

/// The account of a single-business setup, which the environment reaches.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Where Connectly's API is.
const BASE_URL: &str = "https://api.connectly.ai";

/// One Connectly business. `serve` insists that nothing in it is empty.
#[derive(Debug, Clone, Serialize)]
pub struct AccountConfig {
    /// Connectly's id of the business; empty when it is not configured.
    pub business_id: String,
    /// The key for Connectly's API; empty when it is not configured.
    #[serde(serialize_with = "shown::secret")]
    pub api_key: SecretString,
    /// The secrets that webhooks may be signed with, several while one is rotated; empty when none is configured.
    #[serde(serialize_with = "shown::secrets")]
    pub webhook_secrets: Vec<SecretString>,
    /// Where Connectly's API is, without a slash at the end.
    pub base_url: String,
    /// How fast messages may leave.
    pub rate: RateConfig,
}

/// A token bucket for the sends of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RateConfig {
    /// Messages a second in the long run.
    pub per_second: u32,
    /// Messages that may leave at once after a quiet time.
    pub burst: u32,
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self {
            business_id: String::new(),
            api_key: SecretString::default(),
            webhook_secrets: Vec::new(),
            base_url: BASE_URL.to_owned(),
            rate: RateConfig::default(),
        }
    }
}

impl Default for RateConfig {
    fn default() -> Self {
        Self { per_second: 200, burst: 1000 }
    }
}

impl AccountConfig {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            business_id: section.text("business_id").unwrap_or_default(),
            api_key: section.secret("api_key", "api_key_file").unwrap_or_default(),
            webhook_secrets: webhook_secrets(section),
            base_url: section.http_url("base_url").unwrap_or(default.base_url),
            rate: section.section("rate", RateConfig::read),
        }
    }
}

impl RateConfig {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            per_second: section.integer("per_second", 1..=10_000).unwrap_or(default.per_second),
            burst: section.integer("burst", 1..=100_000).unwrap_or(default.burst),
        }
    }
}

/// All accounts by name. Account `default` exists also when the environment alone describes it.
pub(super) fn read_all(section: &mut Section<'_>) -> BTreeMap<String, AccountConfig> {
    let mut names = section.names();
    if !names.iter().any(|name| name == DEFAULT_ACCOUNT) && default_is_in_environment(section) {
        names.push(DEFAULT_ACCOUNT.to_owned());
    }
    let mut accounts = BTreeMap::new();
    for name in names {
        if !is_name(&name) {
            section.problem(&name, format!("this account's name is not made of {NAME}"));
        }
        let account = section.named(&name, name == DEFAULT_ACCOUNT, AccountConfig::read);
        accounts.insert(name, account);
    }
    accounts
}

/// Whether a variable says who the default account is; a base URL or a rate alone says no such thing.
fn default_is_in_environment(section: &Section<'_>) -> bool {
    let identity = ["business_id", "api_key"].map(|key| section.path(&format!("{DEFAULT_ACCOUNT}.{key}")));
    let mut names: Vec<&str> = identity.iter().filter_map(|path| alias(path)).collect();
    names.extend([WEBHOOK_SECRET, WEBHOOK_SECRET_PREVIOUS]);
    // Not short-circuited: each of these variables becomes a known one.
    let given = names.iter().filter(|name| section.reader.knows_secret(name)).count();
    given > 0 || section.has_variables(DEFAULT_ACCOUNT)
}

/// The file's secrets, replaced by the one in the environment; the previous one comes after either.
fn webhook_secrets(section: &mut Section<'_>) -> Vec<SecretString> {
    let key = "webhook_secrets";
    let in_file = section.secrets(key, "webhook_secrets_file").unwrap_or_default();
    if !section.is_reached() {
        return in_file;
    }
    let current = section.secret_variable(key, WEBHOOK_SECRET);
    let previous = section.secret_variable(key, WEBHOOK_SECRET_PREVIOUS);
    let mut secrets = current.map_or(in_file, |secret| vec![secret]);
    secrets.extend(previous);
    secrets
}
