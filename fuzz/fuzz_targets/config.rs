//! A configuration file is read, or its problems are told; never both, and never by a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::config::{Config, Environment};

fuzz_target!(|text: &str| {
    match Config::from_toml(text, &Environment::default()) {
        Ok(loaded) => {
            // What is in effect is a configuration itself.
            let shown = loaded.config.redacted();
            assert!(toml::from_str::<toml::Table>(&shown).is_ok(), "{shown}");
        }
        Err(problems) => assert!(!problems.is_empty()),
    }
});
