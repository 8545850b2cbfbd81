//! Justification: what an answer rests on.
//!
//! The read set of a node is what its value rests on: for a true union one true branch, for a false one all; for an intersection the
//! other way round; for `a but not b` the branches that decide. A branch that became known later than the node may itself rest on the node, so that a
//! justification only ever goes to what was known before: it has no circles.

use std::collections::HashSet;

use super::expression::Expr;
use super::{Graph, NodeId, ReadId, State};
use crate::evaluate::account::Account;
use crate::evaluate::judge::{Finding, Judged};
use crate::evaluate::tags;
use cache_core::{Mistake, Moment, ReadSet, Stamp, TypeSet, planted};

/// What a value rests on.
#[derive(Clone, Debug)]
pub struct Justified {
    /// Whether the subject is in the relation.
    pub allowed: bool,
    /// The lowest stamp of what it rests on; none where it rests on the model alone.
    pub stamp: Option<Stamp>,
    /// The earliest end of what it rests on.
    pub hard_expiry: Moment,
    /// The read set, coarsened where it was too large.
    pub read_set: ReadSet,
    /// The cache types of its parts.
    pub types: TypeSet,
}

impl Graph<'_> {
    /// What the value of a known node rests on. None for a node that is not known.
    /// `part_types` tells the cache type of decisions about a type of objects: an invalidation by type reaches what went through such
    /// objects, whether their decisions came from a cache or were computed on the way.
    #[must_use]
    pub fn justify(&self, node: NodeId, part_types: impl Fn(&str) -> TypeSet) -> Option<Justified> {
        let mut account = Account::new(self.store, self.limits.max_read_set);
        let allowed = self.justify_into(node, &mut account, part_types)?;
        Some(Justified {
            allowed,
            stamp: account.stamp(),
            hard_expiry: account.hard_expiry(),
            types: account.all_types(),
            read_set: account.read_set(),
        })
    }

    /// As [`Self::justify`], into the account of whatever rests on the node; its value.
    pub fn justify_into(
        &self,
        node: NodeId,
        collected: &mut Account,
        part_types: impl Fn(&str) -> TypeSet,
    ) -> Option<bool> {
        let allowed = self.value(node)?;
        let mut seen = HashSet::new();
        let mut work = vec![node];
        let origin = &self.nodes[node.0 as usize].object;
        while let Some(id) = work.pop() {
            if !seen.insert(id) {
                continue;
            }
            let visited = &self.nodes[id.0 as usize];
            if visited.object != *origin {
                collected.entity(&visited.object);
                collected.types(part_types(&visited.object.type_name));
            }
            match (&visited.state, &visited.provenance) {
                (State::Given, Some(provenance)) => collected.part(provenance),
                (State::Expanded(expr), _) => {
                    let Some(value) = visited.value else { continue };
                    self.collect(expr, value, visited.known_at, collected, &mut work);
                }
                _ => {}
            }
        }
        Some(allowed)
    }

    /// Collects what makes `expr` have `value`.
    fn collect(&self, expr: &Expr, value: bool, before: u32, into: &mut Account, work: &mut Vec<NodeId>) {
        match expr {
            Expr::Const(_) => {}
            Expr::Read(read) => {
                self.collect_read(*read, into);
                if let Some(Judged { finding: Finding::Point { until, .. }, .. }) = &self.reads[read.0 as usize].answer
                {
                    into.end_by(*until);
                }
            }
            Expr::Node(child) => work.push(*child),
            Expr::Through { read, links, .. } => {
                if value || !planted(Mistake::FoundOnly) {
                    self.collect_read(*read, into);
                }
                let mut met = links.iter().flat_map(|links| &links.met);
                if value {
                    if let Some((child, until)) = met.find(|(child, _)| self.node_was(*child, before) == Some(true)) {
                        work.push(*child);
                        into.end_by(*until);
                    }
                } else {
                    // A link that ends leads nowhere; one that begins may.
                    work.extend(met.map(|(child, _)| *child));
                    if let Some(Judged { finding: Finding::Members { unmet_until, .. }, .. }) =
                        &self.reads[read.0 as usize].answer
                    {
                        into.end_by(*unmet_until);
                    }
                }
            }
            Expr::Any(parts) if value => {
                if let Some(part) = self.cheapest(parts, true, before) {
                    self.collect(part, true, before, into, work);
                }
            }
            Expr::All(parts) if !value => {
                if let Some(part) = self.cheapest(parts, false, before) {
                    self.collect(part, false, before, into, work);
                }
            }
            Expr::Any(parts) | Expr::All(parts) => {
                for part in parts {
                    self.collect(part, value, before, into, work);
                }
            }
            Expr::Minus(base, subtract) if value => {
                self.collect(base, true, before, into, work);
                if !planted(Mistake::PositiveSideOnly) {
                    self.collect(subtract, false, before, into, work);
                }
            }
            Expr::Minus(base, subtract) => {
                if self.was(base, before) == Some(false) {
                    self.collect(base, false, before, into, work);
                } else {
                    self.collect(subtract, true, before, into, work);
                }
            }
        }
    }

    /// One branch that decides; a plain read before a way through other objects, because it has the smaller read set.
    fn cheapest<'e>(&self, parts: &'e [Expr], value: bool, before: u32) -> Option<&'e Expr> {
        let mut deciding = parts.iter().filter(|part| self.was(part, before) == Some(value));
        let first = deciding.next()?;
        if matches!(first, Expr::Read(_) | Expr::Const(_)) {
            return Some(first);
        }
        Some(deciding.find(|part| matches!(part, Expr::Read(_) | Expr::Const(_))).unwrap_or(first))
    }

    fn collect_read(&self, id: ReadId, into: &mut Account) {
        let read = &self.reads[id.0 as usize];
        let found = read.answer.as_ref().is_some_and(Judged::is_found);
        if found || !planted(Mistake::FoundOnly) {
            into.read(&read.read);
        }
        if let Some(provenance) = &read.provenance {
            into.part(provenance);
        }
        if read.answer.as_ref().is_some_and(|answer| answer.read_properties) {
            for (tag, provenance) in &self.properties {
                into.tag(*tag, tags::all_properties(self.store));
                into.part(provenance);
            }
        }
    }
}
