//! What the caches have for one step of an evaluation: parts of the decision, and what all subjects share, in one look-up.
//!
//! Invariant: each tier that must be awaited is asked once for a step, whatever the step needs.

use cache_core::{Hit, Key, Lookup, PartRole};

use super::{Flight, Run, provenance, with_contextual};
use crate::decide::error::CheckError;
use crate::decide::key::{DecisionKey, ReadKey};
use crate::decide::value::CachedValue;
use crate::evaluate::{NodeId, ReadId};
use crate::relation::{Object, Text};
use crate::store::{TupleAnswer, TupleRead};

/// A part that may be known, with its question.
type Part = (NodeId, Object, Text);

impl Run<'_> {
    /// Gives nodes their values and look-ups their answers from the caches; joins parts that an older evaluation computes; expands the others,
    /// and leaves what no cache has to the origin.
    pub(super) async fn look_up(
        &mut self,
        fresh: Vec<NodeId>,
        reads: Vec<(ReadId, TupleRead)>,
    ) -> Result<(), CheckError> {
        let Some(flight) = self.flight else {
            self.missing.extend(reads);
            return self.expand_all(fresh);
        };
        // What holds for one question only changes its parts, and no stored relationship.
        let (parts, others) =
            if self.evaluation.contextual.is_empty() { (fresh, Vec::new()) } else { (Vec::new(), fresh) };
        let parts: Vec<Part> = parts.into_iter().map(|node| self.part(node)).collect();
        let evaluation = self.evaluation;
        let decisions: Vec<DecisionKey<'_>> =
            parts.iter().map(|(_, object, relation)| evaluation.decision_key(object, relation)).collect();
        let shared: Vec<Option<ReadKey<'_>>> =
            reads.iter().map(|(_, read)| ReadKey::of(evaluation.store, read)).collect();
        let chain = evaluation.chain;
        let mut keys: Vec<Key<'_>> = decisions.iter().map(|source| chain.key(source)).collect();
        keys.extend(shared.iter().flatten().map(|source| chain.key(source)));
        let mut found = if keys.is_empty() { Vec::new() } else { chain.find_many(&keys).await }.into_iter();
        for ((node, _, _), key) in parts.iter().zip(&keys) {
            self.settle_part(*node, key, found.next(), &flight)?;
        }
        self.expand_all(others)?;
        for ((id, read), source) in reads.iter().zip(&shared) {
            let hit = source.as_ref().and_then(|_| found.next()).and_then(Lookup::hit);
            self.settle_read(*id, read, hit)?;
        }
        Ok(())
    }

    fn part(&self, node: NodeId) -> Part {
        let (object, relation) = self.graph.question(node);
        (node, object.clone(), relation.clone())
    }

    fn expand_all(&mut self, nodes: Vec<NodeId>) -> Result<(), CheckError> {
        for node in nodes {
            self.graph.expand(node)?;
        }
        Ok(())
    }

    fn settle_part(
        &mut self,
        node: NodeId,
        key: &Key<'_>,
        found: Option<Lookup<CachedValue>>,
        flight: &Flight,
    ) -> Result<(), CheckError> {
        if let Some(hit) = found.and_then(Lookup::hit)
            && self.take_part(node, &hit)
        {
            return Ok(());
        }
        match self.evaluation.chain.join_part(key, flight.order, flight.invocation) {
            PartRole::Lead(leader) => {
                self.led.push((node, leader));
                self.graph.expand(node)?;
            }
            PartRole::Follow(follower) => {
                self.awaited.push((node, follower));
                self.graph.await_elsewhere(node);
            }
            PartRole::Alone => self.graph.expand(node)?,
        }
        Ok(())
    }

    /// Takes a cached decision for a node. False where the value is none.
    pub(super) fn take_part(&mut self, node: NodeId, hit: &Hit<CachedValue>) -> bool {
        let CachedValue::Decision(allowed) = hit.value() else { return false };
        self.note_use(hit);
        self.graph.give(node, *allowed, provenance(&hit.entry));
        true
    }

    fn note_use(&mut self, hit: &Hit<CachedValue>) {
        self.used_parts = true;
        self.ahead |= self.evaluation.chain.is_remote(hit.tier);
    }

    fn settle_read(&mut self, id: ReadId, read: &TupleRead, hit: Option<Hit<CachedValue>>) -> Result<(), CheckError> {
        let answer = hit.as_ref().and_then(|hit| match hit.value() {
            CachedValue::Exists(presence) => Some(TupleAnswer::Found(presence.clone())),
            CachedValue::Subjects(members) => Some(TupleAnswer::Members(members.to_vec())),
            CachedValue::Decision(_) | CachedValue::Objects(_) | CachedValue::Users(_) => None,
        });
        let (Some(hit), Some(answer)) = (hit, answer) else {
            self.missing.push((id, read.clone()));
            return Ok(());
        };
        self.note_use(&hit);
        let answer = with_contextual(self.evaluation.contextual, read, answer);
        let answer = self.circumstances.judged(read, answer);
        self.graph.answer(id, answer, provenance(&hit.entry))?;
        Ok(())
    }
}
