//! Handlers in any language: one signed request per event, whose answer is what the event leads to.
//!
//! The request carries the event, its conversation, the message it refers to and the lane's state (`request`), signed with
//! Standard Webhooks headers (`signature`). The answer may hold replies, a new state and effects (`answer`). What a
//! stranger's endpoint can do to this process is bounded: the route's `timeout` and `concurrency`, the size of an answer, no
//! redirects, no proxy from the environment, and no address inside the operator's own network unless the route allows it
//! (`address`).
//!
//! One request is one attempt. Retries are the queue's; `webhook-id` is the same over all of them, so that an endpoint can
//! tell a repeat.

pub mod address;
pub mod answer;
mod request;
mod signature;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use secrecy::ExposeSecret as _;

use self::address::{Forbidden, PublicOnly};
use self::signature::Signer;
use super::Handler;
use crate::clock::Clock;
use crate::config::{Problems, RouteConfig};
use crate::connectly::client::{install_crypto_provider, retry_after};
use crate::model::context::Context;
use crate::model::event::Event;
use crate::model::outcome::{HandlerError, HandlerResult, Outcome};

/// How long an endpoint may take to accept a connection, the name's resolution and TLS included. The route's `timeout`
/// bounds the rest.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept. Shorter than the 5 s after which the hastiest common servers close theirs.
const IDLE: Duration = Duration::from_secs(4);

/// The most of an answer that is read, in bytes: a state of 64 KiB and replies at their longest stay far below.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// A handler behind a URL.
pub struct HttpHandler {
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    signer: Signer,
    window_margin: Duration,
    clock: Clock,
}

impl HttpHandler {
    /// The handler of a route, or everything that is wrong with the route's settings.
    pub fn new(route: &RouteConfig, window_margin: Duration, clock: Clock) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let url = url(route).map_err(|message| problems.add(route.key("url"), message));
        let headers = headers(route, &mut problems);
        let signer = Signer::new(&route.secrets, |index, message| {
            problems.add(route.key(&format!("secrets[{index}]")), message);
        });
        let client = url.as_ref().ok().and_then(|url| {
            let made = client(url, route);
            made.map_err(|error| problems.add(route.key("url"), error.to_string())).ok()
        });
        match (url, client) {
            (Ok(url), Some(client)) if problems.is_empty() => {
                Ok(Self { client, url, headers, signer, window_margin, clock })
            }
            _ => Err(problems),
        }
    }

    async fn deliver(&self, event: &Event, context: &Context) -> HandlerResult {
        let body = request::body(event, context, self.window_margin)
            .map_err(|_| HandlerError::fail("the event cannot be written as JSON"))?;
        let mut headers = self.headers.clone();
        headers.extend(self.signer.headers(context.job, self.clock.now(), &body));
        let sent = self.client.post(self.url.clone()).headers(headers).body(body).send().await;
        let response = sent.map_err(|error| unanswered(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(answer::refusal(status.as_u16(), retry_after(response.headers())));
        }
        if !is_json(response.headers()) {
            return Ok(Outcome::ignored());
        }
        let body = read(response).await?;
        answer::read(&body).map_err(|wrong| HandlerError::fail(format!("the handler's answer: {wrong}")))
    }
}

impl Handler for HttpHandler {
    async fn handle(&self, event: &Event, context: &Context) -> HandlerResult {
        self.deliver(event, context).await
    }
}

/// The route's URL, if a request may go there.
fn url(route: &RouteConfig) -> Result<Url, String> {
    let text = route.url.as_deref().ok_or("missing, expected where to post events to")?;
    let url =
        Url::parse(text).map_err(|error| format!("expected a URL with https:// or http://: {error}"))?;
    if !route.allow_private {
        address::check(&url)?;
    }
    Ok(url)
}

