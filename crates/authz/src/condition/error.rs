//! Why a condition has no outcome. Whoever asks learns what to give; an error is never false.

use super::bounds::MAX_QUOTED_CHARS;
use crate::relation::Text;

/// Why a condition has no outcome.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConditionError {
    /// Parameters that nobody gave, and without which there is no telling.
    #[error("the condition `{condition}` needs {}; give it in the context of the question or of the relationship", listed(.names))]
    Missing {
        /// The condition.
        condition: Text,
        /// Their names, sorted.
        names: Vec<Text>,
    },
    /// A value that is not what the parameter was declared as.
    #[error(
        "the condition `{condition}` needs {expected} for `{parameter}`, and was given {found}; correct the value in the context"
    )]
    WrongType {
        /// The condition.
        condition: Text,
        /// The parameter.
        parameter: Text,
        /// What its type takes.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A relationship brings a value for a parameter that the condition does not have.
    #[error("the condition `{condition}` has no parameter `{}`; leave it out of the relationship's context", shown(.parameter))]
    Undeclared {
        /// The condition.
        condition: Text,
        /// What was given.
        parameter: Text,
    },
    /// The expression failed with these values.
    #[error("the condition `{condition}` failed: {what}; guard the expression against such values, or correct them")]
    Failed {
        /// The condition.
        condition: Text,
        /// What happened.
        what: String,
    },
    /// More than a bound lets through.
    #[error("the condition `{condition}` takes more than {limit} {bound}; simplify it, or give smaller values")]
    Exceeded {
        /// The condition.
        condition: Text,
        /// What is bounded.
        bound: &'static str,
        /// How many are let through.
        limit: u64,
    },
}

fn listed(names: &[Text]) -> String {
    names.iter().map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ")
}

/// A text as a message may quote it: its start, without anything that a terminal or a log would obey.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (count, sign) in text.chars().enumerate() {
        if count == MAX_QUOTED_CHARS {
            out.push('…');
            break;
        }
        if matches!(sign, '"' | '\'') { out.push(sign) } else { out.extend(sign.escape_debug()) }
    }
    out
}

/// Why an evaluation stopped, before the condition's name is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// Parameters that nobody gave, by their position among the declared ones.
    Missing(Vec<usize>),
    /// A failure that `&&` and `||` may make irrelevant.
    Failed(String),
    /// A bound, which nothing makes irrelevant.
    Exceeded { bound: &'static str, limit: u64 },
}

impl Stop {
    pub(super) fn failed(what: impl Into<String>) -> Self {
        Self::Failed(what.into())
    }

    /// Whether the other side of `&&` or `||` can make it irrelevant.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Exceeded { .. })
    }

    /// Of two: what is missing outweighs a failure, because giving it comes first.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing(mut names), Self::Missing(more)) => {
                names.extend(more);
                Self::Missing(names)
            }
            (Self::Failed(_), other @ Self::Missing(_)) => other,
            (_, other @ Self::Exceeded { .. }) => other,
            (first, _) => first,
        }
    }
}
