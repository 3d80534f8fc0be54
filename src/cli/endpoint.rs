//! An address and the secret that goes with it, chosen from the places that may hold them.

use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::Usage;

/// An address, and the secret that goes with it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The address.
    pub url: String,
    /// A token to show, or a secret to sign with.
    pub secret: SecretString,
}

/// Which place an [`Endpoint`] came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An option or the environment.
    Told,
    /// The configuration.
    Configuration,
    /// What `dev` left behind.
    Connection,
}

/// What no place had.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// An address was given, without a secret.
    Secret(String),
    /// Nothing at all.
    Everything,
}

/// What the options and the environment say.
#[derive(Debug, Default)]
pub struct Given {
    url: Option<String>,
    secret: Option<SecretString>,
    from_file: bool,
}

impl Given {
    /// Reads the secret's file, if there is one; it comes before the environment's value. Empty values count as absent,
    /// except for the file's, which is a mistake.
    pub fn read(
        url: Option<&str>,
        file: Option<&Path>,
        value: Option<&SecretString>,
    ) -> anyhow::Result<Self> {
        let file = file.filter(|path| !path.as_os_str().is_empty());
        let secret = match file {
            Some(path) => Some(secret_in(path)?),
            None => value.filter(|value| !value.expose_secret().is_empty()).cloned(),
        };
        let url = url.filter(|url| !url.is_empty()).map(str::to_owned);
        Ok(Self { url, secret, from_file: file.is_some() })
    }

    /// Whether nothing needs to be looked up.
    pub fn is_complete(&self) -> bool {
        self.url.is_some() && self.secret.is_some()
    }

    /// Chooses the endpoint. A secret only ever goes to the address it belongs to: one that another place holds is
    /// used for a given address if it is the same address, and a secret that just happens to be in the environment does
    /// not replace the one that `dev` left.
    pub fn choose(
        self,
        configured: Option<Endpoint>,
        left: Option<Endpoint>,
        default_url: &str,
    ) -> Result<(Endpoint, Source), Missing> {
        if let Some(url) = self.url {
            let same = |known: &Endpoint| known.url.trim_end_matches('/') == url.trim_end_matches('/');
            let known = || configured.into_iter().chain(left).find(same).map(|known| known.secret);
            let secret = self.secret.or_else(known).ok_or_else(|| Missing::Secret(url.clone()))?;
            return Ok((Endpoint { url, secret }, Source::Told));
        }
        let known = configured.map(|known| (known, Source::Configuration));
        match (known.or(left.map(|known| (known, Source::Connection))), self.secret) {
            (Some((known, _)), Some(secret)) if self.from_file => {
                Ok((Endpoint { url: known.url, secret }, Source::Told))
            }
            (Some(found), _) => Ok(found),
            (None, Some(secret)) => Ok((Endpoint { url: default_url.to_owned(), secret }, Source::Told)),
            (None, None) => Err(Missing::Everything),
        }
    }
}

/// Reads a secret's file; one newline at its end is cut.
pub(super) fn secret_in(path: &Path) -> anyhow::Result<SecretString> {
    let cannot = || Usage(format!("cannot read the secret in {}", path.display()));
    let text = std::fs::read_to_string(path).with_context(cannot)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    anyhow::ensure!(!text.is_empty(), Usage(format!("the secret in {} is empty", path.display())));
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, secret: &str) -> Endpoint {
        Endpoint { url: url.into(), secret: secret.into() }
    }

    fn given(url: Option<&str>, secret: Option<&str>) -> Given {
        Given { url: url.map(str::to_owned), secret: secret.map(SecretString::from), from_file: false }
    }

    fn chosen(given: Given, configured: bool, left: bool) -> Result<String, Missing> {
        let configured = configured.then(|| endpoint("http://conf", "of-conf"));
        let left = left.then(|| endpoint("http://dev", "of-dev"));
        let (found, source) = given.choose(configured, left, "http://default")?;
        Ok(format!("{} {} {source:?}", found.url, found.secret.expose_secret()))
    }

    #[test]
    fn the_first_place_that_has_both_wins() {
        assert_eq!(chosen(given(Some("u"), Some("s")), true, true).unwrap(), "u s Told");
        assert_eq!(chosen(given(None, None), true, true).unwrap(), "http://conf of-conf Configuration");
        assert_eq!(chosen(given(None, None), false, true).unwrap(), "http://dev of-dev Connection");
        assert_eq!(chosen(given(None, Some("s")), false, false).unwrap(), "http://default s Told");
        assert_eq!(chosen(given(None, None), false, false), Err(Missing::Everything));
    }

    #[test]
    fn a_secret_goes_to_no_address_but_its_own() {
        assert_eq!(
            chosen(given(Some("http://evil"), None), true, true),
            Err(Missing::Secret("http://evil".into()))
        );
        assert_eq!(chosen(given(Some("http://dev/"), None), true, true).unwrap(), "http://dev/ of-dev Told");
        assert_eq!(chosen(given(None, Some("stray")), false, true).unwrap(), "http://dev of-dev Connection");
        let pinned = Given { from_file: true, ..given(None, Some("pinned")) };
        assert_eq!(chosen(pinned, false, true).unwrap(), "http://dev pinned Told");
    }

    #[test]
    fn a_secrets_file_loses_one_newline_and_must_not_be_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(secret_in(&path).unwrap().expose_secret(), "abc");
        std::fs::write(&path, "\n").unwrap();
        assert!(secret_in(&path).unwrap_err().is::<Usage>());
        assert!(secret_in(&folder.path().join("absent")).unwrap_err().is::<Usage>());
    }
}
