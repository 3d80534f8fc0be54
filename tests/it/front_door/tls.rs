//! HTTPS on the public listener.

use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Version;
use reqwest::tls::Version as TlsVersion;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::certificates::{Files, Issued, issue};
use crate::support::raw::rest;
use crate::support::webhooks::{inbound, sign};
use crate::support::{Backend, Desk};

/// A desk whose clients have minutes for everything: whoever waits for another of them does not come to an end.
async fn patient_desk(files: &Files) -> Desk {
    let config = format!("{}read_timeout = \"5m\"\n", files.config());
    Desk::with(Backend::Sqlite, switchboard::App::new(), &config).await
}

/// Posts a signed delivery with this client; answers the protocol that was spoken.
async fn deliver(desk: &Desk, client: reqwest::ClientBuilder, id: &str) -> Version {
    let url = format!("https://{}/webhooks/connectly", desk.running.public_address());
    let body = inbound("+15550100001", id, desk.clock.now(), "hi");
    let post = client.build().unwrap().post(url).header("x-connectly-hmac-sha256", sign(body.as_bytes()));
    let answer = post.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.version()
}

/// The beginning of a TLS handshake: a `ClientHello` that offers this version at most.
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    // ECDHE-ECDSA with AES-GCM, which is what the certificates here take, and two of the suites of old.
    let suites = [0xc0, 0x2b, 0xc0, 0x09, 0xc0, 0x0a];
    // Groups: P-256; point formats: uncompressed; signatures: ECDSA with P-256 and SHA-256.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3];
    let mut hello = version.to_vec();
    hello.extend([7; 32]);
    hello.extend([0, 0, u8::try_from(suites.len()).unwrap()]);
    hello.extend(suites);
    hello.extend([1, 0, 0, u8::try_from(extensions.len()).unwrap()]);
    hello.extend(extensions);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[tokio::test]
async fn http_2_and_http_1_are_spoken_over_tls() {
    let issued = issue();
    let files = Files::of(&issued);
    let desk = patient_desk(&files).await;
    assert_eq!(deliver(&desk, issued.client(), "a").await, Version::HTTP_2);
    assert_eq!(deliver(&desk, issued.client().http1_only(), "b").await, Version::HTTP_11);
    for (version, id) in [(TlsVersion::TLS_1_2, "c"), (TlsVersion::TLS_1_3, "d")] {
        let only = issued.client().tls_version_min(version).tls_version_max(version);
        assert_eq!(deliver(&desk, only, id).await, Version::HTTP_2);
    }
    assert_eq!(desk.list("events").await.len(), 4);
    desk.stop().await;
}

#[tokio::test]
async fn tls_1_1_and_plain_http_are_refused_on_a_tls_port() {
    let files = Files::of(&issue());
    let desk = patient_desk(&files).await;
    // A handshake record for TLS 1.2; for the older ones a fatal alert, and the end.
    for (version, record) in [([3, 3], 22), ([3, 2], 21), ([3, 1], 21)] {
        let mut stream = TcpStream::connect(desk.running.public_address()).await.unwrap();
        stream.write_all(&client_hello(version)).await.unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!((answer[0], answer[5]), (record, 2), "{version:?}");
        if record == 21 {
            assert_eq!(rest(&mut stream).await, "F", "which is 70: it is the version");
        }
    }
    let mut stream = TcpStream::connect(desk.running.public_address()).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(!rest(&mut stream).await.contains("HTTP/"));
    desk.stop().await;
}

#[tokio::test]
async fn a_silent_tls_peer_does_not_delay_another_client_nor_the_end() {
    let issued = issue();
    let files = Files::of(&issued);
    let desk = patient_desk(&files).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(desk.running.public_address()).await.unwrap();
        if silent.len() % 2 == 0 {
            stream.write_all(&client_hello([3, 3])[..20]).await.unwrap();
        }
        silent.push(stream);
    }
    deliver(&desk, issued.client(), "a").await;
    // The handshakes have minutes, the drain limit is twenty seconds, and nobody waits for either.
    tokio::time::timeout(Duration::from_secs(15), desk.stop()).await.expect("nobody is waited for");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let files = Files::of(&issue());
    let config = format!("{}read_timeout = \"200ms\"\n", files.config());
    let desk = Desk::with(Backend::Sqlite, switchboard::App::new(), &config).await;
    let mut stream = TcpStream::connect(desk.running.public_address()).await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    let metrics = desk.admin(reqwest::Method::GET, "/metrics", &serde_json::Value::Null).await;
    let metrics = metrics.text().await.unwrap();
    let line = "switchboard_cut_connections_total{listener=\"public\",reason=\"handshake\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    desk.stop().await;
}

/// Nothing listens, nothing is migrated: the problems are listed, and the exit code says that the configuration is wrong.
#[test]
fn problems_with_the_files_are_listed_with_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let Issued { certificate, .. } = issue();
    std::fs::write(folder.path().join("cert.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("other.pem"), issue().key).unwrap();
    let serve = |certificate: &str, key: &str| {
        let config = format!("[public]\ntls = {{ certificate = {certificate:?}, key = {key:?} }}\n");
        std::fs::write(folder.path().join("switchboard.toml"), config).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["serve", "--config", "switchboard.toml"])
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = serve("nothing.pem", "cert.pem");
    for line in [
        "public.tls.certificate: \"nothing.pem\" cannot be read: ",
        "public.tls.key: \"cert.pem\" holds no private key, expected ",
        "admin.token: missing",
        "store.url: missing",
    ] {
        assert!(missing.contains(line), "{line}\n{missing}");
    }
    // A relative path begins at the folder that the process runs in.
    let mismatched = serve("cert.pem", "other.pem");
    assert!(mismatched.contains("public.tls.key: \"other.pem\" is not the key of "), "{mismatched}");
    assert!(!mismatched.contains("public.tls.certificate:"), "{mismatched}");
}
