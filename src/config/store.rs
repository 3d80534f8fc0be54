//! `[store]`: the database.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::section::Section;
use super::shown;

/// What a database's URL may begin with.
const SCHEMES: &[&str] = &["postgres://", "postgresql://", "sqlite:"];

/// The database that everything is kept in.
#[derive(Debug, Clone, Serialize)]
pub struct StoreConfig {
    /// `postgres://`, `postgresql://` or `sqlite:`; secret, since it may hold a password. `serve` insists on one.
    #[serde(serialize_with = "shown::optional_secret")]
    pub url: Option<SecretString>,
    /// The most connections to PostgreSQL.
    pub connections: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: None, connections: 8 }
    }
}

impl StoreConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            url: section.secret("url", "url_file").filter(|url| accepted(section, url)),
            connections: section.integer("connections", 1..=1000).unwrap_or(default.connections),
        }
    }
}

fn accepted(section: &Section<'_>, url: &SecretString) -> bool {
    let url = url.expose_secret();
    let known = SCHEMES.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if !known {
        section.problem("url", "expected a URL that begins with postgres://, postgresql:// or sqlite:");
    }
    known
}
