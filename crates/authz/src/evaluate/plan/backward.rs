//! The links of a model, backwards: from a relation that somebody is in to the relations that this may let them into.
//!
//! A link is *sure* where nothing but unions stands between it and the relation that it leads to. Through an intersection or an exclusion it is
//! not: whoever comes that way is a candidate. No link comes from the right side of an exclusion, which lets nobody in.

use std::collections::HashMap;

use super::{Leaf, Plan, Reach, Step};
use crate::relation::{Subject, Text};

/// All links of a model.
#[derive(Debug)]
pub(in crate::evaluate) struct Backward {
    /// The type and the name of each relation.
    names: Vec<(Text, Text)>,
    /// For each relation where it leads.
    links: Vec<Vec<Link>>,
    /// For each relation those that lead to it.
    sources: Vec<Vec<u32>>,
    /// For each kind of subject the relations into which it is written.
    written: HashMap<Leaf, Vec<(u32, bool)>>,
}

/// One way from a relation to another.
#[derive(Debug)]
pub(in crate::evaluate) struct Link {
    pub(in crate::evaluate) to: u32,
    pub(in crate::evaluate) by: By,
    pub(in crate::evaluate) sure: bool,
}

/// How the objects of one relation lead to those of another.
#[derive(Debug)]
pub(in crate::evaluate) enum By {
    /// They are the same.
    Itself,
    /// The relation's members are written into the other one: `[team#member]`.
    Userset,
    /// The other objects name them in this relation.
    Tupleset(Text),
}

impl Backward {
    pub(super) fn new(plan: &Plan) -> Self {
        let count = plan.users.len();
        let nothing: Text = Text::from("");
        let mut all = Self {
            names: vec![(nothing.clone(), nothing); count],
            links: std::iter::repeat_with(Vec::new).take(count).collect(),
            sources: vec![Vec::new(); count],
            written: HashMap::new(),
        };
        for (type_name, types) in &plan.types {
            for (name, relation) in &types.relations {
                all.names[relation.index as usize] = (type_name.clone(), name.clone());
                all.step(plan, &relation.step, type_name, relation.index, true);
            }
        }
        all
    }

    /// The type and the name of a relation.
    pub(in crate::evaluate) fn name(&self, relation: u32) -> &(Text, Text) {
        &self.names[relation as usize]
    }

    /// How many relations there are.
    pub(in crate::evaluate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Where a relation leads.
    pub(in crate::evaluate) fn links(&self, relation: u32) -> &[Link] {
        &self.links[relation as usize]
    }

    /// The relations that lead to a relation, itself included.
    pub(in crate::evaluate) fn leading_to(&self, target: u32) -> Reach {
        let mut relations = vec![0_u64; self.links.len().div_ceil(64)].into_boxed_slice();
        let mut work = vec![target];
        while let Some(relation) = work.pop() {
            let (word, bit) = (relation as usize / 64, 1_u64 << (relation % 64));
            if relations[word] & bit == 0 {
                relations[word] |= bit;
                work.extend(&self.sources[relation as usize]);
            }
        }
        Reach { relations }
    }

    /// As what a subject can be written, and where: as itself, and an object in its type's wildcard.
    pub(in crate::evaluate) fn written(&self, subject: &Subject) -> Vec<(Subject, u32, bool)> {
        let mut found = Vec::new();
        let mut add = |leaf: Leaf, subject: &Subject| {
            let relations = self.written.get(&leaf).into_iter().flatten();
            found.extend(relations.map(|(relation, sure)| (subject.clone(), *relation, *sure)));
        };
        match subject {
            Subject::Object(object) => {
                let everybody = Subject::Wildcard { type_name: object.type_name.clone() };
                add(Leaf::Object(object.type_name.clone()), subject);
                add(Leaf::Wildcard(object.type_name.clone()), &everybody);
            }
            Subject::Wildcard { type_name } => add(Leaf::Wildcard(type_name.clone()), subject),
            Subject::Userset { object, relation } => {
                add(Leaf::Userset(object.type_name.clone(), relation.clone()), subject);
            }
        }
        found
    }

    fn step(&mut self, plan: &Plan, step: &Step, type_name: &Text, to: u32, sure: bool) {
        match step {
            Step::Direct { objects, wildcards, usersets } => {
                for (kind, relation) in usersets {
                    self.link(plan, &kind.type_name, relation, Link { to, by: By::Userset, sure });
                }
                let objects = objects.iter().cloned().map(Leaf::Object);
                let wildcards = wildcards.iter().cloned().map(Leaf::Wildcard);
                let usersets =
                    usersets.iter().map(|(kind, relation)| Leaf::Userset(kind.type_name.clone(), relation.clone()));
                for leaf in objects.chain(wildcards).chain(usersets) {
                    let written = self.written.entry(leaf).or_default();
                    // A kind that is allowed with and without a condition is written in one way all the same.
                    if !written.contains(&(to, sure)) {
                        written.push((to, sure));
                    }
                }
            }
            Step::Computed(relation) => self.link(plan, type_name, relation, Link { to, by: By::Itself, sure }),
            Step::TupleToUserset { tupleset, kinds, computed } => {
                for kind in kinds {
                    let by = By::Tupleset(tupleset.clone());
                    self.link(plan, &kind.type_name, computed, Link { to, by, sure });
                }
            }
            Step::Any(steps) => steps.iter().for_each(|step| self.step(plan, step, type_name, to, sure)),
            Step::All(steps) => steps.iter().for_each(|step| self.step(plan, step, type_name, to, false)),
            Step::Minus(base, _) => self.step(plan, base, type_name, to, false),
        }
    }

    fn link(&mut self, plan: &Plan, type_name: &str, relation: &str, link: Link) {
        if let Some(from) = plan.relation(type_name, relation) {
            self.sources[link.to as usize].push(from.index);
            self.links[from.index as usize].push(link);
        }
    }
}
