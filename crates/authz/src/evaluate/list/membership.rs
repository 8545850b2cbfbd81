//! Who is in, once everything is read: the values of all nodes for all subjects at once.
//!
//! The subjects that were met are numbered. Each node has the set of those that are in and of those that are not; who is in neither is unknown, by Kleene's
//! logic, as in a check: the least fixpoint, in which nodes that wait for one another in a circle stay unknown.
//!
//! Where everybody is in, naming everybody would be no list: see [`super::mention`].

use std::collections::{HashMap, VecDeque};

use super::bits::Bits;
use super::users::{Expr, UserSearch, Way};
use crate::evaluate::TooComplex;
use crate::relation::{Subject, SubjectKind, Text};

/// The most nodes times subjects of one list. Three sets of so many bits: 24 MiB.
const MAX_CELLS: usize = 1 << 26;
/// The most words of sets that one computation goes through, some of them many times: about a tenth of a second.
const MAX_WORK: usize = 1 << 26;

/// Who was met, and who of them is in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members {
    /// Those that are in, and mentioned.
    pub sure: Vec<Subject>,
    /// Those of which it is unknown whether they are in, and who would be mentioned if they were: a check says what comes of them.
    pub unknown: Vec<Subject>,
}

impl UserSearch<'_> {
    /// Who is in the relation, once nothing is left to read.
    ///
    /// # Errors
    /// Where there are too many objects and subjects.
    pub fn members(&self) -> Result<Members, TooComplex> {
        let mut values = Values::new(self)?;
        values.settle()?;
        let size = values.subjects.len();
        let Some(root) = values.nodes.first() else { return Ok(Members::default()) };
        // Whoever stands behind what lies too deep was not met: whether they are in is as unknown as it is of the strangers.
        let is_open = |stranger: &u32| !root.is_in.iter().chain(root.is_out.iter()).any(|known| known == *stranger);
        if search_is_cut(self) && values.strangers.iter().any(is_open) {
            return Err(TooComplex { what: "the depth", max: self.limits.max_depth });
        }
        let mut unknown = Bits::all(size);
        unknown.take(&root.is_in);
        unknown.take(&root.is_out);
        let mut sure = root.is_in.clone();
        sure.keep(&values.mentioned(false)?);
        if !unknown.is_empty() {
            unknown.keep(&values.mentioned(true)?);
        }
        let strangers = &values.strangers;
        let met = |numbers: &Bits| numbers.iter().filter(|at| !strangers.contains(at)).collect::<Vec<_>>();
        let subjects =
            |numbers: &Bits| met(numbers).into_iter().map(|at| values.subjects[at as usize].clone()).collect();
        Ok(Members { sure: subjects(&sure), unknown: subjects(&unknown) })
    }
}

/// Whether anything that was reached lies too deep.
fn search_is_cut(search: &UserSearch<'_>) -> bool {
    search.nodes.iter().any(|node| node.expr.is_none())
}

/// The two sets of a node, or of a part of its expression.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) is_in: Bits,
    pub(super) is_out: Bits,
}

pub(super) struct Values<'s, 'p> {
    pub(super) search: &'s UserSearch<'p>,
    /// Everybody who was met, by number.
    pub(super) subjects: Vec<Subject>,
    pub(super) numbers: HashMap<Subject, u32>,
    /// One of each kind that is asked for, whom no relationship names: they stand for all who were not met.
    strangers: Vec<u32>,
    /// Of each type that is asked for: its subjects and its wildcard.
    of_type: HashMap<Text, Bits>,
    /// For each node the number of its own userset, where such are asked for.
    pub(super) own: Vec<Option<u32>>,
    /// For each node who can be found there at all.
    reachable: Vec<usize>,
    masks: Vec<Bits>,
    nodes: Vec<Sides>,
    work: usize,
}

