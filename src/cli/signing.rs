//! What `sign`, `verify` and `listen` have in common: a body's own bytes, and the secrets of an account.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::endpoint::secret_in;
use super::{Surroundings, Usage};
use crate::config::{Config, DEFAULT_ACCOUNT};
use crate::connectly::signature::Key;
use anyhow::Context as _;

/// Which body, and which secret.
#[derive(Debug, clap::Args)]
pub struct Signing {
    /// The file with the body, byte for byte; without it, or with `-`, the body is read from standard input
    #[arg(value_name = "FILE")]
    body: Option<PathBuf>,
    /// A file with the webhook secret; otherwise `CONNECTLY_WEBHOOK_SECRET`, the configuration's, or the one of `dev`
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The account whose configured secrets are taken
    #[arg(long, value_name = "NAME", default_value = DEFAULT_ACCOUNT)]
    account: String,
}

impl Signing {
    /// The body.
    pub fn body(&self) -> anyhow::Result<Vec<u8>> {
        let Some(path) = self.body.as_deref().filter(|path| *path != Path::new("-")) else {
            let mut body = Vec::new();
            std::io::stdin().lock().read_to_end(&mut body).context("cannot read standard input")?;
            return Ok(body);
        };
        std::fs::read(path).with_context(|| Usage(format!("cannot read {}", path.display())))
    }

    /// The keys made of the secrets, the current one first; there is at least one.
    pub fn keys(&self, file: Option<&Path>, surroundings: &Surroundings) -> anyhow::Result<Vec<Key>> {
        keys(self.secret_file.as_deref(), &self.account, file, surroundings)
    }
}

/// The keys made of an account's secrets, the current one first; there is at least one. They come from the file with the
/// secret, or else from the environment or the configuration, or else from what `dev` left.
pub fn keys(
    secret_file: Option<&Path>,
    account: &str,
    file: Option<&Path>,
    surroundings: &Surroundings,
) -> anyhow::Result<Vec<Key>> {
    if let Some(path) = secret_file {
        return Ok(vec![Key::new(&secret_in(path)?)]);
    }
    let loaded = Config::load(file, &surroundings.environment).map_err(|problems| Usage::of(&problems))?;
    let settings = loaded.config.accounts.get(account);
    let configured: Vec<Key> =
        settings.map(|account| account.webhook_secrets.iter().map(Key::new).collect()).unwrap_or_default();
    if !configured.is_empty() {
        return Ok(configured);
    }
    let left = if account == DEFAULT_ACCOUNT { surroundings.connection()? } else { None };
    let left = left.ok_or_else(|| Usage(advice(account)))?;
    Ok(vec![Key::new(&left.webhook_secret)])
}

fn advice(account: &str) -> String {
    format!(
        "no webhook secret of account {account} is known: give --secret-file, set CONNECTLY_WEBHOOK_SECRET, or give \
        --config, or run this where `switchboard dev` runs"
    )
}
