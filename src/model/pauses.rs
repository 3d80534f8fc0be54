//! What a person has paused.

use std::collections::BTreeSet;

use serde::Serialize;

/// What is paused, over all instances. What is paused waits: nothing of it is lost, tried or given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pauses {
    /// Whether no message leaves.
    pub sends: bool,
    /// The routes whose handlers are not called.
    pub routes: BTreeSet<String>,
}
