//! What tests stand on: databases of their own, stores and whole Switchboards on them, and the bodies Connectly sends.

pub mod arrivals;
pub mod certificates;
pub mod database;
pub mod depot;
pub mod desk;
pub mod dev;
#[cfg(feature = "nats")]
pub mod nats;
pub mod process;
pub mod raw;
pub mod store;
pub mod webhooks;

pub use database::{Backend, Database};
pub use desk::Desk;
