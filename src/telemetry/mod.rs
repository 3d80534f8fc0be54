//! What the service tells about itself while it runs: logs and figures.
//!
//! A leaf that everybody may use. Nothing in it can hold a payload, a phone number, a token or a digest: what is told are
//! counts, times, our ids, and names that stand in the code or in the configuration (P11).
//!
//! To add a metric: its field, its line in the constructor and one method named after what happened, all in [`metrics`].

pub mod logging;
pub mod metrics;
pub mod panics;

pub use self::metrics::{Metrics, RouteCounts};
