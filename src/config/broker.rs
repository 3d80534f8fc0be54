//! The settings of routes to a broker.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::section::Section;

/// The handlers that are brokers.
pub const BROKERS: &[&str] = &["nats"];
/// The keys that mean something to brokers only.
const KEYS: &[&str] = &["url_file", "subject", "credentials_file"];
const EXPECTED_URL: &str = "expected one or several URLs such as \"nats://nats.internal:4222\"";

/// Where a route's events are published, and as what.
#[derive(Debug, Clone, Serialize)]
pub struct BrokerConfig {
    /// Where the broker is, as people may see it: who signs in is hidden.
    pub url: String,
    /// The addresses of its servers, without who signs in.
    #[serde(skip)]
    pub servers: Vec<String>,
    /// Who signs in, if the URL says so.
    #[serde(skip)]
    pub login: Option<Login>,
    /// A template over the event that makes what it is published under.
    pub subject: String,
    /// A file that says who signs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
}

/// Who signs in at a broker.
#[derive(Debug, Clone)]
pub enum Login {
    /// Whoever has this token.
    Token(SecretString),
    /// A user.
    User {
        /// Its name.
        name: SecretString,
        /// Its password.
        password: SecretString,
    },
}

impl PartialEq for Login {
    /// Whether both are the same, for connections that routes share; neither comes from a stranger.
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Login {
    fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Self::Token(token) => (token.expose_secret(), None),
            Self::User { name, password } => (name.expose_secret(), Some(password.expose_secret())),
        }
    }

    /// What stands before the `@` of a URL, where special letters are written as `%40`.
    fn parse(text: &str) -> Option<Self> {
        let decode = |part: &str| {
            let text = percent_decode_str(part).decode_utf8().ok()?;
            (!text.is_empty()).then(|| SecretString::from(text.into_owned()))
        };
        match text.split_once(':') {
            Some((name, password)) => Some(Self::User { name: decode(name)?, password: decode(password)? }),
            None => decode(text).map(Self::Token),
        }
    }
}

/// One address of a URL.
struct Server {
    address: String,
    login: Option<Login>,
}

impl Server {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (login, host) = match rest.rsplit_once('@') {
            Some((login, host)) => (Some(Login::parse(login)?), host),
            None => (None, rest),
        };
        let host = host.strip_suffix('/').unwrap_or(host);
        let is_host = !host.is_empty() && !host.starts_with(':');
        let is_plain = !host.contains(|c: char| c.is_whitespace() || c.is_control() || "/?#@".contains(c));
        let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_lowercase());
        (is_scheme && is_host && is_plain).then(|| Self { address: format!("{scheme}://{host}"), login })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.login {
            Some(_) => formatter.write_str(&self.address.replacen("://", "://***@", 1)),
            None => formatter.write_str(&self.address),
        }
    }
}

/// Whether a handler is a broker, which has a `url` of its own kind.
pub(super) fn is_broker(handler: &str) -> bool {
    BROKERS.contains(&handler)
}

impl BrokerConfig {
    /// The settings of a route to a broker; nothing for any other handler, for which they are problems.
    pub(super) fn read(section: &mut Section<'_>, handler: &str) -> Option<Self> {
        if !is_broker(handler) {
            for key in KEYS {
                if section.in_file(key).is_some() {
                    section.problem(key, "means something with handler = \"nats\" only");
                }
            }
            return None;
        }
        if section.peek("url_file").is_none() {
            section.require("url", "where the broker is");
        }
        section.require("subject", "what events are published under, such as \"connectly.{{ event.type }}\"");
        let servers = read_servers(section);
        let login = common_login(section, &servers);
        let credentials_file = section.text("credentials_file").map(PathBuf::from);
        if credentials_file.is_some() && login.is_some() {
            section.problem("credentials_file", "the URL says already who signs in; keep one");
        }
        Some(Self {
            url: servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            servers: servers.into_iter().map(|server| server.address).collect(),
            login,
            subject: section.text("subject").unwrap_or_default(),
            credentials_file,
        })
    }
}

/// The servers: one URL, several with commas between them, or a list. A wrong one is not repeated: it may hold a password.
fn read_servers(section: &mut Section<'_>) -> Vec<Server> {
    let given = if section.peek("url").is_some_and(toml::Value::is_array) {
        section.secrets("url", "url_file").unwrap_or_default()
    } else {
        section.secret("url", "url_file").into_iter().collect()
    };
    let urls = given.iter().flat_map(|urls| urls.expose_secret().split(',').map(str::trim));
    let servers: Option<Vec<Server>> = urls.map(Server::parse).collect();
    if servers.is_none() {
        section.problem("url", EXPECTED_URL);
    }
    servers.unwrap_or_default()
}

/// Who signs in. The client knows one login for all servers, since any of them may send it to another.
fn common_login(section: &Section<'_>, servers: &[Server]) -> Option<Login> {
    let login = servers.first()?.login.clone();
    if servers.iter().any(|server| server.login != login) {
        section.problem("url", "names several servers, expected the same user and password for each");
    }
    login
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let server = Server::parse("nats://ana:p%40ss%3A@[::1]:4222/").unwrap();
        assert_eq!(server.to_string(), "nats://***@[::1]:4222");
        assert_eq!(server.login.unwrap().parts(), ("ana", Some("p@ss:")));
        assert_eq!(Server::parse("tls://t0ken@a.example").unwrap().login.unwrap().parts(), ("t0ken", None));
        assert_eq!(Server::parse("nats://a.example").unwrap().address, "nats://a.example");
        for text in [
            "",
            "a.example",
            "nats://",
            "nats://@a",
            "nats://:p@a",
            "nats://u:@a",
            "nats://a/b",
            "nats://a b",
        ] {
            assert!(Server::parse(text).is_none(), "{text}");
        }
    }
}
