//! The protocol: what Connectly sends and accepts, as types.
//!
//! It knows no database, no router, no configuration file and no clock: times and secrets are passed in. Facts come from
//! Connectly's documentation; where its generations disagree every form is accepted, and the contradiction is named
//! beside the code that copes with it.
//!
//! To add an event shape: a fixture under `tests/fixtures/webhooks/`, then the reader in [`event`] that understands it.

pub mod client;
pub mod error;
pub mod event;
pub mod ids;
pub mod kind;
pub mod mark;
pub mod message;
pub mod order;
pub mod phone;
pub mod signature;
pub mod template;
pub mod text;
pub mod throttle;
