//! Lists of subjects: everything that the relation leads to is read, and who is in is computed from it. What that leaves unknown, a check decides.

use std::sync::Arc;

use super::super::error::CheckError;
use super::super::types::types_of_read;
use super::super::value::CachedValue;
use super::judging::Judging;
use super::origin::Origin;
use super::verify::{Checks, Question, Verdicts};
use super::{Drafted, Listing};
use crate::evaluate::Account;
use crate::evaluate::list::{Members, UserSearch};
use crate::relation::{Object, SubjectKind};
use crate::store::TupleRead;

impl Listing<'_> {
    pub(super) async fn run_users(&self, object: &Object, filters: &[SubjectKind]) -> Result<Drafted, CheckError> {
        let limits = self.point.limits;
        let snapshot = self.point.origin.snapshot().await?;
        let mut origin = Origin::new(snapshot, self.store, self.contextual);
        let mut account = Account::new(self.store, limits.max_read_set);
        let mut judging = Judging::new(self, &mut origin, &mut account).await?;
        let mut search = UserSearch::new(&self.version.plan, limits, object, self.relation, filters);
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
        let Members { sure: mut items, unknown } = search.members()?;
        drop(search);
        let questions = unknown.into_iter().map(|subject| Question { subject, object: object.clone() });
        let questions: Vec<Question> = questions.collect();
        let checks = Checks { listing: self, circumstances: judging.circumstances() };
        let Verdicts { allowed, whole } = checks.answer(&mut origin, &questions, &mut account).await?;
        let verified = questions.into_iter().zip(allowed).filter(|(_, allowed)| *allowed);
        items.extend(verified.map(|(question, _)| question.subject));
        items.sort_unstable();
        let count = items.len();
        let value = CachedValue::Users(Arc::new(items));
        Ok(self.drafted(value, count, origin.stamp(), &account, whole))
    }
}
