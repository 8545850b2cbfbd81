//! Which values of a question an evaluation may read: those that the conditions on some way below a relation refer to.
//!
//! Invariant: a value that is not among [`Reads`] of a relation cannot alter its answer. Keys are made of nothing else, so that a part without a
//! condition is shared by questions of every context.

use std::collections::{BTreeSet, HashMap};

use crate::condition::Program;
use crate::model::{Model, RelationDefinition, RestrictionTarget, Rewrite};
use crate::relation::Text;

/// The names that are read below each relation, by type and relation.
pub(super) type Reads = HashMap<(Text, Text), BTreeSet<Text>>;

/// A relation by its type and name.
type Name = (Text, Text);

/// Works out what is read below each relation of a model.
pub(super) fn reads(model: &Model, programs: &HashMap<Text, Program>) -> Reads {
    let mut reads = Reads::new();
    let mut users: HashMap<Name, Vec<Name>> = HashMap::new();
    for definition in &model.types {
        for relation in &definition.relations {
            let name = (definition.name.clone(), relation.name.clone());
            let mut own = Below {
                model,
                type_name: &definition.name,
                relation,
                programs,
                reads: BTreeSet::new(),
                uses: Vec::new(),
            };
            own.rewrite(&relation.rewrite);
            for used in own.uses {
                users.entry(used).or_default().push(name.clone());
            }
            reads.insert(name, own.reads);
        }
    }
    // Upwards, from each relation that reads something to whoever uses it.
    let mut work: Vec<Name> =
        reads.iter().filter(|(_, names)| !names.is_empty()).map(|(name, _)| name.clone()).collect();
    while let Some(name) = work.pop() {
        let below = reads.get(&name).cloned().unwrap_or_default();
        for user in users.get(&name).into_iter().flatten() {
            let Some(above) = reads.get_mut(user) else { continue };
            let before = above.len();
            above.extend(below.iter().cloned());
            if above.len() > before {
                work.push(user.clone());
            }
        }
    }
    reads
}

/// What one relation reads by itself, and which others it uses.
struct Below<'a> {
    model: &'a Model,
    type_name: &'a Text,
    relation: &'a RelationDefinition,
    programs: &'a HashMap<Text, Program>,
    reads: BTreeSet<Text>,
    uses: Vec<Name>,
}

impl Below<'_> {
    fn rewrite(&mut self, rewrite: &Rewrite) {
        match rewrite {
            Rewrite::Direct => {
                self.written(self.relation);
                for restriction in &self.relation.restrictions {
                    if let RestrictionTarget::Userset(name) = &restriction.target {
                        self.uses.push((restriction.type_name.clone(), name.clone()));
                    }
                }
            }
            Rewrite::Computed { relation } => self.uses.push((self.type_name.clone(), relation.clone())),
            Rewrite::TupleToUserset { tupleset, computed } => {
                let Some(tupleset) = self.model.relation(self.type_name, tupleset) else { return };
                self.written(tupleset);
                let parents = tupleset.restrictions.iter().map(|parent| (parent.type_name.clone(), computed.clone()));
                self.uses.extend(parents);
            }
            Rewrite::Union(parts) | Rewrite::Intersection(parts) => parts.iter().for_each(|part| self.rewrite(part)),
            Rewrite::Exclusion { base, subtract } => {
                self.rewrite(base);
                self.rewrite(subtract);
            }
        }
    }

    /// The conditions under which relationships of a relation are written.
    fn written(&mut self, relation: &RelationDefinition) {
        let conditions = relation.restrictions.iter().filter_map(|restriction| restriction.condition.as_ref());
        for program in conditions.filter_map(|name| self.programs.get(name)) {
            self.reads.extend(program.reads().iter().cloned());
        }
    }
}
