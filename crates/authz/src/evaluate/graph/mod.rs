//! Evaluation as a graph that grows level by level, and knows no I/O.
//!
//! A *node* asks whether the one subject of the question is in a relation to an object. Its expression is made of reads and of other nodes. Whoever
//! drives the evaluation takes the new nodes and the open reads, answers them from a cache or from one snapshot, and lets what is known
//! settle; all reads of a level go to the origin together.
//!
//! **Values** are true, false or unknown, by Kleene's logic: a union is true as soon as one branch is, an intersection false as soon as one branch is, whatever
//! the others turn out to be. Nodes that wait for one another in a circle never become known. When nothing is left to read and the root is
//! unknown, it is cut short by a cycle: that is no allow, and no answer that may be kept.
//!
//! **Depth.** What lies too deep is unknown, and an error only where the root stays unknown with it. So the order in which ways are followed, which
//! depends on what is cached, hides no answer that a short way gives. A node lies as deep as the shortest way to it.

mod expression;
mod justification;
mod path;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

pub use justification::Justified;
pub use path::{MAX_PATH_STEPS, Operator, PathStep};

use expression::{Expr, Links};

use super::judge::{Finding, Judged};
use super::plan::{Plan, Reach, Step};
use super::{Limits, tags};
use crate::relation::{Object, Subject, SubjectKind, Text, Tuple};
use crate::store::{StoreId, TupleRead};
use cache_core::{Moment, Stamp, Tag, TypeSet};

/// Identifies a node of one evaluation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(u32);

/// Identifies a read of one evaluation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReadId(u32);

/// The evaluation met a bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooComplex {
    /// Which bound.
    pub what: &'static str,
    /// Its value.
    pub max: usize,
}

/// Where an answer came from and for how long it holds.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// What it contains.
    pub stamp: Stamp,
    /// When it ends by itself.
    pub hard_expiry: Moment,
    /// Tags that it brings besides those that its question implies.
    pub tags: Vec<Tag>,
    /// The cache types that it was made of.
    pub types: TypeSet,
}

/// One question on its way to an answer.
#[derive(Debug)]
pub struct Graph<'p> {
    plan: &'p Plan,
    limits: Limits,
    store: StoreId,
    subject: Subject,
    nodes: Vec<Node>,
    by_name: HashMap<(Object, Text), NodeId>,
    reads: Vec<Read>,
    by_read: HashMap<TupleRead, ReadId>,
    fresh: Vec<NodeId>,
    open: Vec<ReadId>,
    /// Nodes whose value may have become known, each once: a parent of many is looked at when all of them had their turn.
    unsettled: VecDeque<NodeId>,
    /// How many links from enumerations to nodes there are.
    edges: usize,
    /// What the subject can be found in at all.
    reach: Arc<Reach>,
    /// The look-ups of stored properties that conditions read, with their provenance.
    properties: Vec<(Tag, Provenance)>,
    /// Orders what became known.
    sequence: u32,
}

#[derive(Debug)]
struct Node {
    object: Object,
    relation: Text,
    depth: usize,
    state: State,
    value: Option<bool>,
    known_at: u32,
    parents: Vec<NodeId>,
    /// Whether it waits in `unsettled`.
    unsettled: bool,
    provenance: Option<Provenance>,
}

#[derive(Debug)]
enum State {
    /// Nobody has looked at it.
    Fresh,
    /// It was passed over because nobody needed it any more.
    Dormant,
    /// It lies beyond the bound of depth, by all ways that are known.
    TooDeep,
    /// Another evaluation computes it.
    Awaited,
    /// Its expression is known.
    Expanded(Expr),
    /// Its value came from a cache.
    Given,
}

#[derive(Debug)]
struct Read {
    read: TupleRead,
    for_nodes: Vec<NodeId>,
    answer: Option<Judged>,
    provenance: Option<Provenance>,
    /// Whether it waits in `open`.
    queued: bool,
}

