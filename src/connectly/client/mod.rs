//! The client of Connectly's API: sends, and questions about the account itself.
//!
//! One call is one request and one attempt: it is classified, never repeated. Repeating is the business of whoever
//! remembers the message. The client therefore has no retries, follows no redirect, and speaks HTTP/1.1: a broken
//! connection leaves one message in doubt, not all that share it.
//!
//! To ask Connectly something else about the account: a file per family of endpoints, beside [`webhooks`], that makes its
//! requests with `call` and reads the answers with `fields`.

mod call;
mod fields;
pub mod quality;
pub mod register;
mod request;
pub mod templates;
#[cfg(test)]
mod tests;
pub mod webhooks;

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};
use secrecy::{ExposeSecret as _, SecretString};

pub use call::CallError;
pub use request::{Recipient, SessionRequest, TemplateRequest};

use crate::connectly::error::{ErrorDetail, SendAnswer};
use crate::connectly::kind::SendKind;

/// The header that carries the API key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The most of the answer to a send that is read, in bytes; a real one has a few hundred.
const BODY_LIMIT: usize = 64 * 1024;

/// How long an unused connection is kept. Shorter than the 5 s after which the hastiest common servers close theirs:
/// a request written to a connection that is just being closed would be lost, and the message in doubt.
const IDLE: Duration = Duration::from_secs(4);

/// The longest wait that is taken from an answer: no message can wait longer than the 24-hour window.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// What a client needs to know.
#[derive(Clone)]
pub struct ClientSettings {
    /// Where the API is, as in `https://api.connectly.ai`; a path is kept as a prefix.
    pub base_url: String,
    /// The business, opaque.
    pub business_id: String,
    /// Its API key.
    pub api_key: SecretString,
    /// How long name resolution, connecting and TLS may take together.
    pub connect_timeout: Duration,
    /// How long the answer may take, counted after connecting at the latest.
    pub timeout: Duration,
}

/// Sends messages for one business. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    session_url: Url,
    template_url: Url,
    /// What every other URL begins with.
    business_url: Url,
    /// Kept to be cut out of what a server says.
    api_key: SecretString,
}

/// Why a client cannot be made of its settings. It repeats none of them.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A base URL that is none.
    #[error("the base URL must begin with http:// or https:// and hold no user, query or fragment")]
    BaseUrl,
    /// A business id that cannot stand in a path.
    #[error("the business id is empty or a dot")]
    BusinessId,
    /// A key that cannot stand in a header.
    #[error("the API key is empty or has characters that no header can carry")]
    ApiKey,
    /// No TLS, mostly because the system has no root certificates.
    #[error("the HTTPS client cannot be set up; are the system's root certificates installed?")]
    Setup(#[source] reqwest::Error),
}

impl Client {
    /// A client, with connections to be made when first needed. The system's root certificates are read here.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let base_url = base_url(&settings.base_url)?;
        let session_url = endpoint(&base_url, &settings.business_id, &["send", "messages"])?;
        let template_url =
            endpoint(&base_url, &settings.business_id, &["send", "whatsapp_templated_messages"])?;
        let business_url = endpoint(&base_url, &settings.business_id, &[])?;
        install_crypto_provider();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("connectly-switchboard/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(&settings.api_key)?)
            .connect_timeout(settings.connect_timeout)
            // Connecting has its own time, so that running out of it is never mistaken for a lost answer.
            .timeout(settings.connect_timeout.saturating_add(settings.timeout))
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only();
        if base_url.scheme() == "http" {
            // Root certificates are not needed, and a small container may have none.
            builder = builder.tls_certs_only(std::iter::empty());
        }
        let http = builder.build().map_err(ClientError::Setup)?;
        let api_key = settings.api_key.clone();
        Ok(Self { http, session_url, template_url, business_url, api_key })
    }

    /// Sends a free-form message: one request, whose outcome is always classified. Dropping the future before it is
    /// done leaves the outcome unknown.
    pub async fn send_session(&self, request: &SessionRequest<'_>) -> SendAnswer {
        match request.to_json() {
            Some(body) => self.post(self.session_url.clone(), body, SendKind::Session).await,
            None => unwritable(),
        }
    }

    /// Sends a template, as [`Self::send_session`] does free-form content.
    pub async fn send_template(&self, request: &TemplateRequest<'_>) -> SendAnswer {
        match request.to_json() {
            Some(body) => self.post(self.template_url.clone(), body, SendKind::Template).await,
            None => unwritable(),
        }
    }

    async fn post(&self, url: Url, body: Vec<u8>, kind: SendKind) -> SendAnswer {
        let response = match self.http.post(url).body(body).send().await {
            Ok(response) => response,
            Err(failure) => return SendAnswer::from_failure(&failure),
        };
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        match read(response, BODY_LIMIT).await {
            Ok(body) => SendAnswer::from_response(kind, status.as_u16(), retry_after, &body),
            // A success whose id was lost is in doubt; any other status has said what matters.
            Err(failure) if status.is_success() => SendAnswer::from_failure(&failure),
            Err(_) => SendAnswer::from_response(kind, status.as_u16(), retry_after, b""),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Client(..)")
    }
}

impl std::fmt::Debug for ClientSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ClientSettings(..)")
    }
}

/// Makes ring the process's cryptography, which every TLS client and server of ours needs before it is built. Calling
/// it again, or after another provider was chosen, changes nothing.
pub fn install_crypto_provider() {
    // An error says that there is one already, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn unwritable() -> SendAnswer {
    SendAnswer::Refused(ErrorDetail::from_message("the request cannot be written as JSON"))
}

fn base_url(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|_| ClientError::BaseUrl)?;
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let bare = url.username().is_empty() && url.password().is_none();
    let ends = url.query().is_none() && url.fragment().is_none();
    if web && bare && ends { Ok(url) } else { Err(ClientError::BaseUrl) }
}

/// `{base}/v1/businesses/{business}/{path}`, with the business id escaped.
fn endpoint(base_url: &Url, business_id: &str, path: &[&str]) -> Result<Url, ClientError> {
    if matches!(business_id, "" | "." | "..") {
        return Err(ClientError::BusinessId);
    }
    let mut url = base_url.clone();
    let mut segments = url.path_segments_mut().map_err(|()| ClientError::BaseUrl)?;
    segments.pop_if_empty().extend(["v1", "businesses", business_id]).extend(path);
    drop(segments);
    Ok(url)
}

fn headers(api_key: &SecretString) -> Result<HeaderMap, ClientError> {
    let key = api_key.expose_secret();
    let mut value = HeaderValue::from_str(key).map_err(|_| ClientError::ApiKey)?;
    if key.trim().is_empty() {
        return Err(ClientError::ApiKey);
    }
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(API_KEY, value), (CONTENT_TYPE, HeaderValue::from_static("application/json"))]))
}

/// The body up to a limit. A longer one is cut, which leaves no JSON and so counts as unreadable.
async fn read(mut response: Response, limit: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < limit {
        let Some(chunk) = response.chunk().await? else {
            break;
        };
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}

/// What `Retry-After` asks for: seconds, or a date, which is measured against the answer's own `Date`.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let date = |text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let wait = date(asked)?.duration_since(date(text(DATE)?)?);
    Some(Duration::try_from(wait).unwrap_or_default().min(LONGEST_WAIT))
}
