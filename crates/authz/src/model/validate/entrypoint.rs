//! Somebody can stand in every relation.
//!
//! A relation has an entry point if its definition leads to single objects or to a wildcard of some type: directly, or by
//! another relation that has one. `a or b` needs one in either, `a and b` in both. So does `a but not b`: what nobody can stand
//! in can't be taken away from anything, so that the model says something else than was meant.
//!
//! This is a system of monotone equations over truth values, whose least solution is wanted. Every rewrite becomes a gate that
//! opens once enough of its inputs are open, and each opened gate is propagated once (Dowling and Gallier, "Linear-time
//! algorithms for testing the satisfiability of propositional Horn formulae", 1984). The work is linear in the model.

use std::collections::HashMap;

use super::{Index, Indexed};
use crate::model::error::{Faults, ModelError, ModelErrorKind};
use crate::model::{RestrictionTarget, Rewrite};

pub(super) fn check(index: &Index<'_>, faults: &mut Faults) {
    let mut circuit = Circuit::new(index);
    circuit.open_all();
    for (number, relation) in index.relations.iter().enumerate() {
        if circuit.gates[number].missing > 0 {
            faults.push(
                ModelError::new(
                    ModelErrorKind::NoEntrypoint,
                    format!(
                        "nobody can ever stand in {}: all of it, or one side of its `and` or `but not`, only leads back to itself",
                        relation.named()
                    ),
                    "let somebody be written directly, as in `[user]`, or add a relation that has such a list",
                )
                .of(relation.site),
            );
        }
    }
}

/// Gates, of which the first are the relations by their numbers.
struct Circuit<'i, 'm> {
    index: &'i Index<'m>,
    gates: Vec<Gate>,
    /// Gates that opened, but haven't told the gates behind them yet.
    opened: Vec<usize>,
}

struct Gate {
    /// How many more inputs must open.
    missing: usize,
    /// The gates that this one is an input of; one of them twice where it counts twice.
    behind: Vec<usize>,
}

impl<'i, 'm> Circuit<'i, 'm> {
    fn new(index: &'i Index<'m>) -> Self {
        let gates = index.relations.iter().map(|_| Gate { missing: 1, behind: Vec::new() }).collect();
        let mut circuit = Self { index, gates, opened: Vec::new() };
        for (number, relation) in index.relations.iter().enumerate() {
            if relation.faulty {
                // Its fault was told; that others depend on it is no fault of theirs.
                circuit.open(number);
            } else {
                let mut ways = HashMap::new();
                let rewrite = circuit.gate(relation, &relation.definition.rewrite, &mut ways);
                circuit.gates[rewrite].behind.push(number);
            }
        }
        circuit
    }

    /// The gate of a rewrite. `ways` holds the gates of the relation's leaves, because a definition may repeat them.
    fn gate<'r>(&mut self, of: &Indexed<'_>, rewrite: &'r Rewrite, ways: &mut HashMap<Leaf<'r>, usize>) -> usize {
        let (inputs, missing) = match rewrite {
            Rewrite::Union(operands) => (self.operands(of, operands, ways), 1),
            Rewrite::Intersection(operands) => (self.operands(of, operands, ways), operands.len()),
            Rewrite::Exclusion { base, subtract } => {
                (vec![self.gate(of, base, ways), self.gate(of, subtract, ways)], 2)
            }
            Rewrite::Direct => return self.leaf(Leaf::Direct, of, ways),
            Rewrite::Computed { relation } => return self.leaf(Leaf::Computed(relation), of, ways),
            Rewrite::TupleToUserset { tupleset, computed } => {
                return self.leaf(Leaf::From(tupleset, computed), of, ways);
            }
        };
        self.add(inputs, missing)
    }

    fn operands<'r>(
        &mut self,
        of: &Indexed<'_>,
        operands: &'r [Rewrite],
        ways: &mut HashMap<Leaf<'r>, usize>,
    ) -> Vec<usize> {
        operands.iter().map(|operand| self.gate(of, operand, ways)).collect()
    }

    fn leaf<'r>(&mut self, leaf: Leaf<'r>, of: &Indexed<'_>, ways: &mut HashMap<Leaf<'r>, usize>) -> usize {
        if let Some(&known) = ways.get(&leaf) {
            return known;
        }
        let (inputs, missing) = match leaf {
            Leaf::Direct => {
                let restrictions = &of.definition.restrictions;
                let usersets = restrictions.iter().filter_map(|restriction| match &restriction.target {
                    RestrictionTarget::Userset(relation) => self.index.relation(&restriction.type_name, relation),
                    RestrictionTarget::Object | RestrictionTarget::Wildcard => None,
                });
                let plain = restrictions.iter().any(|r| !matches!(r.target, RestrictionTarget::Userset(_)));
                (usersets.collect(), usize::from(!plain))
            }
            Leaf::Computed(relation) => (Vec::from_iter(self.index.relation(&of.of.name, relation)), 1),
            Leaf::From(tupleset, computed) => {
                let source = self.index.relation(&of.of.name, tupleset);
                (source.map_or_else(Vec::new, |source| self.index.reached(source, computed)), 1)
            }
        };
        let gate = self.add(inputs, missing);
        ways.insert(leaf, gate);
        gate
    }

    fn add(&mut self, inputs: Vec<usize>, missing: usize) -> usize {
        let gate = self.gates.len();
        self.gates.push(Gate { missing, behind: Vec::new() });
        for input in inputs {
            self.gates[input].behind.push(gate);
        }
        if missing == 0 {
            self.opened.push(gate);
        }
        gate
    }

    fn open(&mut self, gate: usize) {
        self.gates[gate].missing = 0;
        self.opened.push(gate);
    }

    fn open_all(&mut self) {
        while let Some(gate) = self.opened.pop() {
            for behind in std::mem::take(&mut self.gates[gate].behind) {
                match self.gates[behind].missing {
                    0 => {}
                    1 => self.open(behind),
                    _ => self.gates[behind].missing -= 1,
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Leaf<'r> {
    Direct,
    Computed(&'r str),
    From(&'r str, &'r str),
}
