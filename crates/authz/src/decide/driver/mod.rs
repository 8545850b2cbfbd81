//! Drives one evaluation: cached parts first, then one read of the origin for each level.
//!
//! **Consistency.** Everything that is read from the origin comes from one snapshot. Cached parts may be older or newer than it, and so may what
//! another evaluation computed. Therefore an answer that rests on more than one snapshot is compared with the horizon as a whole, with the lowest stamp and all tags of
//! its parts: if a change that touches it lies between its parts, it was true at no single moment, and the question is evaluated again from one
//! snapshot alone.
//!
//! **Waiting.** An evaluation waits only for parts of older evaluations, and gives its snapshot back before: so neither waiting nor
//! a small pool of readers can go round in a circle.

mod look_up;

use std::collections::BTreeMap;
use std::sync::Arc;

use cache_core::single_flight::Invocation;
use cache_core::sync::Std;
use cache_core::{
    Draft, Entry, Mistake, Moment, PartFollower, PartLeader, ReadSet, Stamp, Ticket, TypeSet, Verdict, planted,
};

use super::circumstances::{Circumstances, Given};
use super::error::CheckError;
use super::key::{DecisionKey, ReadKey};
use super::models::Version;
use super::types::types_of_read;
use super::value::CachedValue;
use super::{Assignment, DecisionChain};
use crate::evaluate::{Graph, Justified, Limits, NodeId, PathStep, Provenance, ReadId, tags};
use crate::relation::{Member, Object, Presence, Relationship, Subject, Text};
use crate::store::{Snapshot, Store, StoreId, TupleAnswer, TupleRead, WallClock};

/// The most subjects of an enumeration that is worth a place in the caches.
const MAX_CACHED_SUBJECTS: usize = 1_000;

/// What an evaluation needs.
#[derive(Clone, Copy)]
pub(super) struct Evaluation<'a> {
    pub(super) chain: &'a DecisionChain,
    pub(super) origin: &'a dyn Store,
    pub(super) assignment: &'a Assignment,
    pub(super) limits: Limits,
    pub(super) version: &'a Version,
    pub(super) store: StoreId,
    pub(super) subject: &'a Subject,
    pub(super) relation: &'a Text,
    pub(super) object: &'a Object,
    pub(super) contextual: &'a [Relationship],
    pub(super) given: Given<'a>,
    pub(super) wall: &'a dyn WallClock,
}

/// The load that an evaluation belongs to.
#[derive(Clone, Copy)]
pub(super) struct Flight {
    /// Taken before anything was read.
    pub(super) ticket: Ticket,
    /// Its age.
    pub(super) order: u64,
    /// When it was invoked.
    pub(super) invocation: Invocation,
}

/// An answer with its provenance.
pub(super) struct Evaluated {
    pub(super) draft: Draft<CachedValue>,
    pub(super) allowed: bool,
    /// Whether it may be kept: not where a cycle cut it short.
    pub(super) cacheable: bool,
}

impl Evaluation<'_> {
    /// Answers the question. Without a flight nothing cached takes part, neither read nor filled.
    pub(super) async fn run(&self, flight: Option<Flight>) -> Result<Evaluated, CheckError> {
        if let Some(flight) = flight {
            let mut run = Run::new(self, Some(flight));
            match run.answer().await {
                Ok(evaluated) if !run.is_mixed() || self.is_consistent(&evaluated) => return Ok(evaluated),
                // Cached parts lead other ways than the origin does, and so to other bounds.
                Ok(_) | Err(CheckError::TooComplex { .. } | CheckError::Condition(_)) if run.is_mixed() => {}
                result => return result,
            }
        }
        Run::new(self, None).answer().await
    }

    /// Answers from one new snapshot without caches, and tells the path to the answer, also where there is none.
    pub(super) async fn told(&self) -> (Result<Evaluated, CheckError>, PathStep) {
        let mut run = Run::new(self, None);
        let result = run.answer().await;
        (result, run.graph.path())
    }

    fn is_consistent(&self, evaluated: &Evaluated) -> bool {
        let Draft { stamp, read_set, types, hard_expiry, .. } = &evaluated.draft;
        let key = self.decision_key(self.object, self.relation);
        let types = types.union(TypeSet::of(key.cache_type));
        evaluated.cacheable
            && *hard_expiry > self.chain.clock().now()
            && self.chain.horizon().verdict(*stamp, read_set.tags(), types, &key) == Verdict::Usable
    }

    pub(super) fn decision_key<'k>(&'k self, object: &'k Object, relation: &'k str) -> DecisionKey<'k> {
        DecisionKey {
            cache_type: self.assignment.of(&object.type_name, &self.version.plan),
            store: self.store,
            model: self.version.id,
            subject: self.subject,
            relation,
            object,
            contextual: self.contextual,
            given: self.given,
            reads: self.version.plan.reads(&object.type_name, relation),
            direct: self.version.plan.direct(&object.type_name, relation),
        }
    }

    /// The cache type of decisions about a type of objects.
    fn part_types(&self, type_name: &str) -> TypeSet {
        TypeSet::of(self.assignment.of(type_name, &self.version.plan))
    }

    /// Keeps what was read, where it is the same for every subject. Not a method of a run: a snapshot is no thing to share between threads.
    async fn fill_reads(&self, flight: &Flight, stamp: Stamp, reads: &[(ReadId, TupleRead)], answers: &[TupleAnswer]) {
        let mut sources = Vec::new();
        for ((_, read), answer) in reads.iter().zip(answers) {
            let Some(source) = ReadKey::of(self.store, read) else { continue };
            let value = match answer {
                TupleAnswer::Found(presence) => CachedValue::Exists(presence.clone()),
                TupleAnswer::Members(members) if members.len() <= MAX_CACHED_SUBJECTS => {
                    CachedValue::Subjects(Arc::new(members.clone()))
                }
                TupleAnswer::Members(_) | TupleAnswer::Properties(_) | TupleAnswer::TooMany => continue,
            };
            let read_set: ReadSet = [tags::of_read(self.store, read)].into_iter().collect();
            let draft = Draft { value, stamp, read_set, types: TypeSet::default(), hard_expiry: Moment::NEVER };
            sources.push((source, draft));
        }
        let drafts = sources.iter().map(|(source, draft)| (self.chain.key(source), draft.clone())).collect();
        self.chain.fill_many(&flight.ticket, drafts).await;
    }
}

