//! The signature on every webhook delivery: Base64 of HMAC-SHA256 over the raw body.
//!
//! The key is the secret's text as it stands (Connectly's sample takes its bytes, no decoding), the message is the body
//! before any parsing. Digests are compared in constant time and never leave this module.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The header that carries the signature.
pub const HEADER: &str = "x-connectly-hmac-sha256";

/// The bytes of one SHA-256 digest, which the header carries as 44 characters of Base64.
const DIGEST_BYTES: usize = 32;

/// A webhook secret, keyed once so that each check only hashes the body.
#[derive(Clone)]
pub struct Key {
    mac: Hmac<Sha256>,
}

impl Key {
    /// The key made of a secret's text.
    ///
    /// # Panics
    ///
    /// Never: HMAC takes keys of any length.
    pub fn new(secret: &SecretString) -> Self {
        let mac =
            Hmac::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
        Self { mac }
    }

    /// The header value that Connectly would send with this body.
    pub fn sign(&self, body: &[u8]) -> String {
        STANDARD.encode(self.mac.clone().chain_update(body).finalize().into_bytes())
    }

    fn matches(&self, body: &[u8], digest: &[u8]) -> bool {
        self.mac.clone().chain_update(body).verify_slice(digest).is_ok()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(..)")
    }
}

/// A body whose signature was checked. [`verify`] is the only way to get one, so what takes a `Verified` cannot be
/// handed unsigned bytes.
#[derive(Clone)]
pub struct Verified(Bytes);

impl Verified {
    /// The bytes exactly as they were signed.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl std::fmt::Debug for Verified {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Verified({} bytes)", self.0.len())
    }
}

/// Why a delivery was not believed. It says nothing of the digest, given or expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No signature header.
    #[error("the signature header is missing")]
    Missing,
    /// A header that is not the Base64 of a digest.
    #[error("the signature header is malformed")]
    Malformed,
    /// A digest that none of the secrets makes of this body.
    #[error("the signature does not match the body")]
    Mismatch,
}

/// Checks a delivery against each of the account's secrets (several while one is being rotated).
///
/// White space around the header value is tolerated, since proxies add it.
pub fn verify(keys: &[Key], header: Option<&[u8]>, body: Bytes) -> Result<Verified, Rejection> {
    let header = header.ok_or(Rejection::Missing)?;
    let digest = STANDARD.decode(header.trim_ascii()).map_err(|_| Rejection::Malformed)?;
    if digest.len() != DIGEST_BYTES {
        return Err(Rejection::Malformed);
    }
    // Every key is tried, so that the time taken does not tell which one matched.
    let matched = keys.iter().fold(false, |matched, key| key.matches(&body, &digest) | matched);
    if matched { Ok(Verified(body)) } else { Err(Rejection::Mismatch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Key {
        Key::new(&SecretString::from(secret))
    }

    /// Made with `printf %s '{"a":1}' | openssl dgst -sha256 -hmac secret -binary | base64`.
    const KNOWN: &str = "qp4uNXX11wmLbKzNeQiIw21f22M0KnO62i1qUXR6hJQ=";

    #[test]
    fn a_signature_made_here_is_accepted_by_any_of_the_secrets() {
        let body = Bytes::from_static(b"{}");
        let header = key("new").sign(&body);
        assert_eq!(header.len(), 44);
        assert!(verify(&[key("old"), key("new")], Some(header.as_bytes()), body.clone()).is_ok());
        assert!(verify(&[key("new"), key("old")], Some(format!(" {header} ").as_bytes()), body).is_ok());
    }

    #[test]
    fn rejections_are_told_apart() {
        let body = Bytes::from_static(b"{}");
        let keys = [key("secret")];
        let reject = |header: Option<&[u8]>| verify(&keys, header, body.clone()).unwrap_err();
        assert_eq!(reject(None), Rejection::Missing);
        assert_eq!(reject(Some(b"")), Rejection::Malformed);
        assert_eq!(reject(Some(b"not base64!")), Rejection::Malformed);
        assert_eq!(reject(Some(b"AAAA")), Rejection::Malformed);
        assert_eq!(reject(Some(key("other").sign(&body).as_bytes())), Rejection::Mismatch);
        assert_eq!(reject(Some(key("secret").sign(b"{ }").as_bytes())), Rejection::Mismatch);
    }

    #[test]
    fn debug_output_shows_neither_secret_nor_body() {
        let body = Bytes::from_static(b"hello");
        let key = key("hunter2");
        let verified = verify(std::slice::from_ref(&key), Some(key.sign(&body).as_bytes()), body).unwrap();
        assert_eq!(format!("{key:?} {verified:?}"), "Key(..) Verified(5 bytes)");
    }

    #[test]
    fn the_digest_is_the_one_openssl_makes() {
        assert_eq!(key("secret").sign(br#"{"a":1}"#), KNOWN);
    }
}
