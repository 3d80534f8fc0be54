//! The two kinds of send, each with an endpoint of its own.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether a send carries free-form content or a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SendKind {
    /// Free-form, within the window.
    Session,
    /// A pre-approved template, at any time.
    Template,
}

impl SendKind {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Template => "template",
        }
    }
}
