//! How an evaluation asks about conditions, without knowing how they are evaluated.

use cache_core::Moment;

use crate::relation::RelationshipCondition;

/// What came of a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It is met, or it is not, until this moment at least ([`Moment::NEVER`] where time plays no part).
    Known {
        /// Whether it is met.
        met: bool,
        /// The first moment at which it may be otherwise.
        until: Moment,
    },
    /// It could not be evaluated. The judge has kept the error; nothing that rests on it is known.
    Unknown,
}

/// Who evaluates the conditions of one question.
pub trait Judge: Send {
    /// Whether a relationship under this condition counts.
    fn judge(&mut self, condition: &RelationshipCondition) -> Judgement;
}
