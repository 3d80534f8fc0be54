//! Certificates made for a test, in files, and clients that believe them.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::desk;

/// A certificate for 127.0.0.1 that is its own authority, with its key, in PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

/// A certificate that nobody else has.
pub fn issue() -> Issued {
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    Issued { certificate: issued.cert.pem(), key: issued.signing_key.serialize_pem() }
}

impl Issued {
    /// A client that believes this certificate and no other.
    pub fn client(&self) -> reqwest::ClientBuilder {
        let certificate = reqwest::Certificate::from_pem(self.certificate.as_bytes()).unwrap();
        desk::client_builder().tls_certs_only([certificate])
    }
}

/// A certificate and its key where the service finds them; removed with this value.
pub struct Files {
    folder: TempDir,
}

impl Files {
    pub fn of(issued: &Issued) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.replace(issued);
        files
    }

    /// Overwrites both, the one after the other.
    pub fn replace(&self, issued: &Issued) {
        fs::write(self.certificate(), &issued.certificate).unwrap();
        fs::write(self.key(), &issued.key).unwrap();
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// `[public]` with these files.
    pub fn config(&self) -> String {
        let (certificate, key) = (self.certificate(), self.key());
        let (certificate, key) = (certificate.display(), key.display());
        format!("[public]\ntls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n")
    }
}