impl<'p> Graph<'p> {
    /// A question: is `subject` in `relation` to `object`?
    #[must_use]
    pub fn new(
        plan: &'p Plan,
        limits: Limits,
        store: StoreId,
        subject: Subject,
        object: Object,
        relation: Text,
    ) -> Self {
        let reach = plan.reach(&subject);
        let mut graph = Self {
            plan,
            limits,
            store,
            subject,
            nodes: Vec::new(),
            by_name: HashMap::new(),
            reads: Vec::new(),
            by_read: HashMap::new(),
            fresh: Vec::new(),
            open: Vec::new(),
            unsettled: VecDeque::new(),
            edges: 0,
            reach,
            properties: Vec::new(),
            sequence: 0,
        };
        let root = graph.node(object, relation, 0, None);
        debug_assert!(root.is_ok_and(|root| root == Self::ROOT), "the first node is the root");
        graph
    }

    /// Later than anything that can become known.
    const NOW: u32 = u32::MAX;

    /// The node of the question itself.
    pub const ROOT: NodeId = NodeId(0);

    /// The value of a node, as far as it is known.
    #[must_use]
    pub fn value(&self, node: NodeId) -> Option<bool> {
        self.nodes[node.0 as usize].value
    }

    /// The object and the relation of a node.
    #[must_use]
    pub fn question(&self, node: NodeId) -> (&Object, &Text) {
        let node = &self.nodes[node.0 as usize];
        (&node.object, &node.relation)
    }

