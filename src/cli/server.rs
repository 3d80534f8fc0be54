//! How a command finds the server it talks to: from what it was told, the configuration, or what `dev` left behind.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use secrecy::SecretString;

use super::endpoint::{Endpoint, Given, Missing};
use super::{Surroundings, Usage};
use crate::config::{Config, DEFAULT_ACCOUNT};

/// Where the admin listener is unless it was moved.
const ADMIN_URL: &str = "http://127.0.0.1:8081";

/// Where the running server is, as the caller says.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct ServerOptions {
    /// The admin address of the running server, like `http://127.0.0.1:8081`
    #[arg(long, global = true, env = "SWITCHBOARD_URL", value_name = "URL")]
    pub url: Option<String>,
    /// A file with the admin token; `SWITCHBOARD_ADMIN_TOKEN` may hold the token itself
    #[arg(long, global = true, env = "SWITCHBOARD_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The token itself. Meant for the environment: other users can read a command line.
    #[arg(
        long = "admin-token",
        global = true,
        env = "SWITCHBOARD_ADMIN_TOKEN",
        hide = true,
        hide_env_values = true
    )]
    pub token: Option<SecretString>,
}

impl ServerOptions {
    /// The admin API's address and token, from the first place that has them.
    pub fn find(&self, surroundings: &Surroundings) -> anyhow::Result<Endpoint> {
        let given = Given::read(self.url.as_deref(), self.token_file.as_deref(), self.token.as_ref())?;
        let connection = if given.is_complete() { None } else { surroundings.connection()? };
        let left = connection.map(|left| Endpoint { url: left.admin_url, secret: left.admin_token });
        let configured = surroundings.configured.as_ref().map(|configured| configured.admin.clone());
        let chosen = given.choose(configured, left, ADMIN_URL);
        chosen.map(|(endpoint, _)| endpoint).map_err(|missing| Usage(advice(&missing)).into())
    }
}

fn advice(missing: &Missing) -> String {
    match missing {
        Missing::Secret(url) => {
            format!("no admin token for {url}: give --token-file or set SWITCHBOARD_ADMIN_TOKEN")
        }
        Missing::Everything => {
            "no running server is known: give --url and --token-file, or set SWITCHBOARD_URL \
            and SWITCHBOARD_ADMIN_TOKEN, or give --config, or run this where `switchboard dev` runs \
            (it leaves .switchboard/connection.json)"
                .to_owned()
        }
    }
}

/// What a configuration says of the server that runs with it.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The admin listener and its token.
    pub admin: Endpoint,
    /// The default account's webhook on the public listener, and the secret to sign with.
    pub webhook: Option<Endpoint>,
}

impl Configured {
    /// What a configuration says; nothing when it has no admin token, since then nobody could be asked.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let url = |mut address: SocketAddr| {
            // An address to listen on everywhere is reached here.
            if address.ip().is_unspecified() {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            format!("http://{address}")
        };
        let admin = Endpoint { url: url(config.admin.listen), secret: config.admin.token.clone()? };
        let account = config.accounts.get(DEFAULT_ACCOUNT);
        let secret = account.and_then(|account| account.webhook_secrets.first().cloned());
        let address = format!("{}/webhooks/connectly", url(config.public.listen));
        Some(Self { admin, webhook: secret.map(|secret| Endpoint { url: address, secret }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::connection::FOLDER;
    use crate::clock::Clock;

    #[test]
    fn whoever_is_told_nothing_hears_of_all_four_places() {
        let home = tempfile::tempdir().unwrap();
        let surroundings = Surroundings {
            clock: Clock::system(),
            folder: home.path().into(),
            configured: None,
            app: crate::App::default(),
            environment: crate::config::Environment::default(),
        };
        let error = ServerOptions::default().find(&surroundings).unwrap_err();
        assert!(error.is::<Usage>());
        for place in ["--url", "SWITCHBOARD_URL", "--config", ".switchboard/connection.json"] {
            assert!(error.to_string().contains(place), "{error}");
        }
    }

    #[test]
    fn a_broken_connection_is_no_matter_to_whoever_is_told_everything() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(FOLDER)).unwrap();
        std::fs::write(home.path().join(FOLDER).join("connection.json"), "{").unwrap();
        let surroundings = Surroundings {
            clock: Clock::system(),
            folder: home.path().into(),
            configured: None,
            app: crate::App::default(),
            environment: crate::config::Environment::default(),
        };
        let url = Some("http://127.0.0.1:1".to_owned());
        let told = ServerOptions { url: url.clone(), token: Some("t".into()), token_file: None };
        assert_eq!(told.find(&surroundings).unwrap().url, "http://127.0.0.1:1");
        assert!(ServerOptions { url, ..ServerOptions::default() }.find(&surroundings).is_err());
    }
}
