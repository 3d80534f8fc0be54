//! What the flags of several events have in common: which go together, which are addresses, and where they end up.

use reqwest::Url;
use serde_json::{Value, json};

use crate::cli::Usage;

/// Refuses a flag that was given without any of those that it belongs to.
pub fn goes_with(flag: &str, given: Option<&String>, belongs: bool, others: &str) -> Result<(), Usage> {
    match given {
        Some(_) if !belongs => Err(Usage(format!("{flag} goes with {others} only"))),
        Some(_) | None => Ok(()),
    }
}

/// The object with those of the members that were given.
pub fn with(mut object: Value, members: &[(&str, &Option<String>)]) -> Value {
    for (name, value) in members {
        if let Some(value) = value {
            object[*name] = json!(value);
        }
    }
    object
}

/// Reads an address, and leaves it as it was typed.
pub fn url(text: &str) -> Result<String, &'static str> {
    let is_one = Url::parse(text).is_ok_and(|url| url.has_host());
    is_one.then(|| text.to_owned()).ok_or("expected an address, like https://example.com/a.jpg")
}
