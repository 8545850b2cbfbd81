//! Many checks at once, in one snapshot: what a search leaves open.
//!
//! Each question is evaluated by itself, within the bounds of a check and with its result, an error included. They advance level by level together: what
//! several of them read is read once, and all that a level reads goes to the origin in one batch.

use std::collections::{HashMap, HashSet};

use cache_core::Moment;

use super::super::error::CheckError;
use super::Listing;
use super::origin::{Origin, types_of};
use crate::evaluate::{Account, Graph, Provenance, ReadId};
use crate::relation::{Object, Subject};
use crate::store::{TupleAnswer, TupleRead};

/// How many questions are evaluated together.
const TOGETHER: usize = 256;
/// The most answers that are remembered for later questions.
const MAX_KNOWN: usize = 50_000;

/// Is `subject` in the listed relation to `object`?
pub(super) struct Question {
    pub(super) subject: Subject,
    pub(super) object: Object,
}

/// What came of the questions.
pub(super) struct Verdicts {
    /// In the order of the questions.
    pub(super) allowed: Vec<bool>,
    /// Whether none was cut short by a cycle. What was is no allow, and nothing to keep.
    pub(super) whole: bool,
}

/// One question on its way.
struct Check<'p> {
    at: usize,
    graph: Graph<'p>,
    missing: Vec<(ReadId, TupleRead)>,
}

impl Listing<'_> {
    /// Answers all questions, or has the error of one of them. What they rest on is entered into the account.
    pub(super) async fn verify(
        &self,
        origin: &mut Origin<'_>,
        questions: Vec<Question>,
        account: &mut Account,
    ) -> Result<Verdicts, CheckError> {
        let mut verdicts = Verdicts { allowed: vec![false; questions.len()], whole: true };
        let mut known: HashMap<TupleRead, TupleAnswer> = HashMap::new();
        let mut questions = questions.into_iter().enumerate();
        loop {
            let mut checks: Vec<Check<'_>> =
                questions.by_ref().take(TOGETHER).map(|(at, question)| self.check(at, question)).collect();
            if checks.is_empty() {
                return Ok(verdicts);
            }
            while !checks.is_empty() {
                let mut open = Vec::with_capacity(checks.len());
                for mut check in checks {
                    self.advance(&mut check, &known, origin)?;
                    if !self.is_settled(&check, account, &mut verdicts)? {
                        open.push(check);
                    }
                }
                checks = open;
                let mut once = HashSet::new();
                let missing = checks.iter().flat_map(|check| &check.missing).map(|(_, read)| read);
                let reads: Vec<TupleRead> = missing.filter(|read| once.insert(*read)).cloned().collect();
                if known.len() + reads.len() > MAX_KNOWN {
                    known.clear();
                }
                let answers = origin.read(&reads).await?;
                known.extend(reads.into_iter().zip(answers));
            }
        }
    }

    fn check(&self, at: usize, Question { subject, object }: Question) -> Check<'_> {
        let (plan, limits) = (&self.version.plan, self.point.limits);
        let graph = Graph::new(plan, limits, self.store, subject, object, self.relation.clone());
        Check { at, graph, missing: Vec::new() }
    }

    /// Goes on with a question as far as what was read allows.
    fn advance(
        &self,
        check: &mut Check<'_>,
        known: &HashMap<TupleRead, TupleAnswer>,
        origin: &Origin<'_>,
    ) -> Result<(), CheckError> {
        let Check { graph, missing, .. } = check;
        let mut reads = std::mem::take(missing);
        loop {
            for (id, read) in reads {
                match known.get(&read) {
                    Some(answer) => {
                        let provenance = Provenance {
                            stamp: origin.stamp(),
                            hard_expiry: Moment::NEVER,
                            tags: Vec::new(),
                            types: types_of(&read),
                        };
                        graph.answer(id, answer.clone(), provenance)?;
                    }
                    None => missing.push((id, read)),
                }
            }
            graph.settle();
            if graph.value(Graph::ROOT).is_some() {
                return Ok(());
            }
            let fresh = graph.take_fresh();
            for node in &fresh {
                graph.expand(*node)?;
            }
            reads = graph.take_reads();
            if fresh.is_empty() && reads.is_empty() {
                return Ok(());
            }
        }
    }

    /// Whether a question needs nothing more; then its result is noted.
    fn is_settled(
        &self,
        check: &Check<'_>,
        account: &mut Account,
        verdicts: &mut Verdicts,
    ) -> Result<bool, CheckError> {
        if let Some(allowed) = check.graph.justify_into(Graph::ROOT, account, |kind| self.part_types(kind)) {
            verdicts.allowed[check.at] = allowed;
            return Ok(true);
        }
        if !check.missing.is_empty() {
            return Ok(false);
        }
        if let Some(bound) = check.graph.too_deep() {
            return Err(bound.into());
        }
        verdicts.whole = false;
        Ok(true)
    }
}
