//! TLS on a listener: a certificate and a key from PEM files, which may be replaced while the service runs.
//!
//! TLS 1.2 and 1.3 with ring's suites, all of which encrypt with authentication and keep past sessions secret; HTTP/2 and
//! HTTP/1.1, as the client chooses. No key material and nothing out of a file is ever part of a message: a wrong path may
//! name any file.

mod pem;
mod reload;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};

use self::pem::Pair;
use crate::config::{Problems, TlsConfig};

/// The name under which HTTP/2 is negotiated.
pub(super) const HTTP_2: &[u8] = b"h2";
/// The name under which HTTP/1.1 is negotiated.
const HTTP_1_1: &[u8] = b"http/1.1";

/// What a listener needs to speak TLS.
#[derive(Debug)]
pub struct Tls {
    files: TlsConfig,
    /// What new connections are served with.
    pub(super) serving: RustlsConfig,
    digest: pem::Digest,
}

/// Everything that is wrong with the files, each under its setting.
pub fn check(files: &TlsConfig) -> Problems {
    Pair::read(files).certified(files).err().unwrap_or_default()
}

impl Tls {
    /// Reads the files.
    pub fn load(files: &TlsConfig) -> Result<Self, Problems> {
        let pair = Pair::read(files);
        let serving = RustlsConfig::from_config(server_config(pair.certified(files)?));
        Ok(Self { files: files.clone(), serving, digest: pair.digest() })
    }
}

fn server_config(certified: CertifiedKey) -> Arc<ServerConfig> {
    let resolver = SingleCertAndKey::from(certified);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("ring has suites for both versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    // Every suite here is good; auditors and their tools ask that the server choose.
    config.ignore_client_order = true;
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()];
    Arc::new(config)
}

/// Named, rather than the process's default: another crate in the graph may have chosen another.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}
