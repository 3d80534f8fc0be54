//! A certificate chain and its key, read from two PEM files, and what can be wrong with them.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use sha2::{Digest as _, Sha256};

use crate::config::{Problems, TlsConfig};

/// The setting that names the certificate chain.
const CERTIFICATE: &str = "public.tls.certificate";
/// The setting that names the private key.
const KEY: &str = "public.tls.key";

/// Tells whether the files are the same as before, without keeping a second copy of the key.
pub(super) type Digest = [u8; 32];

/// The contents of both files, as far as they can be read.
pub(super) struct Pair {
    certificate: io::Result<Vec<u8>>,
    key: io::Result<Vec<u8>>,
}

impl Pair {
    /// Reads both files; this blocks.
    pub(super) fn read(files: &TlsConfig) -> Self {
        Self { certificate: fs::read(&files.certificate), key: fs::read(&files.key) }
    }

    /// The same for the same contents, or for the same reasons why there are none.
    pub(super) fn digest(&self) -> Digest {
        let mut digest = Sha256::new();
        for file in [&self.certificate, &self.key] {
            match file {
                Ok(bytes) => digest.update(Sha256::digest(bytes)),
                Err(error) => digest.update(error.kind().to_string()),
            }
        }
        digest.finalize().into()
    }

    /// The chain with its key, or everything that is wrong with either.
    pub(super) fn certified(&self, files: &TlsConfig) -> Result<CertifiedKey, Problems> {
        let mut problems = Problems::new();
        let chain =
            chain(&self.certificate).map_err(|reason| tell(&mut problems, CERTIFICATE, files, &reason));
        let key = key(&self.key).map_err(|reason| tell(&mut problems, KEY, files, &reason));
        let (Ok(chain), Ok(key)) = (chain, key) else {
            return Err(problems);
        };
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => return Ok(certified),
            Err(Error::InconsistentKeys(_)) => {
                let reason = "is not the key of the first certificate in public.tls.certificate, expected the one that \
                    it was made with";
                tell(&mut problems, KEY, files, reason);
            }
            Err(_) => {
                let reason =
                    "begins with something that is not an X.509 certificate, expected the server's own";
                tell(&mut problems, CERTIFICATE, files, reason);
            }
        }
        Err(problems)
    }
}

fn tell(problems: &mut Problems, setting: &'static str, files: &TlsConfig, reason: &str) {
    let path: &Path = if setting == KEY { &files.key } else { &files.certificate };
    problems.add(setting, format!("\"{}\" {reason}", path.display()));
}

fn chain(file: &io::Result<Vec<u8>>) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(bytes(file)?).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| not_pem())?;
    if certificates.is_empty() {
        let reason = "holds no certificate, expected the server's own and behind it those that lead to a known authority, \
            in PEM";
        return Err(reason.to_owned());
    }
    Ok(certificates)
}

fn key(file: &io::Result<Vec<u8>>) -> Result<Arc<dyn SigningKey>, String> {
    let key = PrivateKeyDer::from_pem_slice(bytes(file)?).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            "holds no private key, expected one in PEM without a passphrase".to_owned()
        }
        _ => not_pem(),
    })?;
    any_supported_type(&key).map_err(|_| {
        let reason = "holds a key that cannot be used, expected ECDSA (P-256, P-384), RSA (2048 bits or more) or Ed25519";
        reason.to_owned()
    })
}

/// What a parser says would quote the file.
fn not_pem() -> String {
    "is damaged, expected PEM: base64 between BEGIN and END lines".to_owned()
}

fn bytes(file: &io::Result<Vec<u8>>) -> Result<&[u8], String> {
    file.as_deref()
        .map_err(|error| format!("cannot be read: {error}; expected a PEM file that this user may read"))
}
