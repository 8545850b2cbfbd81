//! The search backwards: from a subject to the objects of a type that it is in a relation to.
//!
//! A node is a relation of an object that the subject may be in. The search begins where the subject is written, and follows the model's links
//! backwards, as far as they can lead to the wanted relation; all look-ups of a level go to the origin together.
//!
//! **Sure or candidate.** A node is *sure* where unions and met conditions alone lead to it, within the depth that a check goes to. Any other
//! node is a candidate: it is in if a check says so. Every object that a check allows is found in one way or the other, because whoever is let in comes by a
//! link. A sure node is never taken back, and a candidate that turns out to be sure is looked at again.
//!
//! **Bounds.** Each relation of an object is looked at once, and once more for each shorter sure way to it; look-ups and links are counted.

use std::collections::HashMap;

use crate::evaluate::plan::{Backward, By, Plan, Reach};
use crate::evaluate::{Account, Limits, TooComplex};
use crate::relation::{Object, Subject, Text};
use crate::store::TupleRead;
use cache_core::TypeSet;

/// Identifies a look-up of one search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SearchRead(u32);

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The ids of objects that the subject is in the relation to.
    pub sure: Vec<Text>,
    /// The ids of those for which a check must say so.
    pub candidates: Vec<Text>,
}

/// One search.
#[derive(Debug)]
pub struct ObjectSearch<'p> {
    backward: &'p Backward,
    limits: Limits,
    /// The relation that is wanted; none where the model has no such relation.
    target: Option<u32>,
    /// The relations that can lead to it.
    leading: Reach,
    nodes: Vec<Node>,
    by_name: HashMap<(u32, Text), u32>,
    asks: Vec<Ask>,
    reads: Vec<Read>,
    by_read: HashMap<TupleRead, u32>,
    /// Nodes to look at, or to look at again.
    frontier: Vec<u32>,
    /// Look-ups that nobody has taken yet.
    open: Vec<u32>,
    /// How many nodes lead on to others.
    looked_at: usize,
    edges: usize,
}

#[derive(Debug)]
struct Node {
    relation: u32,
    id: Text,
    /// How many objects in a row there are on the shortest sure way; none while there is no sure way.
    sure_at: Option<usize>,
    /// What it asks, once it was looked at.
    asks: Option<Vec<u32>>,
}

/// What a look-up is asked for: whatever is found leads to a relation.
#[derive(Debug)]
struct Ask {
    read: u32,
    /// The node that leads on; none where the subject itself does.
    from: Option<u32>,
    to: u32,
    sure: bool,
}

#[derive(Debug)]
struct Read {
    read: TupleRead,
    asks: Vec<u32>,
    /// The ids that were found, each with whether its condition is known to be met.
    found: Option<Vec<(Text, bool)>>,
}

impl<'p> ObjectSearch<'p> {
    /// Begins: to which objects of a type is `subject` in `relation`?
    ///
    /// # Errors
    /// Where it would ask more than it may from the start.
    pub fn new(
        plan: &'p Plan,
        limits: Limits,
        subject: &Subject,
        object_type: &str,
        relation: &str,
    ) -> Result<Self, TooComplex> {
        let backward = plan.backward();
        let target = plan.relation(object_type, relation).map(|relation| relation.index);
        let mut search = Self {
            backward,
            limits,
            target,
            leading: target.map(|target| backward.leading_to(target)).unwrap_or_default(),
            nodes: Vec::new(),
            by_name: HashMap::new(),
            asks: Vec::new(),
            reads: Vec::new(),
            by_read: HashMap::new(),
            frontier: Vec::new(),
            open: Vec::new(),
            looked_at: 0,
            edges: 0,
        };
        for (subject, to, sure) in backward.written(subject) {
            if search.leading.contains(to) {
                let (object_type, relation) = backward.name(to).clone();
                search.ask(TupleRead::Reverse { subject, object_type, relation }, None, to, sure)?;
            }
        }
        // A userset contains itself.
        if let Subject::Userset { object, relation } = subject
            && let Some(own) = plan.relation(&object.type_name, relation)
            && search.leading.contains(own.index)
        {
            search.reach(own.index, object.id.clone(), Some(0));
        }
        Ok(search)
    }

    /// Looks at what was reached, and hands over the look-ups that this needs. Each must be answered. None where the search is over.
    ///
    /// # Errors
    /// Where the search grows past its bounds.
    pub fn take_reads(&mut self) -> Result<Vec<(SearchRead, TupleRead)>, TooComplex> {
        while let Some(node) = self.frontier.pop() {
            self.look_at(node)?;
        }
        let open = std::mem::take(&mut self.open);
        Ok(open.into_iter().map(|read| (SearchRead(read), self.reads[read as usize].read.clone())).collect())
    }

    /// Answers a look-up: the ids that were found under no condition, under one that is met, or (those are not sure) under one of which that is unknown.
    ///
    /// # Errors
    /// Where too much was found.
    pub fn answer(&mut self, read: SearchRead, found: Vec<(Text, bool)>) -> Result<(), TooComplex> {
        let slot = &mut self.reads[read.0 as usize];
        slot.found = Some(found);
        for ask in slot.asks.clone() {
            self.follow(ask)?;
        }
        Ok(())
    }

    /// What was found, once nothing is left to read.
    #[must_use]
    pub fn found(&self) -> Found {
        let mut found = Found::default();
        for node in self.nodes.iter().filter(|node| Some(node.relation) == self.target) {
            let into = if node.sure_at.is_some() { &mut found.sure } else { &mut found.candidates };
            into.push(node.id.clone());
        }
        found
    }

