//! Switchboard: the one webhook URL a business gives Connectly, and everything behind it.

pub mod clock;
pub mod connectly;
