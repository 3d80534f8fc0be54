//! Certificates made for a test, and what is said of broken ones.

use std::fs;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::pem::Pair;
use super::{Tls, check};
use crate::config::TlsConfig;

/// A certificate with its key, in PEM.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: String,
}

pub(super) fn issue(name: &str) -> Issued {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    Issued { certificate: cert.pem(), key: signing_key.serialize_pem() }
}

/// Both files, in a folder that is removed with this value.
pub(super) struct Files {
    pub(super) config: TlsConfig,
    _folder: TempDir,
}

impl Files {
    pub(super) fn new(issued: &Issued) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config =
            TlsConfig { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        let files = Self { config, _folder: folder };
        files.write_certificate(&issued.certificate);
        files.write_key(&issued.key);
        files
    }

    pub(super) fn write_certificate(&self, text: &str) {
        fs::write(&self.config.certificate, text).unwrap();
    }

    pub(super) fn write_key(&self, text: &str) {
        fs::write(&self.config.key, text).unwrap();
    }

    pub(super) fn pair(&self) -> Pair {
        Pair::read(&self.config)
    }

    /// What is wrong, without the folder's name, which is another in each run.
    fn problems(&self) -> String {
        let folder = self.config.key.parent().unwrap().display().to_string();
        check(&self.config).to_string().replace(&format!("{folder}/"), "")
    }
}

#[test]
fn good_files_are_served() {
    let files = Files::new(&issue("localhost"));
    assert_eq!(files.problems(), "");
    assert!(Tls::load(&files.config).is_ok());
    let both = fs::read_to_string(&files.config.key).unwrap() + &issue("intermediate").certificate;
    files.write_key(&both);
    assert_eq!(files.problems(), "", "a file may hold more than what it is read for");
}

#[test]
fn every_broken_file_is_told_under_its_setting() {
    let (good, other) = (issue("localhost"), issue("localhost"));
    let files = Files::new(&good);
    let cut = &good.key[..good.key.len() / 2];
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let not_a_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let mut found = Vec::new();
    for (certificate, key) in [
        (good.certificate.as_str(), other.key.as_str()),
        ("nonsense", "nonsense"),
        ("", ""),
        (&good.key, &good.certificate),
        (&good.certificate, cut),
        (not_x509, &good.key),
        (&good.certificate, not_a_key),
    ] {
        files.write_certificate(certificate);
        files.write_key(key);
        found.push(files.problems());
    }
    fs::remove_file(&files.config.certificate).unwrap();
    fs::remove_file(&files.config.key).unwrap();
    found.push(files.problems());
    insta::assert_snapshot!(found.join("\n--\n"), @r#"
    public.tls.key: "key.pem" is not the key of the first certificate in public.tls.certificate, expected the one that it was made with
    --
    public.tls.certificate: "cert.pem" holds no certificate, expected the server's own and behind it those that lead to a known authority, in PEM
    public.tls.key: "key.pem" holds no private key, expected one in PEM without a passphrase
    --
    public.tls.certificate: "cert.pem" holds no certificate, expected the server's own and behind it those that lead to a known authority, in PEM
    public.tls.key: "key.pem" holds no private key, expected one in PEM without a passphrase
    --
    public.tls.certificate: "cert.pem" holds no certificate, expected the server's own and behind it those that lead to a known authority, in PEM
    public.tls.key: "key.pem" holds no private key, expected one in PEM without a passphrase
    --
    public.tls.key: "key.pem" is damaged, expected PEM: base64 between BEGIN and END lines
    --
    public.tls.certificate: "cert.pem" begins with something that is not an X.509 certificate, expected the server's own
    --
    public.tls.key: "key.pem" holds a key that cannot be used, expected ECDSA (P-256, P-384), RSA (2048 bits or more) or Ed25519
    --
    public.tls.certificate: "cert.pem" cannot be read: No such file or directory (os error 2); expected a PEM file that this user may read
    public.tls.key: "key.pem" cannot be read: No such file or directory (os error 2); expected a PEM file that this user may read
    "#);
    assert!(!found.join("").contains(cut.lines().nth(1).unwrap()), "nothing out of a file is repeated");
}
