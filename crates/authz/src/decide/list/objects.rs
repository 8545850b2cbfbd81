//! Lists of objects: a search backwards from the subject, and a check for each candidate that it leaves open.

use std::sync::Arc;

use super::super::error::CheckError;
use super::super::types::types_of_read;
use super::super::value::CachedValue;
use super::judging::Judging;
use super::origin::Origin;
use super::verify::{Checks, Question, Verdicts};
use super::{Drafted, Listing};
use crate::evaluate::Account;
use crate::evaluate::list::{Found, ObjectSearch};
use crate::relation::{Object, Subject, Text};
use crate::store::TupleRead;

impl Listing<'_> {
    pub(super) async fn run_objects(&self, subject: &Subject, object_type: &str) -> Result<Drafted, CheckError> {
        let limits = self.point.limits;
        let snapshot = self.point.origin.snapshot().await?;
        let mut origin = Origin::new(snapshot, self.store, self.contextual);
        let mut account = Account::new(self.store, limits.max_read_set);
        let mut judging = Judging::new(self, &mut origin, &mut account).await?;
        let mut search = ObjectSearch::new(&self.version.plan, limits, subject, object_type, self.relation)?;
        loop {
            let (ids, reads): (Vec<_>, Vec<TupleRead>) = search.take_reads()?.into_iter().unzip();
            if reads.is_empty() {
                break;
            }
            let answers = origin.read(&reads).await?;
            for ((id, read), answer) in ids.into_iter().zip(&reads).zip(answers) {
                account.read(read);
                account.types(types_of_read(read));
                search.answer(id, judging.found(read, answer, &mut account)?)?;
            }
        }
        search.enter(&mut account, |type_name| self.part_types(type_name));
        let Found { sure: mut items, candidates } = search.found();
        drop(search);
        let questions = candidates.iter().map(|id| Question {
            subject: subject.clone(),
            object: Object { type_name: Text::from(object_type), id: id.clone() },
        });
        let questions: Vec<Question> = questions.collect();
        let checks = Checks { listing: self, circumstances: judging.circumstances() };
        let Verdicts { allowed, whole } = checks.answer(&mut origin, &questions, &mut account).await?;
        items.extend(candidates.into_iter().zip(allowed).filter(|(_, allowed)| *allowed).map(|(id, _)| id));
        items.sort_unstable();
        let count = items.len();
        let value = CachedValue::Objects(Arc::new(items));
        Ok(self.drafted(value, count, origin.stamp(), &account, whole))
    }
}
