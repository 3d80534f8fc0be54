//! The protocol: what Connectly sends and accepts, as types.
//!
//! It knows no database, no router, no configuration file and no clock: times and secrets are passed in. Facts come from
//! Connectly's documentation; where its generations disagree every form is accepted, and the contradiction is named
//! beside the code that copes with it.

pub mod signature;
