//! Behaviour through the front door, on both stores.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]
#![allow(unreachable_pub, missing_docs, reason = "nothing here is public")]

mod architecture;
#[cfg(feature = "nats")]
mod brokers;
mod contract;
mod export;
mod five_minutes;
mod fixtures;
mod front_door;
mod instances;
mod lifecycle;
mod listen;
mod model;
mod packaging;
mod promises;
mod registering;
mod replay;
mod rules;
mod scenarios;
mod support;
