//! The promises, each a test named after it, on both stores.

mod p01_committed;
mod p02_kept;
mod p03_once;
mod p04_together;
mod p05_not_twice;
mod p06_in_order;
mod p07_grows;
mod p08_window;
mod p09_sender;
mod p10_no_loops;
mod p11_redaction;
mod p12_listeners;
