//! Many checks at once, in one snapshot: what a search leaves open.
//!
//! Each question is evaluated by itself, within the bounds of a check and with its result, an error included. They advance level by level together: what
//! several of them read is read once, and all that a level reads goes to the origin in one batch.

use std::collections::{HashMap, HashSet};

use cache_core::{Moment, TypeSet};

use super::super::circumstances::{Circumstances, Given};
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

/// The checks of one list.
#[derive(Clone, Copy)]
pub(super) struct Checks<'a> {
    pub(super) listing: &'a Listing<'a>,
    /// Those of the search, whose time and whose values the checks share.
    pub(super) circumstances: &'a Circumstances<'a>,
}

/// One question on its way.
struct Check<'a> {
    at: usize,
    given: Given<'a>,
    graph: Graph<'a>,
    circumstances: Circumstances<'a>,
    missing: Vec<(ReadId, TupleRead)>,
}

/// What was read so far, for every question to use.
type Known = HashMap<TupleRead, TupleAnswer>;

impl<'a> Checks<'a> {
    /// Answers all questions, or has the error of one of them. What they rest on is entered into the account.
    pub(super) async fn answer(
        &self,
        origin: &mut Origin<'_>,
        questions: &'a [Question],
        account: &mut Account,
    ) -> Result<Verdicts, CheckError> {
        let mut verdicts = Verdicts { allowed: vec![false; questions.len()], whole: true };
        let mut known = Known::new();
        for (part, questions) in questions.chunks(TOGETHER).enumerate() {
            let questions = questions.iter().enumerate();
            let mut checks: Vec<Check<'a>> =
                questions.map(|(at, question)| self.check(part * TOGETHER + at, question)).collect();
            self.read_properties(origin, &mut checks).await?;
            while !checks.is_empty() {
                let mut open = Vec::with_capacity(checks.len());
                for mut check in checks {
                    check.advance(&known, origin)?;
                    if !self.is_settled(&check, account, &mut verdicts)? {
                        open.push(check);
                    }
                }
                checks = open;
                if known.len() > MAX_KNOWN {
                    known.clear();
                }
                let mut once = HashSet::new();
                let missing = checks.iter().flat_map(|check| &check.missing).map(|(_, read)| read);
                let missing = missing.filter(|read| !known.contains_key(*read) && once.insert(*read));
                let reads: Vec<TupleRead> = missing.cloned().collect();
                let answers = origin.read(&reads).await?;
                known.extend(reads.into_iter().zip(answers));
            }
        }
        Ok(verdicts)
    }

    fn check(&self, at: usize, Question { subject, object }: &'a Question) -> Check<'a> {
        let Listing { point, version, store, relation, given, .. } = self.listing;
        let limits = point.limits;
        let graph = Graph::new(&version.plan, limits, *store, subject.clone(), object.clone(), (*relation).clone());
        let given = Given { subject, resource: object, ..*given };
        let circumstances = self.circumstances.of_another(given, limits.max_condition_steps);
        let mut check = Check { at, given, graph, circumstances, missing: Vec::new() };
        // The root is not looked for anywhere.
        let fresh = check.graph.take_fresh();
        debug_assert_eq!(fresh, [Graph::ROOT], "a question begins with itself");
        check
    }

    /// Reads the stored properties that conditions on the way may read, of all questions at once.
    async fn read_properties(&self, origin: &mut Origin<'_>, checks: &mut [Check<'a>]) -> Result<(), CheckError> {
        let names = self.listing.reads();
        let mut once = HashSet::new();
        let wanted = checks.iter().flat_map(|check| check.given.stored(names));
        let objects: Vec<&Object> = wanted.filter(|object| once.insert(*object)).collect();
        if objects.is_empty() {
            return Ok(());
        }
        let reads: Vec<TupleRead> = objects.iter().map(|object| TupleRead::Properties((*object).clone())).collect();
        let answers = origin.read(&reads).await?;
        let stored: HashMap<&Object, TupleAnswer> = objects.into_iter().zip(answers).collect();
        let provenance = Provenance {
            stamp: origin.stamp(),
            hard_expiry: Moment::NEVER,
            tags: Vec::new(),
            types: TypeSet::default(),
        };
        for check in checks {
            for object in check.given.stored(names) {
                if let Some(TupleAnswer::Properties(stored)) = stored.get(object) {
                    check.circumstances.add_stored(object, stored);
                    check.graph.note_properties(object, provenance.clone());
                }
            }
        }
        Ok(())
    }

    /// Whether a question needs nothing more; then its result is noted.
    fn is_settled(
        &self,
        check: &Check<'_>,
        account: &mut Account,
        verdicts: &mut Verdicts,
    ) -> Result<bool, CheckError> {
        let part_types = |type_name: &str| self.listing.part_types(type_name);
        if let Some(allowed) = check.graph.justify_into(Graph::ROOT, account, part_types) {
            verdicts.allowed[check.at] = allowed;
            return Ok(true);
        }
        if !check.missing.is_empty() {
            return Ok(false);
        }
        let error = check.circumstances.error().filter(|_| check.graph.rests_on_unknown());
        match (error, check.graph.too_deep()) {
            (Some(error), _) => return Err(error.clone()),
            (None, Some(bound)) => return Err(bound.into()),
            (None, None) => verdicts.whole = false,
        }
        Ok(true)
    }
}

impl Check<'_> {
    /// Goes on as far as what was read allows.
    fn advance(&mut self, known: &Known, origin: &Origin<'_>) -> Result<(), CheckError> {
        let Self { graph, circumstances, missing, .. } = self;
        if missing.is_empty() {
            graph.expand(Graph::ROOT)?;
        }
        for (id, read) in std::mem::take(missing) {
            let Some(answer) = known.get(&read) else {
                missing.push((id, read));
                continue;
            };
            let provenance = Provenance {
                stamp: origin.stamp(),
                hard_expiry: Moment::NEVER,
                tags: Vec::new(),
                types: types_of(&read),
            };
            graph.answer(id, circumstances.judged(&read, answer.clone()), provenance)?;
        }
        // What is known already waits for the next level all the same: a check goes level by level, and meets just the conditions of those.
        loop {
            graph.settle();
            if graph.value(Graph::ROOT).is_some() {
                return Ok(());
            }
            let (fresh, reads) = (graph.take_fresh(), graph.take_reads());
            if fresh.is_empty() && reads.is_empty() {
                return Ok(());
            }
            for node in fresh {
                graph.expand(node)?;
            }
            missing.extend(reads);
        }
    }
}
