//! Who is let in: requests whose Host header names this machine, and, for data and actions, the token.
//!
//! A page in a browser can make a foreign name point to this machine, but it cannot choose the Host header: the browser
//! sends that name. There is no CORS and no cookie, so no page can make use of somebody's being logged in.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::http::problem::Problem;

/// The admin token, kept as a digest: two digests are equally long, so comparing them tells nothing about the token.
#[derive(Clone)]
pub struct Token {
    digest: [u8; 32],
}

impl Token {
    /// The token that callers must show.
    pub fn new(secret: &SecretString) -> Self {
        Self { digest: digest(secret.expose_secret().as_bytes()) }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        shown.is_some_and(|token| digest(token).ct_eq(&self.digest).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// Lets pass who shows the token.
pub(super) async fn check_token(
    State(token): State<Token>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if token.admits(request.headers()) { Ok(next.run(request).await) } else { Err(Problem::token()) }
}

/// Lets pass requests that name a loopback host or a listed one.
pub(super) async fn check_host(
    State(hosts): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if is_ours(request.uri(), request.headers(), &hosts) {
        Ok(next.run(request).await)
    } else {
        Err(Problem::unknown_host())
    }
}

/// What browsers must know of every answer: it is what its type says, is kept nowhere, and loads nothing unless it has said
/// itself what it may.
pub(super) async fn set_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The token of `Bearer <token>`; the scheme's case does not matter.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Every name that the request carries must be ours: HTTP/1.1 has it in the header, HTTP/2 and proxies in the URI.
fn is_ours(uri: &Uri, headers: &HeaderMap, listed: &[String]) -> bool {
    let in_headers = headers.get_all(HOST).iter().map(|value| value.to_str().unwrap_or_default());
    let mut names = in_headers.chain(uri.authority().map(Authority::as_str)).peekable();
    names.peek().is_some() && names.all(|name| is_allowed(name, listed))
}

fn is_allowed(name_and_port: &str, listed: &[String]) -> bool {
    let Some(name) = without_port(name_and_port) else {
        return false;
    };
    is_loopback(name) || listed.iter().any(|host| host.eq_ignore_ascii_case(name))
}

fn is_loopback(name: &str) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The name in `name:port`, `name` or `[address]:port`; nothing when what follows the colon is no port.
fn without_port(text: &str) -> Option<&str> {
    let after_address = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = text[after_address..].find(':') else {
        return Some(text);
    };
    let (name, port) = text.split_at(after_address + colon);
    port[1..].parse::<u16>().is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};

    use super::*;
    use crate::http::testing::{TOKEN, admin, call, get, header, read_json, request};

    #[test]
    fn only_this_machine_and_listed_names_are_hosts() {
        let listed = ["switchboard.example".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1:8081",
            "127.8.9.1",
            "[::1]",
            "[::1]:8081",
            "switchboard.example",
            "Switchboard.Example:443",
        ] {
            assert!(is_allowed(host, &listed), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "localhost:8081@evil.example",
            "localhost:",
            "localhost:port",
            "[::1",
            "::1",
            "user@localhost",
        ] {
            assert!(!is_allowed(host, &listed), "{host}");
        }
    }

    #[tokio::test]
    async fn another_host_is_421_on_every_path() {
        let router = admin(|_| {}).router;
        for path in ["/", "/livez", "/readyz", "/metrics", "/api/v1/events", "/nothing"] {
            for host in [Some("evil.example"), Some("localhost, evil.example"), None] {
                let mut request = get(path);
                request.headers_mut().remove(HOST);
                if let Some(host) = host {
                    request.headers_mut().insert(HOST, HeaderValue::from_static(host));
                }
                let response = call(&router, request).await;
                assert_eq!(response.status(), 421, "{path} {host:?}");
                assert_eq!(read_json(response).await["type"], "/problems/unknown-host");
            }
        }
        let mut two = get("/livez");
        two.headers_mut().append(HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(call(&router, two).await.status(), 421);
        assert_eq!(call(&router, get("http://evil.example/livez")).await.status(), 421);
        assert_eq!(call(&router, get("http://localhost/livez")).await.status(), 200);
    }

    #[tokio::test]
    async fn data_and_actions_need_the_token() {
        let router = admin(|_| {}).router;
        let wrong = [
            "",
            "Bearer",
            "Bearer ",
            "Bearer test-toke",
            "Bearer test-token-",
            "Basic test-token",
            "test-token",
        ];
        let paths = [
            "/metrics",
            "/api/v1",
            "/api/v1/",
            "/api/v1/events",
            "/api/v1/routes",
            "/api/v1/nothing",
            "/api/v1/events/stream",
        ];
        for path in paths {
            for authorization in wrong {
                let mut request = get(path);
                request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(authorization));
                let response = call(&router, request).await;
                assert_eq!(response.status(), 401, "{path} {authorization}");
                assert_eq!(header(&response, "www-authenticate"), "Bearer");
                assert_eq!(read_json(response).await["type"], "/problems/invalid-token");
            }
        }
        let mut without = request(Method::DELETE, "/api/v1/jobs");
        without.headers_mut().remove(AUTHORIZATION);
        assert_eq!(call(&router, without).await.status(), 401);
        let in_the_url =
            Request::builder().uri(format!("/api/v1/routes?token={TOKEN}")).header(HOST, "localhost");
        assert_eq!(call(&router, in_the_url.body(Body::empty()).unwrap()).await.status(), 401);
    }

    #[tokio::test]
    async fn the_scheme_is_read_in_any_case() {
        let router = admin(|_| {}).router;
        let mut request = get("/api/v1/events");
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("bearer test-token"));
        assert_eq!(call(&router, request).await.status(), 200);
    }

    #[tokio::test]
    async fn every_answer_tells_browsers_to_be_careful() {
        let router = admin(|_| {}).router;
        for path in ["/", "/api/v1/routes", "/api/v1/nothing", "/nothing"] {
            let response = call(&router, get(path)).await;
            assert_eq!(header(&response, "x-content-type-options"), "nosniff");
            assert_eq!(header(&response, "cache-control"), "no-store");
            assert!(header(&response, "content-security-policy").starts_with("default-src 'none'"));
            assert_eq!(header(&response, "access-control-allow-origin"), "");
        }
    }

    #[test]
    fn debug_output_shows_no_token() {
        assert_eq!(format!("{:?}", Token::new(&SecretString::from("hunter2"))), "Token(..)");
    }
}
