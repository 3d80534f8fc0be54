//! Which addresses can be registered.

use reqwest::Url;

use crate::cli::account::is_local;

/// Why Connectly could not post to an address. A Connectly on this desk, as the emulator is, can do what the real one cannot: plain
/// HTTP, and this machine.
pub(super) fn objection(address: &str, is_desk: bool) -> Option<&'static str> {
    let Ok(url) = Url::parse(address) else {
        return Some("it is no URL, like https://hooks.example.com/webhooks/connectly");
    };
    let anonymous = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        _ if !url.has_host() || !anonymous || url.fragment().is_some() => {
            Some("it has to have a host, and neither user nor password nor #")
        }
        "https" | "http" if is_desk => None,
        "https" if !is_local(address) => None,
        "https" => Some("Connectly cannot reach this machine by that name"),
        _ => Some("Connectly posts to https:// only"),
    }
}
