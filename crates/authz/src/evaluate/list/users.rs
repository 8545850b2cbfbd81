//! The search forwards: from an object to the subjects of some kinds that are in a relation to it.
//!
//! First everything is read that the relation leads to and in which subjects of these kinds can be found, level by level, whoever they are. Then, without
//! any further reading, it is computed who is in: see [`super::membership`].
//!
//! **Bounds** are those of a check: depth, nodes, look-ups, links; every subject that an enumeration answers counts as a link.

use std::collections::HashMap;
use std::sync::Arc;

use crate::evaluate::plan::{Plan, Reach, Step};
use crate::evaluate::{Account, Limits, TooComplex};
use crate::relation::{Object, Subject, SubjectKind, Text, Tuple};
use crate::store::TupleRead;
use cache_core::TypeSet;

/// Identifies a look-up of one search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserRead(u32);

/// One search.
#[derive(Debug)]
pub struct UserSearch<'p> {
    plan: &'p Plan,
    pub(super) limits: Limits,
    pub(super) filters: Vec<Filter>,
    pub(super) nodes: Vec<Node>,
    by_name: HashMap<(Object, Text), u32>,
    pub(super) reads: Vec<Read>,
    by_read: HashMap<TupleRead, u32>,
    pub(super) ways: Vec<Way>,
    /// Nodes to expand.
    frontier: Vec<u32>,
    /// Look-ups that nobody has taken yet.
    open: Vec<u32>,
    /// Ways whose look-up was answered before they were met: they belong to the next level.
    answered: Vec<u32>,
    edges: usize,
}

/// A kind of subjects that is asked for, and where such can be found.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) kind: SubjectKind,
    reach: Arc<Reach>,
}

/// A relation of an object.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) object: Object,
    pub(super) relation: Text,
    depth: usize,
    /// None where it lies too deep.
    pub(super) expr: Option<Expr>,
    /// Nodes that are made of it.
    pub(super) parents: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Read {
    read: TupleRead,
    /// The ids that were found, each with whether it is known that it counts. A point finds an empty id.
    pub(super) found: Vec<(Text, bool)>,
    answered: bool,
    /// The ways that wait for it.
    ways: Vec<u32>,
}

/// What an enumeration leads to.
#[derive(Debug)]
pub(super) struct Way {
    read: u32,
    parent: u32,
    type_name: Text,
    relation: Text,
    /// Whether the children are the subjects that are written, and not those of a tupleset.
    pub(super) written: bool,
    pub(super) children: Vec<u32>,
    /// Children of which it is unknown whether they count.
    pub(super) unknown: Vec<u32>,
}

/// How a node follows from what was read and from other nodes.
#[derive(Debug)]
pub(super) enum Expr {
    Nobody,
    /// The subjects of a type that an enumeration found.
    Members {
        read: u32,
        type_name: Text,
    },
    /// All subjects of a type, where a point finds the wildcard.
    Everybody {
        read: u32,
        type_name: Text,
    },
    Way(u32),
    Node(u32),
    Any(Vec<Expr>),
    All(Vec<Expr>),
    Minus(Box<Expr>, Box<Expr>),
}

impl<'p> UserSearch<'p> {
    /// Begins: which subjects of these kinds are in `relation` to `object`?
    #[must_use]
    pub fn new(plan: &'p Plan, limits: Limits, object: &Object, relation: &Text, kinds: &[SubjectKind]) -> Self {
        let filters = kinds.iter().map(|kind| {
            // Whoever it is: what can be reached depends on the kind alone.
            let any = Object { type_name: kind.type_name.clone(), id: Text::from("") };
            let subject = match &kind.relation {
                Some(relation) => Subject::Userset { object: any, relation: relation.clone() },
                None => Subject::Object(any),
            };
            Filter { kind: kind.clone(), reach: plan.reach(&subject) }
        });
        let mut search = Self {
            plan,
            limits,
            filters: filters.collect(),
            nodes: Vec::new(),
            by_name: HashMap::new(),
            reads: Vec::new(),
            by_read: HashMap::new(),
            ways: Vec::new(),
            frontier: Vec::new(),
            open: Vec::new(),
            answered: Vec::new(),
            edges: 0,
        };
        search.add(object.clone(), relation.clone(), 0);
        search
    }

