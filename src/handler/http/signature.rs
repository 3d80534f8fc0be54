//! Standard Webhooks signatures, version 1 (<https://www.standardwebhooks.com>): HMAC-SHA256 over id, time and body, so that
//! an endpoint can tell our requests from anybody's, and an old one from a new one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::model::id::JobId;

/// The id of what is delivered: the same over all tries.
const ID: HeaderName = HeaderName::from_static("webhook-id");
/// The time of the try, in seconds since 1970.
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// One signature per secret, separated by spaces.
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How long a key may be, in bytes (Standard Webhooks, "Signature scheme").
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What a secret has to be.
const TAKES: &str =
    "expected `whsec_` and the Base64 of 24 to 64 random bytes, such as `openssl rand -base64 32` prints";

/// Signs with each of a route's secrets, so that one can be rotated: the endpoint accepts either meanwhile.
pub(super) struct Signer {
    keys: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// Takes secrets; the places of those that are none are told to `wrong`.
    pub(super) fn new(secrets: &[SecretString], mut wrong: impl FnMut(usize, &'static str)) -> Self {
        let mut keys = Vec::with_capacity(secrets.len());
        for (index, secret) in secrets.iter().enumerate() {
            match key(secret.expose_secret()) {
                Some(key) => keys.push(key),
                None => wrong(index, TAKES),
            }
        }
        Self { keys }
    }

    /// The headers of one try: id and time always, signatures when there are secrets.
    pub(super) fn headers(&self, id: JobId, at: Timestamp, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
        let (id, at) = (id.to_string(), at.as_second().to_string());
        let signature = |key: &Hmac<Sha256>| {
            let signed = key.clone().chain_update(&id).chain_update(".").chain_update(&at).chain_update(".");
            format!("v1,{}", STANDARD.encode(signed.chain_update(body).finalize().into_bytes()))
        };
        let signatures: Vec<String> = self.keys.iter().map(signature).collect();
        let told = [(ID, id), (TIMESTAMP, at), (SIGNATURE, signatures.join(" "))];
        let value = |text: &str| HeaderValue::from_str(text).ok().filter(|value| !value.is_empty());
        told.into_iter().filter_map(|(name, text)| Some((name, value(&text)?))).collect()
    }
}

fn key(secret: &str) -> Option<Hmac<Sha256>> {
    let bytes = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    if !KEY_BYTES.contains(&bytes.len()) {
        return None;
    }
    Hmac::new_from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use standardwebhooks::Webhook;
    use ulid::Ulid;

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn signer(secrets: &[&str]) -> (Signer, Vec<usize>) {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        let mut wrong = Vec::new();
        let signer = Signer::new(&secrets, |index, _| wrong.push(index));
        (signer, wrong)
    }

    fn headers(signer: &Signer, body: &[u8]) -> reqwest::header::HeaderMap {
        let now = crate::clock::Clock::system().now();
        signer.headers(JobId::new(Ulid(7)), now, body).into_iter().collect()
    }

    #[test]
    fn the_public_library_accepts_either_secret_while_one_is_rotated() {
        let (signer, wrong) = signer(&[OLD, NEW]);
        assert!(wrong.is_empty());
        let body = br#"{"event":{"type":"message.received"}}"#;
        let headers = headers(&signer, body);
        for secret in [OLD, NEW] {
            Webhook::new(secret).unwrap().verify(body, &headers).unwrap();
        }
        assert!(Webhook::new(OLD).unwrap().verify(b"{}", &headers).is_err());
        assert!(
            Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap().verify(body, &headers).is_err()
        );
    }

    #[test]
    fn without_a_secret_there_is_no_signature() {
        let (signer, _) = signer(&[]);
        let headers = headers(&signer, b"{}");
        assert!(headers.contains_key("webhook-id") && headers.contains_key("webhook-timestamp"));
        assert!(!headers.contains_key("webhook-signature"));
    }

    #[test]
    fn a_secret_that_no_library_would_take_is_refused() {
        let short = format!("whsec_{}", STANDARD.encode([0; 23]));
        let (_, wrong) = signer(&["secret", "whsec_", "whsec_%", &short, OLD]);
        assert_eq!(wrong, [0, 1, 2, 3]);
    }
}
