//! What tests stand on: databases of their own, a whole Switchboard beside an emulator, and the bodies Connectly sends.

pub mod database;
pub mod desk;
pub mod process;
pub mod webhooks;

pub use database::{Backend, Database};
pub use desk::Desk;