    /// Expands what was reached, and hands over the look-ups that this needs. Each must be answered. None where the search is over.
    ///
    /// # Errors
    /// Where the search grows past its bounds.
    pub fn take_reads(&mut self) -> Result<Vec<(UserRead, TupleRead)>, TooComplex> {
        loop {
            for way in std::mem::take(&mut self.answered) {
                self.follow(way)?;
            }
            while let Some(node) = self.frontier.pop() {
                self.expand(node)?;
            }
            if !self.open.is_empty() || self.answered.is_empty() {
                break;
            }
        }
        let open = std::mem::take(&mut self.open);
        Ok(open.into_iter().map(|read| (UserRead(read), self.reads[read as usize].read.clone())).collect())
    }

    fn expand(&mut self, node: u32) -> Result<(), TooComplex> {
        let (plan, Node { object, relation, .. }) = (self.plan, &self.nodes[node as usize]);
        let (object, relation) = (object.clone(), relation.clone());
        let expr = match plan.relation(&object.type_name, &relation) {
            Some(found) if self.can_reach(&object.type_name, &relation) => {
                self.expression(&found.step, node, &object, &relation)?
            }
            _ => Expr::Nobody,
        };
        self.nodes[node as usize].expr = Some(expr);
        Ok(())
    }

    /// Answers a look-up: the ids that were found, each with whether it is known that its relationship counts. To a point: one, whatever it is.
    ///
    /// # Errors
    /// Where too much was found.
    pub fn answer(&mut self, read: UserRead, found: Vec<(Text, bool)>) -> Result<(), TooComplex> {
        let slot = &mut self.reads[read.0 as usize];
        slot.found = found;
        slot.answered = true;
        let count = slot.found.len();
        let ways = slot.ways.clone();
        self.count_edges(count)?;
        ways.into_iter().try_for_each(|way| self.follow(way))
    }

    /// Enters what took part into an account: every object and every subject that was met, and the cache types of decisions about such objects.
    pub fn enter(&self, account: &mut Account, part_types: impl Fn(&str) -> TypeSet) {
        for node in self.nodes.iter().skip(1) {
            account.entity(&node.object);
            account.types(part_types(&node.object.type_name));
        }
        let enumerated = self.reads.iter().filter_map(|read| match &read.read {
            TupleRead::Enumerate { kind, .. } if kind.relation.is_none() => Some((&kind.type_name, &read.found)),
            _ => None,
        });
        for (type_name, found) in enumerated {
            for (id, _) in found {
                account.entity(&Object { type_name: type_name.clone(), id: id.clone() });
            }
        }
    }

    /// Whether subjects of a kind can be found in a relation at all.
    pub(super) fn reaches(&self, filter: &Filter, node: &Node) -> bool {
        let relation = self.plan.relation(&node.object.type_name, &node.relation);
        relation.is_some_and(|relation| filter.reach.contains(relation.index))
    }

    /// The number of a node's relation in the model.
    pub(super) fn relation_index(&self, node: &Node) -> Option<u32> {
        self.plan.relation(&node.object.type_name, &node.relation).map(|relation| relation.index)
    }

    fn can_reach(&self, type_name: &str, relation: &str) -> bool {
        let relation = self.plan.relation(type_name, relation);
        relation.is_some_and(|relation| self.filters.iter().any(|filter| filter.reach.contains(relation.index)))
    }

    fn expression(&mut self, step: &Step, node: u32, object: &Object, relation: &Text) -> Result<Expr, TooComplex> {
        Ok(match step {
            Step::Direct { objects, wildcards, usersets } => {
                let asked = self.filters.iter().filter(|filter| filter.kind.relation.is_none());
                let asked: Vec<Text> = asked.map(|filter| filter.kind.type_name.clone()).collect();
                let mut parts = Vec::new();
                for type_name in asked {
                    if objects.contains(&type_name) {
                        let kind = SubjectKind { type_name: type_name.clone(), relation: None };
                        let read = self.read(enumeration(object, relation, &kind))?;
                        parts.push(Expr::Members { read, type_name: type_name.clone() });
                    }
                    if wildcards.contains(&type_name) {
                        let subject = Subject::Wildcard { type_name: type_name.clone() };
                        let tuple = Tuple { object: object.clone(), relation: relation.clone(), subject };
                        let read = self.read(TupleRead::Point(tuple))?;
                        parts.push(Expr::Everybody { read, type_name });
                    }
                }
                for (kind, name) in usersets {
                    if self.can_reach(&kind.type_name, name) {
                        parts.push(self.way(node, enumeration(object, relation, kind), &kind.type_name, name, true)?);
                    }
                }
                Expr::Any(parts)
            }
            Step::Computed(name) => {
                let depth = self.nodes[node as usize].depth;
                let child = self.add(object.clone(), name.clone(), depth);
                self.check_size()?;
                self.nodes[child as usize].parents.push(node);
                Expr::Node(child)
            }
            Step::TupleToUserset { tupleset, kinds, computed } => {
                let mut parts = Vec::new();
                for kind in kinds {
                    if self.can_reach(&kind.type_name, computed) {
                        parts.push(self.way(
                            node,
                            enumeration(object, tupleset, kind),
                            &kind.type_name,
                            computed,
                            false,
                        )?);
                    }
                }
                Expr::Any(parts)
            }
            Step::Any(steps) => Expr::Any(self.expressions(steps, node, object, relation)?),
            Step::All(steps) => Expr::All(self.expressions(steps, node, object, relation)?),
            Step::Minus(base, subtract) => Expr::Minus(
                Box::new(self.expression(base, node, object, relation)?),
                Box::new(self.expression(subtract, node, object, relation)?),
            ),
        })
    }