    /// Enters what took part into an account: every object that was reached, and the cache types of decisions about such objects.
    pub fn enter(&self, account: &mut Account, part_types: impl Fn(&str) -> TypeSet) {
        let mut entered = vec![false; self.backward.len()];
        for node in &self.nodes {
            let type_name = &self.backward.name(node.relation).0;
            account.entity(&Object { type_name: type_name.clone(), id: node.id.clone() });
            if !std::mem::replace(&mut entered[node.relation as usize], true) {
                account.types(part_types(type_name));
            }
        }
    }

    fn look_at(&mut self, id: u32) -> Result<(), TooComplex> {
        let asked = match self.nodes[id as usize].asks.clone() {
            Some(asked) => asked,
            None => self.ask_onward(id)?,
        };
        // What is answered already is followed at once: again, where the node has become sure, or is nearer than before.
        for ask in asked {
            self.follow(ask)?;
        }
        let (relation, backward) = (self.nodes[id as usize].relation, self.backward);
        for link in backward.links(relation) {
            if matches!(link.by, By::Itself) && self.leading.contains(link.to) {
                self.count_edges(1)?;
                let node = &self.nodes[id as usize];
                let (name, sure_at) = (node.id.clone(), node.sure_at.filter(|_| link.sure));
                self.reach(link.to, name, sure_at);
            }
        }
        Ok(())
    }

    /// Asks for whatever the members of a node lead to.
    fn ask_onward(&mut self, id: u32) -> Result<Vec<u32>, TooComplex> {
        let (relation, backward) = (self.nodes[id as usize].relation, self.backward);
        let (type_name, name) = backward.name(relation);
        let object = Object { type_name: type_name.clone(), id: self.nodes[id as usize].id.clone() };
        let mut asked = Vec::new();
        for link in backward.links(relation) {
            if !self.leading.contains(link.to) {
                continue;
            }
            let (object_type, written) = backward.name(link.to).clone();
            let read = match &link.by {
                By::Itself => continue,
                By::Userset => TupleRead::Reverse {
                    subject: Subject::Userset { object: object.clone(), relation: name.clone() },
                    object_type,
                    relation: written,
                },
                By::Tupleset(tupleset) => TupleRead::Reverse {
                    subject: Subject::Object(object.clone()),
                    object_type,
                    relation: tupleset.clone(),
                },
            };
            asked.push(self.ask(read, Some(id), link.to, link.sure)?);
        }
        if !asked.is_empty() {
            self.looked_at += 1;
            if self.looked_at > self.limits.max_nodes {
                return Err(TooComplex { what: "the number of objects on the way", max: self.limits.max_nodes });
            }
        }
        self.nodes[id as usize].asks = Some(asked.clone());
        Ok(asked)
    }

    fn ask(&mut self, read: TupleRead, from: Option<u32>, to: u32, sure: bool) -> Result<u32, TooComplex> {
        let known = self.by_read.get(&read).copied();
        let id = match known {
            Some(id) => id,
            None => {
                if self.reads.len() >= self.limits.max_reads {
                    return Err(TooComplex { what: "the number of look-ups", max: self.limits.max_reads });
                }
                let id = self.reads.len() as u32;
                self.by_read.insert(read.clone(), id);
                self.reads.push(Read { read, asks: Vec::new(), found: None });
                self.open.push(id);
                id
            }
        };
        let ask = self.asks.len() as u32;
        self.asks.push(Ask { read: id, from, to, sure });
        self.reads[id as usize].asks.push(ask);
        Ok(ask)
    }

    /// Reaches what an ask has found; nothing while it is not answered.
    fn follow(&mut self, ask: u32) -> Result<(), TooComplex> {
        let Ask { read, from, to, sure } = self.asks[ask as usize];
        let Some(found) = self.reads[read as usize].found.take() else { return Ok(()) };
        let sure_at = match from {
            None => Some(0),
            Some(from) => self.nodes[from as usize].sure_at.map(|at| at + 1),
        };
        let sure_at = sure_at.filter(|_| sure);
        let counted = self.count_edges(found.len());
        if counted.is_ok() {
            for (id, met) in &found {
                self.reach(to, id.clone(), sure_at.filter(|_| *met));
            }
        }
        self.reads[read as usize].found = Some(found);
        counted
    }

    fn count_edges(&mut self, count: usize) -> Result<(), TooComplex> {
        self.edges += count;
        if self.edges > self.limits.max_edges {
            return Err(TooComplex { what: "the number of links between objects", max: self.limits.max_edges });
        }
        Ok(())
    }

    /// Notes a way to a node. It is looked at where it is new, or surer or nearer than it was.
    fn reach(&mut self, relation: u32, id: Text, sure_at: Option<usize>) {
        // A check does not go further.
        let sure_at = sure_at.filter(|at| *at <= self.limits.max_depth);
        let next = self.nodes.len() as u32;
        let at = *self.by_name.entry((relation, id.clone())).or_insert(next);
        if at == next {
            self.nodes.push(Node { relation, id, sure_at, asks: None });
            self.frontier.push(at);
            return;
        }
        let node = &mut self.nodes[at as usize];
        if let Some(new) = sure_at
            && node.sure_at.is_none_or(|known| new < known)
        {
            node.sure_at = Some(new);
            self.frontier.push(at);
        }
    }
}