/// One try at a question.
struct Run<'a> {
    evaluation: &'a Evaluation<'a>,
    flight: Option<Flight>,
    graph: Graph<'a>,
    circumstances: Circumstances<'a>,
    snapshot: Option<Box<dyn Snapshot>>,
    snapshots: usize,
    /// Whether anything came from a cache or from another evaluation.
    used_parts: bool,
    /// Whether a part came from outside of the process since the log was asked last: it may contain a change that is unknown here.
    ahead: bool,
    /// The lowest stamp of the snapshots.
    stamp: Option<Stamp>,
    led: Vec<(NodeId, PartLeader<CachedValue, Std>)>,
    awaited: Vec<(NodeId, PartFollower<CachedValue, Std>)>,
    /// Reads that no cache could answer.
    missing: Vec<(ReadId, TupleRead)>,
}

impl<'a> Run<'a> {
    fn new(evaluation: &'a Evaluation<'a>, flight: Option<Flight>) -> Self {
        let graph = Graph::new(
            &evaluation.version.plan,
            evaluation.limits,
            evaluation.store,
            evaluation.subject.clone(),
            evaluation.object.clone(),
            evaluation.relation.clone(),
        );
        let circumstances = Circumstances::new(
            &evaluation.version.plan,
            evaluation.given,
            evaluation.wall,
            evaluation.chain.clock().as_ref(),
            evaluation.limits.max_condition_steps,
        );
        Self {
            evaluation,
            flight,
            graph,
            circumstances,
            snapshot: None,
            snapshots: 0,
            used_parts: false,
            ahead: false,
            stamp: None,
            led: Vec::new(),
            awaited: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Whether the answer rests on more than one snapshot.
    fn is_mixed(&self) -> bool {
        self.used_parts || self.snapshots > 1
    }

    async fn answer(&mut self) -> Result<Evaluated, CheckError> {
        // The root itself was looked for before anybody came here.
        self.graph.take_fresh();
        self.read_properties().await?;
        self.graph.expand(Graph::ROOT)?;
        loop {
            self.resolve_without_origin().await?;
            self.publish().await?;
            if self.graph.value(Graph::ROOT).is_some() {
                break;
            }
            // Between two levels others get their turn: what one level computes is bounded, what all of them do is not short.
            tokio::task::yield_now().await;
            if !self.missing.is_empty() {
                self.read_level().await?;
            } else if let Some((node, follower)) = self.awaited.pop() {
                // What became known without them need not be waited for.
                if self.graph.value(node).is_none() {
                    self.wait_for(node, follower).await?;
                }
            } else {
                // Everything is read. What is left lies too deep, or waits for itself.
                let error = self.circumstances.error().filter(|_| self.graph.rests_on_unknown());
                return match (error, self.graph.too_deep()) {
                    (Some(error), _) => Err(error.clone()),
                    (None, Some(bound)) => Err(bound.into()),
                    (None, None) => Ok(self.cut_short()),
                };
            }
        }
        Ok(match self.graph.justify(Graph::ROOT, |kind| self.evaluation.part_types(kind)) {
            Some(justified) => self.evaluated(justified),
            None => self.cut_short(),
        })
    }

    /// Caches, expansion and settling, until the origin or another evaluation is needed.
    async fn resolve_without_origin(&mut self) -> Result<(), CheckError> {
        loop {
            self.graph.settle();
            if self.graph.value(Graph::ROOT).is_some() {
                return Ok(());
            }
            let fresh = self.graph.take_fresh();
            let reads = self.graph.take_reads();
            if fresh.is_empty() && reads.is_empty() {
                return Ok(());
            }
            self.look_up(fresh, reads).await?;
        }
    }

    /// Reads from the snapshot, which is taken when it is needed first. Its stamp is known after the read.
    async fn read(&mut self, reads: Vec<TupleRead>) -> Result<(Vec<TupleAnswer>, Stamp), CheckError> {
        let snapshot = match &mut self.snapshot {
            Some(snapshot) => snapshot,
            none => {
                self.snapshots += 1;
                none.insert(self.evaluation.origin.snapshot().await?)
            }
        };
        let answers = snapshot.read(self.evaluation.store, reads).await?;
        let stamp = match planted(Mistake::StampAfterRead) {
            true => self.evaluation.chain.ticket().stamp(),
            false => snapshot.stamp(),
        };
        self.stamp = Some(self.stamp.map_or(stamp, |known| known.meet(stamp)));
        Ok((answers, stamp))
    }

    /// Reads the stored properties that conditions on the way may read, before any condition is met.
    async fn read_properties(&mut self) -> Result<(), CheckError> {
        let Evaluation { version, given, object, relation, .. } = *self.evaluation;
        let entities = given.stored(version.plan.reads(&object.type_name, relation));
        if entities.is_empty() {
            return Ok(());
        }
        let reads = entities.iter().map(|entity| TupleRead::Properties((*entity).clone())).collect();
        let (answers, stamp) = self.read(reads).await?;
        for (entity, answer) in entities.into_iter().zip(answers) {
            let TupleAnswer::Properties(stored) = answer else { continue };
            self.circumstances.add_stored(entity, &stored);
            let provenance =
                Provenance { stamp, hard_expiry: Moment::NEVER, tags: Vec::new(), types: TypeSet::default() };
            self.graph.note_properties(entity, provenance);
        }
        Ok(())
    }

    /// Reads one level from the snapshot, and fills what others can use.
    async fn read_level(&mut self) -> Result<(), CheckError> {
        let missing = std::mem::take(&mut self.missing);
        let reads: Vec<TupleRead> = missing.iter().map(|(_, read)| read.clone()).collect();
        let (answers, stamp) = self.read(reads).await?;
        if let Some(flight) = self.flight {
            self.evaluation.fill_reads(&flight, stamp, &missing, &answers).await;
        }
        for ((id, read), answer) in missing.into_iter().zip(answers) {
            let types = types_of_read(&read);
            let answer = with_contextual(self.evaluation.contextual, &read, answer);
            let answer = self.circumstances.judged(&read, answer);
            self.graph.answer(id, answer, Provenance { stamp, hard_expiry: Moment::NEVER, tags: Vec::new(), types })?;
        }
        Ok(())
    }

    /// Hands parts that became known to whoever waits for them.
    async fn publish(&mut self) -> Result<(), CheckError> {
        let Some(flight) = self.flight else { return Ok(()) };
        if self.ahead && self.composes() {
            // What is composed now is compared with the horizon: that must know whatever the parts contain.
            self.evaluation.origin.catch_up().await?;
            self.ahead = false;
        }
        let mut open = Vec::with_capacity(self.led.len());
        for (node, leader) in std::mem::take(&mut self.led) {
            let Some(justified) = self.graph.justify(node, |kind| self.evaluation.part_types(kind)) else {
                open.push((node, leader));
                continue;
            };
            // A part that rests on parts of different age may have been true at no single moment: it stays with this evaluation.
            if self.is_mixed() && !self.is_usable_part(node, &justified) {
                continue;
            }
            let (object, relation) = self.graph.question(node);
            let source = self.evaluation.decision_key(object, relation);
            let draft = self.draft(justified);
            let chain = self.evaluation.chain;
            chain.publish_part(&flight.ticket, &chain.key(&source), leader, draft).await;
        }
        self.led = open;
        Ok(())
    }

    /// Whether the answer, or a part that others wait for, is known.
    fn composes(&self) -> bool {
        let known = |node: NodeId| self.graph.value(node).is_some();
        known(Graph::ROOT) || self.led.iter().any(|(node, _)| known(*node))
    }

    fn is_usable_part(&self, node: NodeId, justified: &Justified) -> bool {
        let (object, relation) = self.graph.question(node);
        let source = self.evaluation.decision_key(object, relation);
        let stamp = justified.stamp.unwrap_or(self.fallback_stamp());
        let types = justified.types.union(TypeSet::of(source.cache_type));
        self.evaluation.chain.horizon().verdict(stamp, justified.read_set.tags(), types, &source) == Verdict::Usable
    }

    /// Waits for a part that an older evaluation computes; where nothing usable comes, computes it here.
    async fn wait_for(&mut self, node: NodeId, follower: PartFollower<CachedValue, Std>) -> Result<(), CheckError> {
        // Whoever computes the part may need a reader.
        self.snapshot = None;
        let (object, relation) = self.graph.question(node);
        let (object, relation) = (object.clone(), relation.clone());
        let source = self.evaluation.decision_key(&object, &relation);
        let chain = self.evaluation.chain;
        let part = chain.await_part(&chain.key(&source), follower).await;
        match part {
            Some(hit) if self.take_part(node, &hit) => Ok(()),
            _ => Ok(self.graph.expand(node)?),
        }
    }

    fn evaluated(&self, justified: Justified) -> Evaluated {
        let allowed = justified.allowed;
        Evaluated { draft: self.draft(justified), allowed, cacheable: true }
    }

    /// A cycle left the question open: that is no allow, and nothing to keep.
    fn cut_short(&self) -> Evaluated {
        let draft = Draft {
            value: CachedValue::Decision(false),
            stamp: self.stamp.unwrap_or(self.fallback_stamp()),
            read_set: ReadSet::new(),
            types: TypeSet::default(),
            hard_expiry: Moment::NEVER,
        };
        Evaluated { draft, allowed: false, cacheable: false }
    }

    fn draft(&self, justified: Justified) -> Draft<CachedValue> {
        let Justified { allowed, stamp, hard_expiry, read_set, types } = justified;
        // The stamp of what was read, never that of this moment: a change may lie in between.
        let stamp = match stamp {
            Some(stamp) if !planted(Mistake::ComposedStampedNow) => stamp,
            Some(_) => self.evaluation.chain.ticket().stamp(),
            None => self.fallback_stamp(),
        };
        Draft { value: CachedValue::Decision(allowed), stamp, read_set, types, hard_expiry }
    }

    /// The stamp of what rests on the model alone.
    fn fallback_stamp(&self) -> Stamp {
        self.flight.map_or_else(|| self.evaluation.chain.ticket().stamp(), |flight| flight.ticket.stamp())
    }
}

/// What a cached part brings into whatever is composed of it. The entities of its key come by the node that it answers.
fn provenance(entry: &Entry<CachedValue>) -> Provenance {
    Provenance {
        stamp: entry.stamp(),
        hard_expiry: entry.hard_expiry(),
        tags: entry.tags().to_vec(),
        types: entry.types(),
    }
}

/// Adds the relationships that hold for one question only.
pub(super) fn with_contextual(contextual: &[Relationship], read: &TupleRead, answer: TupleAnswer) -> TupleAnswer {
    if contextual.is_empty() {
        return answer;
    }
    match (read, answer) {
        (TupleRead::Point(tuple), answer @ TupleAnswer::Found(_)) => {
            let given = contextual.iter().find(|given| given.tuple == *tuple);
            given.map_or(answer, |given| TupleAnswer::Found(Presence::of(given.condition.clone())))
        }
        (TupleRead::Enumerate { object, relation, kind }, TupleAnswer::Members(members)) => {
            let given = contextual.iter().filter(|Relationship { tuple, .. }| {
                tuple.object == *object
                    && tuple.relation == *relation
                    && tuple.subject.kind() == *kind
                    && !matches!(tuple.subject, Subject::Wildcard { .. })
            });
            let given = given
                .map(|given| Member { id: Text::from(given.tuple.subject.id()), condition: given.condition.clone() });
            TupleAnswer::Members(overlaid(members, given))
        }
        (TupleRead::Reverse { subject, object_type, relation }, TupleAnswer::Members(members)) => {
            let given = contextual.iter().filter(|Relationship { tuple, .. }| {
                tuple.subject == *subject && tuple.object.type_name == *object_type && tuple.relation == *relation
            });
            let given =
                given.map(|given| Member { id: given.tuple.object.id.clone(), condition: given.condition.clone() });
            TupleAnswer::Members(overlaid(members, given))
        }
        (_, answer) => answer,
    }
}

/// Members with those of a question, which stand in the place of stored ones.
fn overlaid(stored: Vec<Member>, given: impl Iterator<Item = Member>) -> Vec<Member> {
    let mut members: BTreeMap<Text, Member> = stored.into_iter().map(|member| (member.id.clone(), member)).collect();
    members.extend(given.map(|member| (member.id.clone(), member)));
    members.into_values().collect()
}
