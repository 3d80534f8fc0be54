//! A header is accepted only if it is what a key makes of the body, white space around it aside.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use switchboard::connectly::signature::{Key, verify};

static KEYS: LazyLock<Vec<Key>> =
    LazyLock::new(|| ["one", "two"].map(|secret| Key::new(&SecretString::from(secret))).into());

fuzz_target!(|input: (&[u8], &[u8])| {
    let (header, body) = input;
    let body = Bytes::copy_from_slice(body);
    for key in KEYS.iter() {
        let right = key.sign(&body);
        assert!(verify(&KEYS, Some(right.as_bytes()), body.clone()).is_ok());
    }
    if verify(&KEYS, Some(header), body.clone()).is_ok() {
        let is_right = |key: &Key| key.sign(&body).as_bytes() == header.trim_ascii();
        assert!(KEYS.iter().any(is_right), "a header that no key made");
    }
});
