//! Lists of objects: a search backwards from the subject, and a check for each candidate that it leaves open.

use std::sync::Arc;

use super::super::error::CheckError;
use super::super::value::CachedValue;
use super::origin::{Origin, types_of};
use super::verify::{Question, Verdicts};
use super::{Drafted, Listing};
use crate::evaluate::list::{Found, ObjectSearch};
use crate::evaluate::{Account, TooComplex};
use crate::relation::{Member, Object, Subject, Text};
use crate::store::{MAX_REVERSE, TupleAnswer, TupleRead};

impl Listing<'_> {
    pub(super) async fn run_objects(&self, subject: &Subject, object_type: &str) -> Result<Drafted, CheckError> {
        let limits = self.point.limits;
        let snapshot = self.point.origin.snapshot().await?;
        let mut origin = Origin::new(snapshot, self.store, self.contextual);
        let mut account = Account::new(self.store, limits.max_read_set);
        let mut search = ObjectSearch::new(&self.version.plan, limits, subject, object_type, self.relation)?;
        loop {
            let (ids, reads): (Vec<_>, Vec<TupleRead>) = search.take_reads()?.into_iter().unzip();
            if reads.is_empty() {
                break;
            }
            let answers = origin.read(&reads).await?;
            for ((id, read), answer) in ids.into_iter().zip(&reads).zip(answers) {
                account.read(read);
                account.types(types_of(read));
                search.answer(id, found(answer)?)?;
            }
        }
        search.enter(&mut account, |type_name| self.part_types(type_name));
        let Found { sure: mut items, candidates } = search.found();
        drop(search);
        let questions = candidates.iter().map(|id| Question {
            subject: subject.clone(),
            object: Object { type_name: Text::from(object_type), id: id.clone() },
        });
        let Verdicts { allowed, whole } = self.verify(&mut origin, questions.collect(), &mut account).await?;
        items.extend(candidates.into_iter().zip(allowed).filter(|(_, allowed)| *allowed).map(|(id, _)| id));
        items.sort_unstable();
        let count = items.len();
        let value = CachedValue::Objects(Arc::new(items));
        Ok(self.drafted(value, count, origin.stamp(), &account, whole))
    }
}

/// What a look-up found, each with whether its condition is known to be met.
fn found(answer: TupleAnswer) -> Result<Vec<(Text, bool)>, CheckError> {
    match answer {
        TupleAnswer::Members(members) => {
            Ok(members.into_iter().map(|Member { id, condition }| (id, condition.is_none())).collect())
        }
        TupleAnswer::TooMany => {
            Err(TooComplex { what: "the number of objects that one subject was given", max: MAX_REVERSE }.into())
        }
        TupleAnswer::Found(_) | TupleAnswer::Properties(_) => Ok(Vec::new()),
    }
}
