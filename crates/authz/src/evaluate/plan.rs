//! A model made ready for evaluation: what to read for each relation, and who can be found there at all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::{Model, RelationDefinition, RestrictionTarget, Rewrite};
use crate::relation::{Subject, SubjectKind, Text};

/// A model that was compiled.
#[derive(Debug)]
pub struct Plan {
    model: Arc<Model>,
    types: HashMap<Text, TypePlan>,
}

#[derive(Debug, Default)]
struct TypePlan {
    relations: HashMap<Text, RelationPlan>,
    /// Whether the type's relations are used as subjects elsewhere: `[team#member]`.
    grants_to_members: bool,
}

#[derive(Debug)]
pub(super) struct RelationPlan {
    pub(super) step: Step,
    /// The kinds of subjects that evaluation can end at.
    reachable: HashSet<Leaf>,
}

/// A kind of subject at which an evaluation can end.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Leaf {
    Object(Text),
    Wildcard(Text),
    Userset(Text, Text),
}

/// How to compute a relation.
#[derive(Debug)]
pub(super) enum Step {
    /// Look the subject up, and enumerate usersets of these kinds.
    Direct {
        /// Types of single objects.
        objects: Vec<Text>,
        /// Types with a wildcard.
        wildcards: Vec<Text>,
        /// Kinds of usersets, each with its relation.
        usersets: Vec<(SubjectKind, Text)>,
    },
    /// Another relation of the same object.
    Computed(Text),
    /// A relation of the objects that the tupleset names, by their kinds.
    TupleToUserset {
        /// The tupleset.
        tupleset: Text,
        /// The kinds of those objects that have the relation.
        kinds: Vec<SubjectKind>,
        /// The relation.
        computed: Text,
    },
    Any(Vec<Step>),
    All(Vec<Step>),
    Minus(Box<Step>, Box<Step>),
}

impl Plan {
    /// Compiles a model that was validated.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        let mut types: HashMap<Text, TypePlan> = HashMap::new();
        let mut member_types: HashSet<Text> = HashSet::new();
        for definition in &model.types {
            let plan = types.entry(definition.name.clone()).or_default();
            for relation in &definition.relations {
                for restriction in &relation.restrictions {
                    if matches!(restriction.target, RestrictionTarget::Userset(_)) {
                        member_types.insert(restriction.type_name.clone());
                    }
                }
                let step = step(&model, &relation.rewrite, &definition.name, relation);
                plan.relations.insert(relation.name.clone(), RelationPlan { step, reachable: HashSet::new() });
            }
        }
        for name in member_types {
            if let Some(plan) = types.get_mut(&name) {
                plan.grants_to_members = true;
            }
        }
        let mut plan = Self { model, types };
        plan.reach();
        plan
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Whether the type exists.
    #[must_use]
    pub fn has_type(&self, type_name: &str) -> bool {
        self.types.contains_key(type_name)
    }

    /// Whether the relation exists.
    #[must_use]
    pub fn has_relation(&self, type_name: &str, relation: &str) -> bool {
        self.relation(type_name, relation).is_some()
    }

    /// Whether relations of this type are given as subjects, as those of teams, groups and roles are.
    #[must_use]
    pub fn grants_to_members(&self, type_name: &str) -> bool {
        self.types.get(type_name).is_some_and(|plan| plan.grants_to_members)
    }

    pub(super) fn relation(&self, type_name: &str, relation: &str) -> Option<&RelationPlan> {
        self.types.get(type_name)?.relations.get(relation)
    }

    /// Whether a subject can be found in a relation, whatever the relationships are. Where it can't, nothing need be read.
    pub(super) fn can_reach(&self, type_name: &str, relation: &str, subject: &Subject) -> bool {
        let Some(plan) = self.relation(type_name, relation) else { return false };
        match subject {
            Subject::Object(object) => {
                plan.reachable.contains(&Leaf::Object(object.type_name.clone()))
                    || plan.reachable.contains(&Leaf::Wildcard(object.type_name.clone()))
            }
            Subject::Wildcard { type_name } => plan.reachable.contains(&Leaf::Wildcard(type_name.clone())),
            Subject::Userset { object, relation } => {
                plan.reachable.contains(&Leaf::Userset(object.type_name.clone(), relation.clone()))
            }
        }
    }

