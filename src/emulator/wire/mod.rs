//! What goes over the wire between Connectly and a business, as Connectly's documentation shows it.
//!
//! These structs are the emulator's alone. The service reads and writes the same JSON with its own, so a mistake in
//! either shows as a disagreement between the two.

mod interactive;
pub(super) mod registration;
mod request;
mod template;
mod webhook;

pub(super) use interactive::{
    Header, ListMessage, MultiProductMessage, ProductItem, ReplyButtonMessage, SingleProductMessage, Words,
};
pub use request::{Attachment, Location};
pub(super) use request::{Content, Endpoint, Order, SendRequest};
pub(super) use template::{Parameter, TemplateRequest};
pub(super) use webhook::{
    InboundMessage, InboundWebhook, Party, Quoted, Reaction, StatusUpdate, StatusWebhook, TapResponse,
};

/// The only channel here.
pub(super) const WHATSAPP: &str = "whatsapp";

/// Whether `text` is a phone number in E.164 form: `+` and 8 to 15 digits, the first not zero.
pub(super) fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else {
        return false;
    };
    (8..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plus_and_digits_are_e164() {
        assert!(is_e164("+15550100001"));
        for wrong in ["15550100001", "+1555", "+1 555 010 0001", "+05550100001", "", "+"] {
            assert!(!is_e164(wrong), "{wrong}");
        }
    }
}
