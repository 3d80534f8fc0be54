//! Checking a signature.

use bytes::Bytes;
use divan::{Bencher, black_box};
use secrecy::SecretString;
use switchboard::connectly::signature::{Key, verify};

use crate::bodies;

/// Over a body of about 640 bytes, with one secret.
#[divan::bench]
fn verify_640_bytes(bencher: Bencher<'_, '_>) {
    let keys = [Key::new(&SecretString::from("webhook-secret"))];
    let body = Bytes::from(bodies::inbound());
    let header = keys[0].sign(&body);
    bencher
        .bench_local(|| verify(black_box(&keys), Some(black_box(header.as_bytes())), body.clone()).unwrap());
}
