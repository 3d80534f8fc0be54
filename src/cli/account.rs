//! Which business at Connectly a command is about, and how it is reached.

use std::path::Path;

use reqwest::Url;
use secrecy::ExposeSecret as _;

use super::{Surroundings, Terminal, Usage};
use crate::app::client_settings;
use crate::config::{AccountConfig, Config, DEFAULT_ACCOUNT};
use crate::connectly::client::{Client, ClientSettings};

/// Shown below the help of every command that asks Connectly.
pub const WHERE: &str = "Connectly is asked directly, with the account's business id and API key: those of --config or of the \
environment (CONNECTLY_BUSINESS_ID, CONNECTLY_API_KEY, CONNECTLY_BASE_URL), else, where `switchboard dev` runs, those of \
its emulator.";

/// Which business.
#[derive(Debug, Clone, clap::Args)]
pub struct AccountOptions {
    /// The account, as the configuration names it
    #[arg(long, value_name = "NAME", default_value = DEFAULT_ACCOUNT)]
    pub account: String,
}

/// A business, ready to be asked about.
#[derive(Debug)]
pub struct Account {
    /// The client that carries its key.
    pub client: Client,
    /// Where this service takes its webhooks, if that is known.
    pub webhook: Option<String>,
    /// Whether Connectly is on this machine, as the emulator is.
    pub is_local: bool,
}

impl AccountOptions {
    /// The account, from the first place that has it.
    pub fn find(
        &self,
        file: Option<&Path>,
        surroundings: &Surroundings,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Account> {
        let loaded =
            Config::load(file, &surroundings.environment).map_err(|problems| Usage::of(&problems))?;
        let left = self.left_by_dev(&loaded.config, surroundings)?;
        let settings = loaded.config.accounts.get(&self.account).filter(|account| is_usable(account));
        let Some(settings) = settings else {
            return left.ok_or_else(|| Usage(self.advice(&loaded.config)).into());
        };
        if left.is_some() {
            terminal.hint(&format!(
                "asking {}, as configured, and not the emulator that runs here",
                settings.base_url
            ))?;
        }
        let webhook = loaded.config.public.url.as_deref().map(|url| webhook_address(url, &self.account));
        Account::new(&client_settings(&loaded.config, settings), webhook)
    }

    /// The business that the emulator of `dev` plays, where it runs.
    fn left_by_dev(&self, config: &Config, surroundings: &Surroundings) -> anyhow::Result<Option<Account>> {
        let left = if self.account == DEFAULT_ACCOUNT { surroundings.connection()? } else { None };
        let Some(left) = left else { return Ok(None) };
        let (Some(base_url), Some(business_id), Some(api_key)) =
            (left.emulator_url, left.business_id, left.api_key)
        else {
            return Ok(None);
        };
        let account = AccountConfig { business_id, api_key, base_url, ..AccountConfig::default() };
        Account::new(&client_settings(config, &account), Some(left.webhook_url)).map(Some)
    }

    fn advice(&self, config: &Config) -> String {
        let name = &self.account;
        let begins = if config.accounts.contains_key(name) {
            format!("account {name} has no business_id or no api_key")
        } else {
            format!("no account {name} is known")
        };
        if name != DEFAULT_ACCOUNT {
            return format!("{begins}: put both into [accounts.{name}] of the file that --config names");
        }
        format!(
            "{begins}: set CONNECTLY_BUSINESS_ID and CONNECTLY_API_KEY, or give --config, or run this where \
            `switchboard dev` runs"
        )
    }
}

impl Account {
    fn new(settings: &ClientSettings, webhook: Option<String>) -> anyhow::Result<Self> {
        let is_local = is_local(&settings.base_url);
        Ok(Self { client: Client::new(settings)?, webhook, is_local })
    }
}

/// Where the service takes an account's webhooks, below the URL that it is called from outside.
pub fn webhook_address(public_url: &str, account: &str) -> String {
    if account == DEFAULT_ACCOUNT {
        return format!("{public_url}/webhooks/connectly");
    }
    format!("{public_url}/webhooks/connectly/{account}")
}

/// Whether a URL is of this machine.
pub fn is_local(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Whether Connectly can be asked with it.
pub fn is_usable(account: &AccountConfig) -> bool {
    !account.api_key.expose_secret().is_empty() && !account.business_id.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_has_its_own_address() {
        let address = |account| webhook_address("https://hooks.example.com/x", account);
        assert_eq!(address("default"), "https://hooks.example.com/x/webhooks/connectly");
        assert_eq!(address("brazil"), "https://hooks.example.com/x/webhooks/connectly/brazil");
    }

    #[test]
    fn only_this_machine_is_local() {
        for url in ["http://127.0.0.1:8082", "http://localhost", "http://[::1]:1/x", "https://127.9.9.9"] {
            assert!(is_local(url), "{url}");
        }
        for url in ["https://api.connectly.ai", "http://10.0.0.1", "http://localhost.example.com", ""] {
            assert!(!is_local(url), "{url}");
        }
    }
}
