//! What is wrong with a message, said to the person who wrote it.

use super::limits::{Limit, Source};

/// One thing that WhatsApp or Connectly would not take. It names the field, the limit and the length found, and never
/// repeats what a customer would have read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Invalid {
    /// The path to the field, as in `message.replyButtonMessage.buttons[1].text`.
    pub field: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// The ways to be wrong; each completes a sentence that begins with the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A required field is absent or null.
    #[error("is required")]
    Missing,
    /// A size outside its limit.
    #[error("{}", limit.broken_by(*found))]
    Limit {
        /// What is allowed.
        limit: Limit,
        /// What was found, in the limit's unit.
        found: usize,
    },
    /// A key that has no meaning here.
    #[error("is not a known key{}", did_you_mean(*suggestion))]
    UnknownKey {
        /// A known key that looks like it.
        suggestion: Option<&'static str>,
    },
    /// A value of another JSON type.
    #[error("must be {expected}, but is {found}")]
    WrongType {
        /// The type that belongs there.
        expected: &'static str,
        /// The type that is there.
        found: &'static str,
    },
    /// No content, or more than one kind of it.
    #[error("must hold exactly one kind of content, but holds {}", join(found))]
    Kinds {
        /// The keys of the kinds found.
        found: Vec<&'static str>,
    },
    /// A value that breaks a rule other than a size.
    #[error("{0}")]
    Rule(&'static str),
    /// A value that breaks a rule of WhatsApp's which Connectly does not state.
    #[error("{0}")]
    WhatsAppRule(&'static str),
    /// A value of the right shape that still cannot be read.
    #[error("cannot be read")]
    Unreadable,
}

impl Invalid {
    /// A problem of one field.
    pub fn new(field: impl Into<String>, problem: Problem) -> Self {
        Self { field: field.into(), problem }
    }
}

impl Problem {
    /// Whether Connectly states no such rule, so that it may take the message all the same.
    const fn is_whatsapps(&self) -> bool {
        match self {
            // What is empty but must be there is no message.
            Self::Limit { limit, found } => matches!(limit.source, Source::WhatsApp) && *found > 0,
            Self::WhatsAppRule(_) => true,
            Self::Missing
            | Self::UnknownKey { .. }
            | Self::WrongType { .. }
            | Self::Kinds { .. }
            | Self::Rule(_)
            | Self::Unreadable => false,
        }
    }
}

/// What is done about WhatsApp's rules that Connectly does not state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// What breaks one is refused before it is queued.
    #[default]
    Enforce,
    /// What breaks one is sent all the same.
    Warn,
}

impl Strictness {
    /// The first problem that forbids sending, or those that do not.
    pub fn judge(self, problems: Vec<Invalid>) -> Result<Vec<Invalid>, Invalid> {
        let forbids = |invalid: &Invalid| self == Self::Enforce || !invalid.problem.is_whatsapps();
        match problems.iter().find(|invalid| forbids(invalid)) {
            Some(first) => Err(first.clone()),
            None => Ok(problems),
        }
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}

fn join(kinds: &[&str]) -> String {
    match kinds {
        [] => "none".to_owned(),
        kinds => kinds.join(" and "),
    }
}
