//! How conditions come into an evaluation: what was read is judged before the graph learns of it.
//!
//! A condition that can't be evaluated makes its relationship *unknown*. Unknown is neither true nor false: what rests on it has no value, unless the
//! rest decides without it.

use cache_core::Moment;

use crate::relation::{Presence, RelationshipCondition, Text};
use crate::store::TupleAnswer;

/// The most conditions of one look-up that are remembered for explanations.
const MAX_TOLD_CONDITIONS: usize = 8;

/// What came of a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// Whether it is met; none where it could not be evaluated. The judge has kept the error.
    pub met: Option<bool>,
    /// The first moment at which it may be otherwise; [`Moment::NEVER`] where time plays no part.
    pub until: Moment,
    /// Whether it read the properties of an entity, which are stored.
    pub read_properties: bool,
}

/// Who evaluates the conditions of one question.
pub trait Judge {
    /// Whether a relationship under this condition counts.
    fn judge(&mut self, condition: &RelationshipCondition) -> Judgement;
}

/// The answer to a look-up, with its conditions judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    pub(super) finding: Finding,
    /// Whether a condition read the properties of an entity.
    pub(super) read_properties: bool,
}

/// What a look-up found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Finding {
    /// To a point: whether it counts, until when. None where that is unknown.
    Point { held: Option<bool>, until: Moment, condition: Option<Text> },
    /// To an enumeration.
    Members {
        /// Those that count, each until when.
        met: Vec<(Text, Moment)>,
        /// Until when the others don't.
        unmet_until: Moment,
        /// Whether it is unknown of some whether they count.
        unknown: bool,
        /// The conditions that were met, not met, or not known to be: each once, for explanations.
        conditions: Vec<(Text, Option<bool>)>,
    },
    /// More than an enumeration answers.
    TooMany,
}

impl Judged {
    /// Judges what was read.
    pub fn of(answer: TupleAnswer, judge: &mut dyn Judge) -> Self {
        let mut read_properties = false;
        let mut ask = |condition: &RelationshipCondition| {
            let judgement = judge.judge(condition);
            read_properties |= judgement.read_properties;
            judgement
        };
        let finding = match answer {
            TupleAnswer::Found(Presence::Conditional(condition)) => {
                let Judgement { met, until, .. } = ask(&condition);
                Finding::Point { held: met, until, condition: Some(condition.name.clone()) }
            }
            TupleAnswer::Found(presence) => {
                Finding::Point { held: Some(presence == Presence::Present), until: Moment::NEVER, condition: None }
            }
            TupleAnswer::Members(members) => {
                let (mut met, mut unmet_until, mut unknown) = (Vec::with_capacity(members.len()), Moment::NEVER, false);
                let mut conditions = Vec::new();
                for member in members {
                    let judgement = member.condition.as_deref().map(&mut ask);
                    if let (Some(condition), Some(judgement)) = (&member.condition, &judgement)
                        && conditions.len() < MAX_TOLD_CONDITIONS
                        && !conditions.iter().any(|(name, met)| *name == condition.name && *met == judgement.met)
                    {
                        conditions.push((condition.name.clone(), judgement.met));
                    }
                    match judgement {
                        None => met.push((member.id, Moment::NEVER)),
                        Some(Judgement { met: Some(true), until, .. }) => met.push((member.id, until)),
                        Some(Judgement { met: Some(false), until, .. }) => unmet_until = unmet_until.min(until),
                        Some(Judgement { met: None, .. }) => unknown = true,
                    }
                }
                Finding::Members { met, unmet_until, unknown, conditions }
            }
            // Properties are no finding: whoever asks for them keeps them.
            TupleAnswer::Properties(_) | TupleAnswer::TooMany => Finding::TooMany,
        };
        Self { finding, read_properties }
    }

    /// Whether a relationship was found that counts.
    pub(super) fn is_found(&self) -> bool {
        match &self.finding {
            Finding::Point { held, .. } => *held == Some(true),
            Finding::Members { met, .. } => !met.is_empty(),
            Finding::TooMany => false,
        }
    }
}

/// For questions under a model without conditions: nothing is known of any.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoConditions;

impl Judge for NoConditions {
    fn judge(&mut self, _: &RelationshipCondition) -> Judgement {
        Judgement { met: None, until: Moment::NEVER, read_properties: false }
    }
}

impl From<TupleAnswer> for Judged {
    fn from(answer: TupleAnswer) -> Self {
        Self::of(answer, &mut NoConditions)
    }
}
