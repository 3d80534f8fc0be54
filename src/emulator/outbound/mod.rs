//! A send that was checked: required fields, limits, the templates that there are. Pure; the window and the business's
//! numbers are the world's to check.
//!
//! The limits are WhatsApp's. Where Connectly's own page and WhatsApp disagree, the page holds: a fake that refuses more
//! than Connectly would hide what works.

mod callback;
mod content;
mod field;
mod interactive;
mod parameters;
mod product;
mod session;
mod template;

use serde_json::value::RawValue;

/// A send in order. Only [`Outbound::session`] and [`Outbound::template`] make one.
pub(super) struct Outbound {
    /// What it is sent as.
    pub(super) kind: Kind,
    /// The number to send from, when the request names one.
    pub(super) sender: Option<String>,
    /// The customer's number.
    pub(super) recipient: String,
    /// The customer's name, when the request gives one.
    pub(super) recipient_name: Option<String>,
    /// The content in a few words, for the listing of conversations.
    pub(super) summary: String,
    /// Byte for byte as it came.
    pub(super) callback_data: Option<Box<RawValue>>,
    /// The campaign that the send is counted for.
    pub(super) campaign_name: Option<String>,
}

/// The two kinds of send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Free-form, within the customer's 24-hour window.
    Session,
    /// Approved beforehand, at any time.
    Template,
}

/// Two capital letters, a dot and more, as in `US.1349...`.
pub(super) fn looks_like_bsuid(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() > 3 && bytes[..2].iter().all(u8::is_ascii_uppercase) && bytes[2] == b'.'
}

/// Whether a file could be fetched from here.
fn is_reachable(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| url.has_host())
}