fn client(url: &Url, route: &RouteConfig) -> reqwest::Result<reqwest::Client> {
    install_crypto_provider();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("connectly-switchboard/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(route.concurrency)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        // A connection that breaks costs one attempt, not all that share it.
        .http1_only();
    if !route.allow_private {
        builder = builder.dns_resolver(Arc::new(PublicOnly));
    }
    if url.scheme() == "http" {
        // Root certificates are not needed, and a small container may have none.
        builder = builder.tls_certs_only(std::iter::empty());
    }
    builder.build()
}

/// What every request carries. The names that the protocol needs are its own.
fn headers(route: &RouteConfig, problems: &mut Problems) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &route.headers {
        let key = || route.key(&format!("headers.{name}"));
        let (Ok(name), Ok(mut value)) =
            (HeaderName::try_from(name), HeaderValue::from_str(value.expose_secret()))
        else {
            problems.add(key(), "expected a header's name and a string that it can hold");
            continue;
        };
        if is_ours(&name) {
            problems.add(key(), "is set by Switchboard itself");
        }
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

fn is_ours(name: &HeaderName) -> bool {
    let framing = ["content-type", "content-length", "transfer-encoding", "connection", "host", "expect"];
    name.as_str().starts_with("webhook-") || framing.contains(&name.as_str())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The body, unless it is longer than anything an answer can hold.
async fn read(mut response: Response) -> Result<Vec<u8>, HandlerError> {
    let too_long = || HandlerError::fail(format!("the handler's answer is longer than {ANSWER_LIMIT} bytes"));
    // One that says how long it is need not be read to be refused.
    if response.content_length().is_some_and(|length| length > ANSWER_LIMIT as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(&error))? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What it means that no answer came: only an address that is not allowed is the operator's to mend.
fn unanswered(error: &reqwest::Error) -> HandlerError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
            return HandlerError::fail(forbidden);
        }
        source = cause.source();
    }
    HandlerError::retry(if error.is_dns() {
        "the handler's host name did not resolve"
    } else if error.is_connect() && error.is_timeout() {
        "the handler did not accept a connection in time"
    } else if error.is_connect() {
        "the handler could not be connected to"
    } else {
        "the connection to the handler was lost before its answer was complete"
    })
}

impl std::fmt::Debug for HttpHandler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("HttpHandler(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Retry;

    fn told(route: &RouteConfig) -> String {
        let made = HttpHandler::new(route, Duration::ZERO, Clock::system());
        made.map(drop).unwrap_err().to_string()
    }

    fn route(url: &str) -> RouteConfig {
        RouteConfig { name: "bot".to_owned(), url: Some(url.to_owned()), ..RouteConfig::default() }
    }

    #[test]
    fn what_is_wrong_with_a_route_is_told_before_the_first_request() {
        let mut wrong = route("http://169.254.169.254/");
        wrong.secrets = vec!["hunter2".into()];
        wrong.headers = [("Webhook-Id".to_owned(), "x".into()), ("Host".to_owned(), "x".into())].into();
        insta::assert_snapshot!(told(&wrong), @r"
        routes.bot.url: 169.254.169.254 is a private address: set `allow_private = true` on the route if that is meant
        routes.bot.headers.Host: is set by Switchboard itself
        routes.bot.headers.Webhook-Id: is set by Switchboard itself
        routes.bot.secrets[0]: expected `whsec_` and the Base64 of 24 to 64 random bytes, such as `openssl rand -base64 32` prints
        ");
        wrong = RouteConfig { allow_private: true, ..route("http://169.254.169.254/") };
        assert!(HttpHandler::new(&wrong, Duration::ZERO, Clock::system()).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_the_operators_to_mend() {
        let url = Url::parse("http://localhost:1/").unwrap();
        let client = client(&url, &route("http://localhost:1/")).unwrap();
        let error = unanswered(&client.post(url).send().await.unwrap_err());
        assert_eq!(error.retry, Retry::Never);
        assert!(error.reason.contains("allow_private"), "{error}");
    }
}