    /// Fills the reachable leaves: grows them until nothing is added.
    fn reach(&mut self) {
        let names: Vec<(Text, Text)> = self
            .types
            .iter()
            .flat_map(|(type_name, plan)| plan.relations.keys().map(|name| (type_name.clone(), name.clone())))
            .collect();
        loop {
            let mut grown = false;
            for (type_name, name) in &names {
                let Some(plan) = self.relation(type_name, name) else { continue };
                let mut leaves = HashSet::new();
                // A userset contains itself.
                leaves.insert(Leaf::Userset(type_name.clone(), name.clone()));
                self.leaves(&plan.step, type_name, &mut leaves);
                if let Some(plan) = self.types.get_mut(type_name).and_then(|plan| plan.relations.get_mut(name))
                    && plan.reachable != leaves
                {
                    plan.reachable = leaves;
                    grown = true;
                }
            }
            if !grown {
                return;
            }
        }
    }

    fn leaves(&self, step: &Step, type_name: &Text, leaves: &mut HashSet<Leaf>) {
        let mut add = |type_name: &str, relation: &str| {
            if let Some(plan) = self.relation(type_name, relation) {
                leaves.extend(plan.reachable.iter().cloned());
            }
        };
        match step {
            Step::Direct { objects, wildcards, usersets } => {
                for (kind, relation) in usersets {
                    add(&kind.type_name, relation);
                }
                leaves.extend(objects.iter().cloned().map(Leaf::Object));
                leaves.extend(wildcards.iter().cloned().map(Leaf::Wildcard));
                leaves.extend(
                    usersets.iter().map(|(kind, relation)| Leaf::Userset(kind.type_name.clone(), relation.clone())),
                );
            }
            Step::Computed(relation) => add(type_name, relation),
            Step::TupleToUserset { kinds, computed, .. } => {
                for kind in kinds {
                    add(&kind.type_name, computed);
                }
            }
            Step::Any(steps) | Step::All(steps) => {
                for step in steps {
                    self.leaves(step, type_name, leaves);
                }
            }
            // Whom the subtraction finds is never in; but whoever is in came by the base.
            Step::Minus(base, _) => self.leaves(base, type_name, leaves),
        }
    }
}

fn step(model: &Model, rewrite: &Rewrite, type_name: &str, relation: &RelationDefinition) -> Step {
    let each = |rewrites: &[Rewrite]| rewrites.iter().map(|one| step(model, one, type_name, relation)).collect();
    match rewrite {
        Rewrite::Direct => {
            let (mut objects, mut wildcards, mut usersets) = (Vec::new(), Vec::new(), Vec::new());
            for restriction in &relation.restrictions {
                match &restriction.target {
                    RestrictionTarget::Object => objects.push(restriction.type_name.clone()),
                    RestrictionTarget::Wildcard => wildcards.push(restriction.type_name.clone()),
                    RestrictionTarget::Userset(name) => usersets.push((restriction.kind(), name.clone())),
                }
            }
            Step::Direct { objects, wildcards, usersets }
        }
        Rewrite::Computed { relation } => Step::Computed(relation.clone()),
        Rewrite::TupleToUserset { tupleset, computed } => {
            let kinds = model
                .relation(type_name, tupleset)
                .map(|definition| definition.restrictions.as_slice())
                .unwrap_or_default()
                .iter()
                .filter(|restriction| restriction.target == RestrictionTarget::Object)
                .filter(|restriction| model.relation(&restriction.type_name, computed).is_some())
                .map(crate::model::Restriction::kind)
                .collect();
            Step::TupleToUserset { tupleset: tupleset.clone(), kinds, computed: computed.clone() }
        }
        Rewrite::Union(children) => Step::Any(each(children)),
        Rewrite::Intersection(children) => Step::All(each(children)),
        Rewrite::Exclusion { base, subtract } => Step::Minus(
            Box::new(step(model, base, type_name, relation)),
            Box::new(step(model, subtract, type_name, relation)),
        ),
    }
}
