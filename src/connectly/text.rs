//! Text from outside, cut to what a database column and an index can hold.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The longest text that is kept as it is, in bytes: well under what a B-tree entry can hold in either database.
pub const MAX_BYTES: usize = 512;

/// The text itself when it is at most [`MAX_BYTES`] long, else `sha256:` and its digest, so that equal values stay equal.
/// PostgreSQL cannot store NUL, so it becomes U+FFFD.
pub fn bounded(text: &str) -> String {
    let text = without_nul(text);
    if text.len() <= MAX_BYTES {
        return text;
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::from("sha256:"), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}

/// The text with every NUL, which PostgreSQL cannot store, replaced by U+FFFD.
pub fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_hashed_and_nul_is_replaced() {
        assert_eq!(bounded("a\0b"), "a\u{fffd}b");
        assert_eq!(bounded(&"x".repeat(512)).len(), 512);
        let hashed = bounded(&"x".repeat(4096));
        assert_eq!(hashed.len(), "sha256:".len() + 64);
        assert_eq!(hashed, bounded(&"x".repeat(4096)));
        assert_ne!(hashed, bounded(&"y".repeat(4096)));
    }
}
