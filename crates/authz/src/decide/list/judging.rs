//! The conditions that a search meets.
//!
//! A search knows one side of its questions alone: who asks, or for what. A condition that reads the other side can't be evaluated before a check has both; until
//! then it is unknown whether its relationship counts, like one whose condition has an error.

use cache_core::Moment;

use super::super::circumstances::{Circumstances, RESOURCE, SUBJECT};
use super::super::error::CheckError;
use super::Listing;
use super::key::What;
use super::origin::Origin;
use crate::evaluate::{Account, Judge, Judgement, TooComplex};
use crate::relation::{Member, Presence, RelationshipCondition, Text};
use crate::store::{MAX_ENUMERATED, MAX_REVERSE, TupleAnswer, TupleRead};

/// Evaluates the conditions of one search.
pub(super) struct Judging<'a> {
    circumstances: Circumstances<'a>,
    listing: &'a Listing<'a>,
    /// The parameter that stands for the side that is searched for.
    other_side: &'static str,
}

impl<'a> Judging<'a> {
    /// Reads the stored properties of the side that is known.
    pub(super) async fn new(
        listing: &'a Listing<'a>,
        origin: &mut Origin<'_>,
        account: &mut Account,
    ) -> Result<Self, CheckError> {
        let (other_side, known) = match listing.what {
            What::Objects { .. } => (RESOURCE, listing.given.subject_object()),
            What::Users { object, .. } => (SUBJECT, Some(object)),
        };
        let mut circumstances = listing.circumstances();
        let stored = listing.given.stored(listing.reads());
        let stored: Vec<_> = stored.into_iter().filter(|object| Some(*object) == known).collect();
        let reads: Vec<TupleRead> = stored.iter().map(|object| TupleRead::Properties((*object).clone())).collect();
        for ((object, read), answer) in stored.into_iter().zip(&reads).zip(origin.read(&reads).await?) {
            account.read(read);
            if let TupleAnswer::Properties(stored) = answer {
                circumstances.add_stored(object, &stored);
            }
        }
        Ok(Self { circumstances, listing, other_side })
    }

    /// What a look-up found: the ids, each with whether it is known that it counts. Those that don't count are left out. A point finds an empty id.
    pub(super) fn found(
        &mut self,
        read: &TupleRead,
        answer: TupleAnswer,
        account: &mut Account,
    ) -> Result<Vec<(Text, bool)>, CheckError> {
        let members = match self.circumstances.allowed(read, answer) {
            TupleAnswer::Members(members) => members,
            TupleAnswer::TooMany => return Err(too_many(read).into()),
            TupleAnswer::Found(Presence::Present) => vec![Member::from("")],
            TupleAnswer::Found(Presence::Conditional(condition)) => {
                vec![Member { id: Text::from(""), condition: Some(condition) }]
            }
            TupleAnswer::Found(Presence::Absent) | TupleAnswer::Properties(_) => Vec::new(),
        };
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let Some(condition) = &member.condition else {
                found.push((member.id, true));
                continue;
            };
            let Judgement { met, until, read_properties: _ } = self.judge(condition);
            account.end_by(until);
            match met {
                Some(true) => found.push((member.id, true)),
                Some(false) => {}
                None => found.push((member.id, false)),
            }
        }
        Ok(found)
    }

    /// The same circumstances, for the checks of what the search leaves open.
    pub(super) fn circumstances(&self) -> &Circumstances<'a> {
        &self.circumstances
    }
}

impl Judge for Judging<'_> {
    fn judge(&mut self, condition: &RelationshipCondition) -> Judgement {
        let given = condition.context.get(self.other_side).or_else(|| self.listing.given.context.get(self.other_side));
        let program = self.listing.version.plan.condition(&condition.name);
        let reads = program.is_some_and(|program| program.reads().iter().any(|name| **name == *self.other_side));
        if reads && given.is_none() {
            return Judgement { met: None, until: Moment::NEVER, read_properties: false };
        }
        self.circumstances.judge(condition)
    }
}

fn too_many(read: &TupleRead) -> TooComplex {
    match read {
        TupleRead::Reverse { .. } => {
            TooComplex { what: "the number of objects that one subject was given", max: MAX_REVERSE }
        }
        _ => TooComplex { what: "the number of subjects of one relation", max: MAX_ENUMERATED },
    }
}