impl<'s, 'p> Values<'s, 'p> {
    fn new(search: &'s UserSearch<'p>) -> Result<Self, TooComplex> {
        let mut values = Self {
            search,
            subjects: Vec::new(),
            numbers: HashMap::new(),
            strangers: Vec::new(),
            of_type: HashMap::new(),
            own: Vec::new(),
            reachable: Vec::new(),
            masks: Vec::new(),
            nodes: Vec::new(),
            work: 0,
        };
        for node in &search.nodes {
            let (object, relation) = (node.object.clone(), node.relation.clone());
            let kind = SubjectKind { type_name: object.type_name.clone(), relation: Some(relation.clone()) };
            let asked = search.filters.iter().any(|filter| filter.kind == kind);
            let own = asked.then(|| values.number(Subject::Userset { object, relation }));
            values.own.push(own);
            if let Some(expr) = &node.expr {
                values.meet(expr);
            }
        }
        for filter in &search.filters {
            // No checked id is empty.
            let nobody = crate::relation::Object { type_name: filter.kind.type_name.clone(), id: Text::from("") };
            let stranger = match &filter.kind.relation {
                Some(relation) => Subject::Userset { object: nobody, relation: relation.clone() },
                None => Subject::Object(nobody),
            };
            let stranger = values.number(stranger);
            values.strangers.push(stranger);
        }
        let size = values.subjects.len();
        if size.saturating_mul(search.nodes.len()) > MAX_CELLS {
            return Err(TooComplex { what: "the number of objects times the number of subjects", max: MAX_CELLS });
        }
        values.mask();
        values.nodes = vec![Sides { is_in: Bits::none(size), is_out: Bits::none(size) }; search.nodes.len()];
        Ok(values)
    }

    fn number(&mut self, subject: Subject) -> u32 {
        let next = self.subjects.len() as u32;
        let number = *self.numbers.entry(subject.clone()).or_insert(next);
        if number == next {
            self.subjects.push(subject);
        }
        number
    }

    /// Numbers the subjects of an expression.
    fn meet(&mut self, expr: &Expr) {
        let search = self.search;
        match expr {
            Expr::Members { read, type_name } => {
                for (id, _) in &search.reads[*read as usize].found {
                    self.number(object(type_name, id));
                }
            }
            Expr::Everybody { read, type_name } => {
                if !search.reads[*read as usize].found.is_empty() {
                    self.number(Subject::Wildcard { type_name: type_name.clone() });
                }
            }
            Expr::Any(parts) | Expr::All(parts) => parts.iter().for_each(|part| self.meet(part)),
            Expr::Minus(base, subtract) => {
                self.meet(base);
                self.meet(subtract);
            }
            Expr::Nobody | Expr::Way(_) | Expr::Node(_) => {}
        }
    }

    /// Works out who can be found where at all: nobody else is in, whatever waits for whatever.
    fn mask(&mut self) {
        let (search, size) = (self.search, self.subjects.len());
        let mut of_kind: Vec<Bits> = vec![Bits::none(size); search.filters.len()];
        for (at, subject) in self.subjects.iter().enumerate() {
            let kind = subject.kind();
            for (filter, bits) in search.filters.iter().zip(&mut of_kind) {
                if filter.kind == kind {
                    bits.insert(at as u32);
                }
            }
        }
        for (filter, bits) in search.filters.iter().zip(&of_kind) {
            if filter.kind.relation.is_none() {
                self.of_type.insert(filter.kind.type_name.clone(), bits.clone());
            }
        }
        let mut known: HashMap<Option<u32>, usize> = HashMap::new();
        for node in &search.nodes {
            let mask = *known.entry(search.relation_index(node)).or_insert_with(|| {
                let mut mask = Bits::none(size);
                for (filter, bits) in search.filters.iter().zip(&of_kind) {
                    if search.reaches(filter, node) {
                        mask.add(bits);
                    }
                }
                self.masks.push(mask);
                self.masks.len() - 1
            });
            self.reachable.push(mask);
        }
    }

    pub(super) fn count(&mut self, sets: usize) -> Result<(), TooComplex> {
        self.work += sets * Bits::words(self.subjects.len()).max(1);
        if self.work > MAX_WORK {
            return Err(TooComplex { what: "the work of finding out who is in", max: MAX_WORK });
        }
        Ok(())
    }

    /// Computes the nodes, the deepest first, until nothing becomes known any more.
    fn settle(&mut self) -> Result<(), TooComplex> {
        let search = self.search;
        let mut queue = Queue::new(search.nodes.len());
        while let Some(at) = queue.take() {
            let sides = self.node(at)?;
            if sides != self.nodes[at as usize] {
                self.nodes[at as usize] = sides;
                queue.add(&search.nodes[at as usize].parents);
            }
        }
        Ok(())
    }

    fn node(&mut self, at: u32) -> Result<Sides, TooComplex> {
        let (search, size) = (self.search, self.subjects.len());
        let node = &search.nodes[at as usize];
        let mut sides = match &node.expr {
            Some(expr) => self.sides(expr)?,
            // It lies too deep: nothing is known but what the model rules out.
            None => Sides { is_in: Bits::none(size), is_out: Bits::none(size) },
        };
        let mask = &self.masks[self.reachable[at as usize]];
        let mut unreachable = Bits::all(size);
        unreachable.take(mask);
        sides.is_in.keep(mask);
        sides.is_out.add(&unreachable);
        // A userset is in its own relation.
        if let (Some(own), Some(_)) = (self.own[at as usize], &node.expr) {
            sides.is_in.insert(own);
            sides.is_out.remove(own);
        }
        Ok(sides)
    }

