//! What a decision point said, and when that is right.

use authz::decide::{CheckError, Decision};

use crate::reference::Answer;

/// Whom a question is put to while changes are under way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Cached,
    /// The decision point with caches, which fills them with what it finds behind them.
    PastTheCache,
    Uncached,
}

/// What a decision point said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Allow,
    Deny,
    /// A bound of the evaluation was met.
    TooComplex,
    /// A condition lacks something, and it matters.
    Unknown,
    /// The question makes no sense here.
    Refused(String),
}

impl Said {
    pub(super) fn of(result: &Result<Decision, CheckError>) -> Self {
        match result {
            Ok(Decision { allowed: true, .. }) => Self::Allow,
            Ok(Decision { allowed: false, .. }) => Self::Deny,
            Err(CheckError::TooComplex { .. }) => Self::TooComplex,
            Err(CheckError::Condition(_)) => Self::Unknown,
            Err(error) => Self::Refused(error.to_string()),
        }
    }

    /// What the reference means.
    pub(super) fn meant(answer: &Answer) -> Self {
        match answer.value {
            Some(true) => Self::Allow,
            None if answer.lacks => Self::Unknown,
            Some(false) | None => Self::Deny,
        }
    }

    /// Whether it is what the reference means. Where a circle leaves a question open and a condition beside it lacks something, neither is an allow, and
    /// which of them is told is not the reference's affair.
    pub(super) fn is_right(&self, meant: &Answer) -> bool {
        match self {
            Self::TooComplex | Self::Refused(_) => true,
            Self::Deny if meant.value.is_none() => true,
            said => *said == Self::meant(meant),
        }
    }

    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Allow | Self::Deny)
    }
}
