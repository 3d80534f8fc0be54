//! What a person has paused.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

/// What is paused, over all instances. What is paused waits: nothing of it is lost, tried or given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pauses {
    /// Whether no message leaves.
    pub sends: bool,
    /// The routes whose handlers are not called.
    #[schema(value_type = Vec<String>)]
    pub routes: BTreeSet<String>,
}