    fn expressions(
        &mut self,
        steps: &[Step],
        node: u32,
        object: &Object,
        relation: &Text,
    ) -> Result<Vec<Expr>, TooComplex> {
        steps.iter().map(|step| self.expression(step, node, object, relation)).collect()
    }

    fn way(
        &mut self,
        parent: u32,
        read: TupleRead,
        type_name: &Text,
        relation: &Text,
        written: bool,
    ) -> Result<Expr, TooComplex> {
        let read = self.read(read)?;
        let way = self.ways.len() as u32;
        self.ways.push(Way {
            read,
            parent,
            type_name: type_name.clone(),
            relation: relation.clone(),
            written,
            children: Vec::new(),
            unknown: Vec::new(),
        });
        self.reads[read as usize].ways.push(way);
        if self.reads[read as usize].answered {
            self.answered.push(way);
        }
        Ok(Expr::Way(way))
    }

    fn read(&mut self, read: TupleRead) -> Result<u32, TooComplex> {
        if let Some(known) = self.by_read.get(&read) {
            return Ok(*known);
        }
        if self.reads.len() >= self.limits.max_reads {
            return Err(TooComplex { what: "the number of look-ups", max: self.limits.max_reads });
        }
        let id = self.reads.len() as u32;
        self.by_read.insert(read.clone(), id);
        self.reads.push(Read { read, found: Vec::new(), answered: false, ways: Vec::new() });
        self.open.push(id);
        Ok(id)
    }

    /// Reaches what an answered enumeration leads to.
    fn follow(&mut self, way: u32) -> Result<(), TooComplex> {
        let Way { read, parent, type_name, relation, .. } = &self.ways[way as usize];
        let (read, parent, type_name, relation) = (*read, *parent, type_name.clone(), relation.clone());
        let found = std::mem::take(&mut self.reads[read as usize].found);
        let depth = self.nodes[parent as usize].depth + 1;
        self.count_edges(found.len())?;
        for (id, known) in &found {
            let object = Object { type_name: type_name.clone(), id: id.clone() };
            let child = self.add(object, relation.clone(), depth);
            self.check_size()?;
            self.nodes[child as usize].parents.push(parent);
            let way = &mut self.ways[way as usize];
            if *known { way.children.push(child) } else { way.unknown.push(child) }
        }
        self.reads[read as usize].found = found;
        Ok(())
    }

    /// A node. Nodes are met level by level, so that the first way to one is the shortest.
    fn add(&mut self, object: Object, relation: Text, depth: usize) -> u32 {
        let next = self.nodes.len() as u32;
        let id = *self.by_name.entry((object.clone(), relation.clone())).or_insert(next);
        if id == next {
            self.nodes.push(Node { object, relation, depth, expr: None, parents: Vec::new() });
            if depth <= self.limits.max_depth {
                self.frontier.push(id);
            }
        }
        id
    }

    fn check_size(&self) -> Result<(), TooComplex> {
        if self.nodes.len() > self.limits.max_nodes {
            return Err(TooComplex { what: "the number of objects on the way", max: self.limits.max_nodes });
        }
        Ok(())
    }

    fn count_edges(&mut self, count: usize) -> Result<(), TooComplex> {
        self.edges += count;
        if self.edges > self.limits.max_edges {
            return Err(TooComplex { what: "the number of links between objects", max: self.limits.max_edges });
        }
        Ok(())
    }
}

fn enumeration(object: &Object, relation: &Text, kind: &SubjectKind) -> TupleRead {
    TupleRead::Enumerate { object: object.clone(), relation: relation.clone(), kind: kind.clone() }
}