    /// Nodes that nobody has looked at yet and that somebody needs. Each must be given a value, expanded, or awaited.
    pub fn take_fresh(&mut self) -> Vec<NodeId> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh
            .into_iter()
            .filter(|&id| {
                if !matches!(self.nodes[id.0 as usize].state, State::Fresh) {
                    return false;
                }
                let needed = self.is_needed(id);
                if !needed {
                    self.nodes[id.0 as usize].state = State::Dormant;
                }
                needed
            })
            .collect()
    }

    /// Reads that are not answered and that somebody needs. Each must be answered.
    pub fn take_reads(&mut self) -> Vec<(ReadId, TupleRead)> {
        let open = std::mem::take(&mut self.open);
        let mut taken = Vec::new();
        for id in open {
            let needed = self.reads[id.0 as usize].for_nodes.iter().any(|node| self.is_open(*node));
            let read = &mut self.reads[id.0 as usize];
            read.queued = false;
            if needed && read.answer.is_none() {
                taken.push((id, read.read.clone()));
            }
        }
        taken
    }

    /// Gives a node its value from a cache.
    pub fn give(&mut self, node: NodeId, value: bool, provenance: Provenance) {
        let slot = &mut self.nodes[node.0 as usize];
        if slot.value.is_some() {
            // It became known by its own reads in the meantime, and rests on those.
            return;
        }
        slot.state = State::Given;
        slot.provenance = Some(provenance);
        self.know(node, value);
    }

    /// Notes that a node's value is computed elsewhere.
    pub fn await_elsewhere(&mut self, node: NodeId) {
        let state = &mut self.nodes[node.0 as usize].state;
        // Another relation of the same object may have expanded it already.
        if matches!(state, State::Fresh) {
            *state = State::Awaited;
        }
    }

    /// Works out what a node needs: reads, and nodes of the same object, which are expanded with it.
    ///
    /// # Errors
    /// Where the evaluation grows past its bounds.
    pub fn expand(&mut self, node: NodeId) -> Result<(), TooComplex> {
        let mut work = vec![node];
        while let Some(id) = work.pop() {
            if matches!(self.nodes[id.0 as usize].state, State::Expanded(_) | State::Given) {
                continue;
            }
            let (object, relation) = {
                let node = &self.nodes[id.0 as usize];
                (node.object.clone(), node.relation.clone())
            };
            let itself = matches!(&self.subject, Subject::Userset { object: own, relation: name } if *own == object && *name == relation);
            let expr = if itself {
                Expr::Const(true)
            } else if !self.can_reach(&object.type_name, &relation) {
                Expr::Const(false)
            } else {
                match self.plan.relation(&object.type_name, &relation) {
                    Some(plan) => self.expression(&plan.step, id, &object, &relation, &mut work)?,
                    None => Expr::Const(false),
                }
            };
            self.nodes[id.0 as usize].state = State::Expanded(expr);
            self.unsettle(id);
        }
        Ok(())
    }

    /// Notes stored properties that conditions may read: whatever rests on such a condition rests on them.
    pub fn note_properties(&mut self, object: &Object, provenance: Provenance) {
        self.properties.push((tags::properties(self.store, object), provenance));
    }

    /// Answers a read.
    ///
    /// # Errors
    /// Where an enumeration was too large, or leads to more nodes than may be.
    pub fn answer(&mut self, id: ReadId, answer: impl Into<Judged>, provenance: Provenance) -> Result<(), TooComplex> {
        let answer = answer.into();
        if answer.finding == Finding::TooMany {
            return Err(TooComplex {
                what: "the number of subjects of one relation",
                max: crate::store::MAX_ENUMERATED,
            });
        }
        let read = &mut self.reads[id.0 as usize];
        read.answer = Some(answer);
        read.provenance = Some(provenance);
        for node in self.reads[id.0 as usize].for_nodes.clone() {
            self.link_children(node)?;
            self.unsettle(node);
        }
        Ok(())
    }

    /// Lets what is known spread to whatever rests on it.
    pub fn settle(&mut self) {
        while let Some(id) = self.unsettled.pop_front() {
            let node = &mut self.nodes[id.0 as usize];
            node.unsettled = false;
            let node = &self.nodes[id.0 as usize];
            if node.value.is_some() {
                continue;
            }
            let State::Expanded(expr) = &node.state else { continue };
            if let Some(value) = self.was(expr, Self::NOW) {
                self.know(id, value);
            }
        }
    }

    /// How large it has grown: its nodes, and the links between them.
    #[must_use]
    pub fn size(&self) -> usize {
        self.nodes.len() + self.edges
    }

    /// Whether the question is open because it is unknown of a relationship whether it counts.
    #[must_use]
    pub fn rests_on_unknown(&self) -> bool {
        let (mut seen, mut work) = (HashSet::new(), vec![Self::ROOT]);
        while let Some(id) = work.pop() {
            if self.is_open(id)
                && seen.insert(id)
                && let State::Expanded(expr) = &self.nodes[id.0 as usize].state
                && self.has_unknown(expr, &mut work)
            {
                return true;
            }
        }
        false
    }

    /// The bound of depth, where something lies beyond it that may still matter.
    #[must_use]
    pub fn too_deep(&self) -> Option<TooComplex> {
        let cut = self.nodes.iter().any(|node| matches!(node.state, State::TooDeep));
        cut.then_some(TooComplex { what: "the depth", max: self.limits.max_depth })
    }

    fn can_reach(&self, type_name: &str, relation: &str) -> bool {
        self.plan.relation(type_name, relation).is_some_and(|plan| self.reach.contains(plan.index))
    }

    fn unsettle(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.0 as usize];
        if !std::mem::replace(&mut node.unsettled, true) {
            self.unsettled.push_back(id);
        }
    }

    fn is_open(&self, node: NodeId) -> bool {
        self.nodes[node.0 as usize].value.is_none()
    }

    fn is_needed(&self, id: NodeId) -> bool {
        let node = &self.nodes[id.0 as usize];
        node.value.is_none() && (node.parents.is_empty() || node.parents.iter().any(|parent| self.is_open(*parent)))
    }

    fn know(&mut self, id: NodeId, value: bool) {
        self.sequence += 1;
        let node = &mut self.nodes[id.0 as usize];
        if node.value.is_some() {
            return;
        }
        node.value = Some(value);
        node.known_at = self.sequence;
        for parent in self.nodes[id.0 as usize].parents.clone() {
            self.unsettle(parent);
        }
    }

    fn node(
        &mut self,
        object: Object,
        relation: Text,
        depth: usize,
        parent: Option<NodeId>,
    ) -> Result<NodeId, TooComplex> {
        let known = self.by_name.get(&(object.clone(), relation.clone())).copied();
        let id = match known {
            Some(id) => id,
            None => {
                if self.nodes.len() >= self.limits.max_nodes {
                    return Err(TooComplex { what: "the number of objects on the way", max: self.limits.max_nodes });
                }
                let id = NodeId(self.nodes.len() as u32);
                self.by_name.insert((object.clone(), relation.clone()), id);
                let too_deep = depth > self.limits.max_depth;
                self.nodes.push(Node {
                    object,
                    relation,
                    depth,
                    state: if too_deep { State::TooDeep } else { State::Fresh },
                    value: None,
                    known_at: 0,
                    parents: Vec::new(),
                    unsettled: false,
                    provenance: None,
                });
                if !too_deep {
                    self.fresh.push(id);
                }
                id
            }
        };
        self.bring_nearer(id, depth);
        let node = &mut self.nodes[id.0 as usize];
        if let Some(parent) = parent
            // One parent links a node several times in a row at most; a duplicate would do no harm.
            && node.parents.last() != Some(&parent)
        {
            node.parents.push(parent);
            if matches!(node.state, State::Dormant) {
                node.state = State::Fresh;
                self.fresh.push(id);
            }
        }
        Ok(id)
    }

    /// Notes a shorter way to a node, and so to whatever it leads to.
    fn bring_nearer(&mut self, id: NodeId, depth: usize) {
        let mut work = vec![(id, depth)];
        while let Some((id, depth)) = work.pop() {
            let node = &mut self.nodes[id.0 as usize];
            if depth >= node.depth {
                continue;
            }
            node.depth = depth;
            match &node.state {
                State::TooDeep if depth <= self.limits.max_depth => {
                    node.state = State::Fresh;
                    self.fresh.push(id);
                }
                State::Expanded(expr) => expr.leads_to(depth, &mut work),
                _ => {}
            }
        }
    }

    fn expression(
        &mut self,
        step: &Step,
        node: NodeId,
        object: &Object,
        relation: &Text,
        work: &mut Vec<NodeId>,
    ) -> Result<Expr, TooComplex> {
        Ok(match step {
            Step::Direct { objects, wildcards, usersets } => {
                let mut parts = Vec::new();
                let point = |subject: Subject| {
                    TupleRead::Point(Tuple { object: object.clone(), relation: relation.clone(), subject })
                };
                let own_type = self.subject.type_name().clone();
                let looks_up = match &self.subject {
                    Subject::Object(_) => objects.contains(&own_type),
                    Subject::Userset { object, relation } => {
                        usersets.iter().any(|(kind, name)| kind.type_name == object.type_name && name == relation)
                    }
                    Subject::Wildcard { .. } => wildcards.contains(&own_type),
                };
                if looks_up {
                    let read = point(self.subject.clone());
                    parts.push(Expr::Read(self.read(read, node)?));
                }
                if matches!(self.subject, Subject::Object(_)) && wildcards.contains(&own_type) {
                    let read = point(Subject::Wildcard { type_name: own_type });
                    parts.push(Expr::Read(self.read(read, node)?));
                }
                for (kind, name) in usersets {
                    if self.can_reach(&kind.type_name, name) {
                        parts.push(self.through(node, object, relation, kind, name)?);
                    }
                }
                Expr::Any(parts)
            }
            Step::Computed(name) => {
                let depth = self.nodes[node.0 as usize].depth;
                let child = self.node(object.clone(), name.clone(), depth, Some(node))?;
                // Of the same object: it needs no look-up of its own, and its reads belong to this level. Expanded, it is fresh no more.
                work.push(child);
                Expr::Node(child)
            }
            Step::TupleToUserset { tupleset, kinds, computed } => {
                let mut parts = Vec::new();
                for kind in kinds {
                    if self.can_reach(&kind.type_name, computed) {
                        parts.push(self.through(node, object, tupleset, kind, computed)?);
                    }
                }
                Expr::Any(parts)
            }
            Step::Any(steps) => Expr::Any(self.expressions(steps, node, object, relation, work)?),
            Step::All(steps) => Expr::All(self.expressions(steps, node, object, relation, work)?),
            Step::Minus(base, subtract) => Expr::Minus(
                Box::new(self.expression(base, node, object, relation, work)?),
                Box::new(self.expression(subtract, node, object, relation, work)?),
            ),
        })
    }

    fn expressions(
        &mut self,
        steps: &[Step],
        node: NodeId,
        object: &Object,
        relation: &Text,
        work: &mut Vec<NodeId>,
    ) -> Result<Vec<Expr>, TooComplex> {
        steps.iter().map(|step| self.expression(step, node, object, relation, work)).collect()
    }

    fn through(
        &mut self,
        node: NodeId,
        object: &Object,
        relation: &Text,
        kind: &SubjectKind,
        name: &Text,
    ) -> Result<Expr, TooComplex> {
        let read = TupleRead::Enumerate { object: object.clone(), relation: relation.clone(), kind: kind.clone() };
        let read = self.read(read, node)?;
        let links = self.links(read, name, node)?;
        Ok(Expr::Through { read, relation: name.clone(), links })
    }

    /// The nodes that an answered enumeration leads to; none while it is not answered.
    fn links(&mut self, read: ReadId, relation: &Text, parent: NodeId) -> Result<Option<Links>, TooComplex> {
        let slot = &self.reads[read.0 as usize];
        let (Some(Judged { finding: Finding::Members { met, unknown, .. }, .. }), TupleRead::Enumerate { kind, .. }) =
            (&slot.answer, &slot.read)
        else {
            return Ok(None);
        };
        let (met, unknown, type_name) = (met.clone(), *unknown, kind.type_name.clone());
        self.edges += met.len();
        if self.edges > self.limits.max_edges {
            return Err(TooComplex { what: "the number of links between objects", max: self.limits.max_edges });
        }
        let depth = self.nodes[parent.0 as usize].depth + 1;
        let met = met.into_iter().map(|(id, until)| {
            let object = Object { type_name: type_name.clone(), id };
            Ok((self.node(object, relation.clone(), depth, Some(parent))?, until))
        });
        Ok(Some(Links { met: met.collect::<Result<_, _>>()?, unknown }))
    }

    /// Fills in the children of a node's enumerations that were answered since.
    fn link_children(&mut self, id: NodeId) -> Result<(), TooComplex> {
        let State::Expanded(expr) = &mut self.nodes[id.0 as usize].state else { return Ok(()) };
        let mut expr = std::mem::replace(expr, Expr::Const(false));
        let linked = self.link(&mut expr, id);
        self.nodes[id.0 as usize].state = State::Expanded(expr);
        linked
    }

    fn link(&mut self, expr: &mut Expr, node: NodeId) -> Result<(), TooComplex> {
        match expr {
            Expr::Through { read, relation, links: links @ None } => {
                *links = self.links(*read, relation, node)?;
                Ok(())
            }
            Expr::Any(parts) | Expr::All(parts) => parts.iter_mut().try_for_each(|part| self.link(part, node)),
            Expr::Minus(base, subtract) => {
                self.link(base, node)?;
                self.link(subtract, node)
            }
            Expr::Const(_) | Expr::Read(_) | Expr::Node(_) | Expr::Through { .. } => Ok(()),
        }
    }

    fn read(&mut self, read: TupleRead, node: NodeId) -> Result<ReadId, TooComplex> {
        let id = match self.by_read.get(&read) {
            Some(id) => *id,
            None => {
                if self.reads.len() >= self.limits.max_reads {
                    return Err(TooComplex { what: "the number of look-ups", max: self.limits.max_reads });
                }
                let id = ReadId(self.reads.len() as u32);
                self.by_read.insert(read.clone(), id);
                self.reads.push(Read { read, for_nodes: Vec::new(), answer: None, provenance: None, queued: false });
                id
            }
        };
        let slot = &mut self.reads[id.0 as usize];
        if slot.for_nodes.last() != Some(&node) {
            slot.for_nodes.push(node);
        }
        if slot.answer.is_none() && !slot.queued {
            slot.queued = true;
            self.open.push(id);
        }
        Ok(id)
    }
}