    /// The usersets that are themselves written on a way, each with whether it is known that it counts.
    pub(super) fn written<'w>(&'w self, way: &'w Way) -> impl Iterator<Item = (u32, bool)> {
        let children = way.children.iter().map(|child| (child, true));
        let children = children.chain(way.unknown.iter().map(|child| (child, false))).filter(|_| way.written);
        children.filter_map(|(child, known)| Some((self.own[*child as usize]?, known)))
    }

    pub(super) fn sides(&mut self, expr: &Expr) -> Result<Sides, TooComplex> {
        self.count(1)?;
        let (search, size) = (self.search, self.subjects.len());
        let nobody = || Sides { is_in: Bits::none(size), is_out: Bits::all(size) };
        Ok(match expr {
            Expr::Nobody => nobody(),
            Expr::Members { read, type_name } => {
                let mut sides = nobody();
                for (id, known) in &search.reads[*read as usize].found {
                    let Some(number) = self.numbers.get(&object(type_name, id)) else { continue };
                    sides.is_out.remove(*number);
                    if *known {
                        sides.is_in.insert(*number);
                    }
                }
                sides
            }
            Expr::Everybody { read, type_name } => {
                let mut sides = nobody();
                if let (Some((_, known)), Some(everybody)) =
                    (search.reads[*read as usize].found.first(), self.of_type.get(type_name))
                {
                    sides.is_out.take(everybody);
                    if *known {
                        sides.is_in.add(everybody);
                    }
                }
                sides
            }
            Expr::Way(way) => {
                let way = &search.ways[*way as usize];
                self.count(way.children.len() + way.unknown.len())?;
                let mut sides = nobody();
                for child in &way.children {
                    sides.is_in.add(&self.nodes[*child as usize].is_in);
                    sides.is_out.keep(&self.nodes[*child as usize].is_out);
                }
                for child in &way.unknown {
                    sides.is_out.keep(&self.nodes[*child as usize].is_out);
                }
                for (own, known) in self.written(way) {
                    sides.is_out.remove(own);
                    if known {
                        sides.is_in.insert(own);
                    }
                }
                sides
            }
            Expr::Node(child) => self.nodes[*child as usize].clone(),
            Expr::Any(parts) => {
                let parts = parts.iter().map(|part| self.sides(part)).collect::<Result<_, _>>()?;
                Sides::any(parts, size)
            }
            Expr::All(parts) => {
                let parts = parts.iter().map(|part| self.sides(part)).collect::<Result<_, _>>()?;
                Sides::all(parts, size)
            }
            Expr::Minus(base, subtract) => self.sides(base)?.minus(&self.sides(subtract)?),
        })
    }
}

impl Sides {
    pub(super) fn any(parts: Vec<Self>, size: usize) -> Self {
        let mut sides = Self { is_in: Bits::none(size), is_out: Bits::all(size) };
        for Self { is_in, is_out } in parts {
            sides.is_in.add(&is_in);
            sides.is_out.keep(&is_out);
        }
        sides
    }

    pub(super) fn all(parts: Vec<Self>, size: usize) -> Self {
        let mut sides = Self { is_in: Bits::all(size), is_out: Bits::none(size) };
        for Self { is_in, is_out } in parts {
            sides.is_in.keep(&is_in);
            sides.is_out.add(&is_out);
        }
        sides
    }

    pub(super) fn minus(mut self, subtract: &Self) -> Self {
        self.is_in.keep(&subtract.is_out);
        self.is_out.add(&subtract.is_in);
        self
    }
}

/// Nodes whose values must be computed anew, each once, the deepest ones first.
pub(super) struct Queue {
    queue: VecDeque<u32>,
    queued: Vec<bool>,
}

impl Queue {
    pub(super) fn new(nodes: usize) -> Self {
        Self { queue: (0..nodes as u32).rev().collect(), queued: vec![true; nodes] }
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        let at = self.queue.pop_front()?;
        self.queued[at as usize] = false;
        Some(at)
    }

    pub(super) fn add(&mut self, nodes: &[u32]) {
        for at in nodes {
            if !std::mem::replace(&mut self.queued[*at as usize], true) {
                self.queue.push_back(*at);
            }
        }
    }
}

fn object(type_name: &Text, id: &Text) -> Subject {
    Subject::Object(crate::relation::Object { type_name: type_name.clone(), id: id.clone() })
}
