//! Many checks at once, in one snapshot: what a search leaves open.
//!
//! Each question is evaluated by itself, within the bounds of a check and with its result, an error included. They advance level by level together: what
//! several of them read is read once, and all that a level reads goes to the origin in one batch.
//!
//! **Bounds.** What all of them do and keep together is bounded as well: the steps of their conditions by the list, what was read and what they are made of by how
//! many go together. Between two of them others get their turn, so that a list can be interrupted.

use std::collections::{HashMap, HashSet};

use cache_core::{Moment, TypeSet};

use super::super::circumstances::{Circumstances, Given};
use super::super::error::CheckError;
use super::super::types::types_of_read;
use super::Listing;
use super::origin::Origin;
use crate::evaluate::{Account, Graph, Provenance, ReadId};
use crate::relation::{Object, Subject};
use crate::store::{TupleAnswer, TupleRead};

/// How many questions are evaluated together, at most.
const TOGETHER: usize = 256;
/// The most members of answers that are remembered for later questions; an answer counts as one more.
const MAX_KNOWN_MEMBERS: usize = 100_000;
/// The most look-ups of one batch: what they find is counted after it.
const READS_AT_ONCE: usize = 1_000;
/// What all questions of a list may cost, as a multiple of what one may: the steps of their conditions, those of the search included, and the size of those
/// that are evaluated together.
const QUESTIONS_WORTH: usize = 16;
/// Others get their turn after so much work: steps of conditions, nodes and links.
const WORK_BETWEEN_TURNS: u64 = 20_000;

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
#[derive(Default)]
struct Known {
    answers: HashMap<TupleRead, TupleAnswer>,
    members: usize,
}

/// What the questions of a list have cost so far.
struct Spent {
    /// The steps of conditions.
    steps: u64,
    max_steps: u64,
    /// What was done since others had their turn.
    since_turn: u64,
}

impl<'a> Checks<'a> {
    /// Answers all questions, or has the error of one of them. What they rest on is entered into the account.
    pub(super) async fn answer(
        &self,
        origin: &mut Origin<'_>,
        questions: &'a [Question],
        account: &mut Account,
    ) -> Result<Verdicts, CheckError> {
        let mut verdicts = Verdicts { allowed: vec![false; questions.len()], whole: true };
        let (mut known, mut spent) = (Known::default(), self.spent());
        let (mut first, mut together) = (0, TOGETHER);
        while first < questions.len() {
            let end = questions.len().min(first + together);
            let checks = (first..end).map(|at| self.check(at, &questions[at])).collect();
            if self.settle(origin, checks, &mut known, &mut spent, account, &mut verdicts).await? {
                first = end;
            } else {
                // One has bounds of its own. What some have settled is the same again: it is the same snapshot, and the same time.
                together = (together / 2).max(1);
            }
        }
        Ok(verdicts)
    }

    /// Settles questions together; false where they are too large for that.
    async fn settle(
        &self,
        origin: &mut Origin<'_>,
        mut checks: Vec<Check<'a>>,
        known: &mut Known,
        spent: &mut Spent,
        account: &mut Account,
        verdicts: &mut Verdicts,
    ) -> Result<bool, CheckError> {
        let is_alone = checks.len() == 1;
        self.read_properties(origin, &mut checks).await?;
        let max_size = self.listing.point.limits.max_nodes.saturating_mul(QUESTIONS_WORTH);
        let mut size: usize = checks.iter().map(|check| check.graph.size()).sum();
        while !checks.is_empty() {
            let mut open = Vec::with_capacity(checks.len());
            for mut check in checks {
                let (size_before, steps_before) = (check.graph.size(), check.circumstances.spent());
                check.advance(&known.answers, origin)?;
                let grown = check.graph.size() - size_before;
                spent.add(check.circumstances.spent() - steps_before, grown)?;
                spent.give_way().await;
                size += grown;
                if !is_alone && size > max_size {
                    return Ok(false);
                }
                if self.is_settled(&check, account, verdicts)? {
                    size -= check.graph.size();
                } else {
                    open.push(check);
                }
            }
            checks = open;
            known.read(origin, &checks).await?;
        }
        Ok(true)
    }

    fn spent(&self) -> Spent {
        let max_steps = self.listing.point.limits.max_condition_steps.saturating_mul(QUESTIONS_WORTH as u64);
        Spent { steps: self.circumstances.spent(), max_steps, since_turn: 0 }
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
    fn advance(&mut self, known: &HashMap<TupleRead, TupleAnswer>, origin: &Origin<'_>) -> Result<(), CheckError> {
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
                types: types_of_read(&read),
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

impl Known {
    /// Reads what questions wait for. What does not fit is left for the next time.
    async fn read(&mut self, origin: &mut Origin<'_>, checks: &[Check<'_>]) -> Result<(), CheckError> {
        if self.members > MAX_KNOWN_MEMBERS {
            // Whatever is still waited for is read again.
            *self = Self::default();
        }
        let mut once = HashSet::new();
        let missing = checks.iter().flat_map(|check| &check.missing).map(|(_, read)| read);
        let missing = missing.filter(|read| !self.answers.contains_key(*read) && once.insert(*read));
        let reads: Vec<TupleRead> = missing.cloned().collect();
        for part in reads.chunks(READS_AT_ONCE) {
            let answers = origin.read(part).await?;
            self.members += answers.iter().map(size_of_answer).sum::<usize>();
            self.answers.extend(part.iter().cloned().zip(answers));
            if self.members > MAX_KNOWN_MEMBERS {
                break;
            }
        }
        Ok(())
    }
}

fn size_of_answer(answer: &TupleAnswer) -> usize {
    match answer {
        TupleAnswer::Members(members) => 1 + members.len(),
        TupleAnswer::Found(_) | TupleAnswer::Properties(_) | TupleAnswer::TooMany => 1,
    }
}

impl Spent {
    fn add(&mut self, steps: u64, grown: usize) -> Result<(), CheckError> {
        self.steps += steps;
        self.since_turn += steps + grown as u64;
        if self.steps > self.max_steps {
            let max = usize::try_from(self.max_steps).unwrap_or(usize::MAX);
            return Err(CheckError::TooComplex { what: "the number of steps of the conditions of one list", max });
        }
        Ok(())
    }

    async fn give_way(&mut self) {
        if self.since_turn >= WORK_BETWEEN_TURNS {
            self.since_turn = 0;
            tokio::task::yield_now().await;
        }
    }
}
