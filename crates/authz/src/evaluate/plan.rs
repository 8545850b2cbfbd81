//! A model made ready for evaluation: what to read for each relation, and who can be found there at all.

mod backward;
mod direct;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub(super) use backward::{Backward, By};
pub(crate) use direct::Rules;

use super::context;
use crate::condition::Program;
use crate::model::{Model, RelationDefinition, Restriction, RestrictionTarget, Rewrite};
use crate::relation::{Subject, SubjectKind, Text, Tuple};
use crate::store::TupleRead;

/// A model that was compiled.
#[derive(Debug)]
pub struct Plan {
    model: Arc<Model>,
    types: HashMap<Text, TypePlan>,
    conditions: HashMap<Text, Program>,
    /// For each relation those that may take their subjects from it.
    users: Vec<Vec<u32>>,
    /// For each kind of subject the relations into which it is written directly.
    written: HashMap<Leaf, Vec<u32>>,
    /// What was worked out so far. A model has few kinds of subjects that are asked for.
    reaches: Mutex<HashMap<Leaf, Arc<Reach>>>,
    /// Worked out when the first list is asked for.
    backward: OnceLock<Backward>,
}

/// The relations in which subjects of one kind can be found, whatever the relationships are. Elsewhere nothing need be read for them.
#[derive(Debug, Default)]
pub(super) struct Reach {
    relations: Box<[u64]>,
}

impl Reach {
    pub(super) fn contains(&self, relation: u32) -> bool {
        self.relations.get(relation as usize / 64).is_some_and(|word| word & (1 << (relation % 64)) != 0)
    }
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
    /// Its number in the plan.
    pub(super) index: u32,
    /// Who may be written into it, and under which condition.
    written: Vec<Restriction>,
    /// The values that conditions below it read, by name.
    reads: Box<[Text]>,
    /// Which steps lead to it, as text, where it is written and nothing else.
    direct: Option<Box<str>>,
}

/// A kind of subject that can be written, or asked for.
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
        // One that is faulty was stored by somebody else: whatever meets it is unknown.
        let compiled = model.conditions.iter().filter_map(|definition| {
            Program::compile(definition).ok().map(|program| (definition.name.clone(), program))
        });
        let conditions: HashMap<Text, Program> = compiled.collect();
        let mut reads = context::reads(&model, &conditions);
        let mut types: HashMap<Text, TypePlan> = HashMap::new();
        let mut member_types: HashSet<Text> = HashSet::new();
        let mut count = 0;
        for definition in &model.types {
            let plan = types.entry(definition.name.clone()).or_default();
            for relation in &definition.relations {
                for restriction in &relation.restrictions {
                    if matches!(restriction.target, RestrictionTarget::Userset(_)) {
                        member_types.insert(restriction.type_name.clone());
                    }
                }
                let below = reads.remove(&(definition.name.clone(), relation.name.clone())).unwrap_or_default();
                let step = step(&model, &relation.rewrite, &definition.name, relation);
                let planned = RelationPlan {
                    step,
                    index: count,
                    written: relation.restrictions.clone(),
                    reads: below.into_iter().collect(),
                    direct: None,
                };
                plan.relations.insert(relation.name.clone(), planned);
                count += 1;
            }
        }
        for name in member_types {
            if let Some(plan) = types.get_mut(&name) {
                plan.grants_to_members = true;
            }
        }
        let mut plan = Self {
            model,
            types,
            conditions,
            users: vec![Vec::new(); count as usize],
            written: HashMap::new(),
            reaches: Mutex::default(),
            backward: OnceLock::new(),
        };
        plan.link();
        for (type_name, relation, rules) in direct::rules(&plan) {
            if let Some(planned) = plan.types.get_mut(&type_name).and_then(|types| types.relations.get_mut(&relation)) {
                planned.direct = Some(rules);
            }
        }
        plan
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// A condition of the model.
    #[must_use]
    pub fn condition(&self, name: &str) -> Option<&Program> {
        self.conditions.get(name)
    }

    /// Whether the model lets what was read be written under this condition, or under none.
    pub(crate) fn allows(&self, read: &TupleRead, condition: Option<&str>) -> bool {
        if !self.has_conditions() {
            // Nobody reads where the model lets nobody in.
            return condition.is_none();
        }
        let (type_name, relation, subject) = match read {
            TupleRead::Point(Tuple { object, relation, subject }) => (&object.type_name, relation, target(subject)),
            TupleRead::Enumerate { object, relation, kind } => {
                let target = kind.relation.clone().map_or(RestrictionTarget::Object, RestrictionTarget::Userset);
                (&object.type_name, relation, (&kind.type_name, target))
            }
            TupleRead::Reverse { subject, object_type, relation } => (object_type, relation, target(subject)),
            TupleRead::Properties(_) => return true,
        };
        let written = self.relation(type_name, relation).map(|plan| plan.written.as_slice()).unwrap_or_default();
        written.iter().any(|allowed| {
            allowed.type_name == *subject.0 && allowed.target == subject.1 && allowed.condition.as_deref() == condition
        })
    }

    /// Whether the model has conditions.
    #[must_use]
    pub fn has_conditions(&self) -> bool {
        !self.model.conditions.is_empty()
    }

    /// The values that conditions read below a relation: what its answer may depend on besides relationships. Sorted by name.
    #[must_use]
    pub fn reads(&self, type_name: &str, relation: &str) -> &[Text] {
        self.relation(type_name, relation).map_or(&[], |plan| &plan.reads)
    }

    /// By which steps subjects get into a relation of a type of teams, groups or roles, where these follow from relationships alone:
    /// [`Rules`] as text.
    pub(crate) fn direct(&self, type_name: &str, relation: &str) -> Option<&str> {
        self.relation(type_name, relation)?.direct.as_deref()
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

    /// Where a subject can be found at all. Worked out once for each kind of subject, backwards from the relations into which it is written: every
    /// relation and every use of one is looked at once.
    pub(super) fn reach(&self, subject: &Subject) -> Arc<Reach> {
        let leaf = match subject {
            Subject::Object(object) => Leaf::Object(object.type_name.clone()),
            Subject::Wildcard { type_name } => Leaf::Wildcard(type_name.clone()),
            Subject::Userset { object, relation } => Leaf::Userset(object.type_name.clone(), relation.clone()),
        };
        let mut reaches = self.reaches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = reaches.get(&leaf) {
            return Arc::clone(known);
        }
        let mut relations = vec![0_u64; self.users.len().div_ceil(64)].into_boxed_slice();
        let mut work: Vec<u32> = self.written.get(&leaf).cloned().unwrap_or_default();
        match &leaf {
            // Whoever is of a type is in its wildcard.
            Leaf::Object(name) => {
                work.extend(self.written.get(&Leaf::Wildcard(name.clone())).into_iter().flatten());
            }
            // A userset contains itself.
            Leaf::Userset(name, relation) => work.extend(self.relation(name, relation).map(|plan| plan.index)),
            Leaf::Wildcard(_) => {}
        }
        while let Some(relation) = work.pop() {
            let (word, bit) = (relation as usize / 64, 1_u64 << (relation % 64));
            if relations[word] & bit == 0 {
                relations[word] |= bit;
                work.extend(&self.users[relation as usize]);
            }
        }
        let reach = Arc::new(Reach { relations });
        // A kind that the model does not know is asked for by mistake, and not remembered.
        if self.written.contains_key(&leaf) || self.has_type(leaf.type_name()) {
            reaches.insert(leaf, Arc::clone(&reach));
        }
        reach
    }

    /// The links of the model, backwards.
    pub(super) fn backward(&self) -> &Backward {
        self.backward.get_or_init(|| Backward::new(self))
    }

    /// Notes for each relation who takes subjects from it, and for each kind of subject where it is written.
    fn link(&mut self) {
        let (mut users, mut written) = (std::mem::take(&mut self.users), HashMap::new());
        for (type_name, plan) in &self.types {
            for relation in plan.relations.values() {
                self.link_step(&relation.step, type_name, relation.index, &mut users, &mut written);
            }
        }
        (self.users, self.written) = (users, written);
    }

    fn link_step(
        &self,
        step: &Step,
        type_name: &Text,
        user: u32,
        users: &mut [Vec<u32>],
        written: &mut HashMap<Leaf, Vec<u32>>,
    ) {
        let mut takes_from = |type_name: &str, relation: &str| {
            if let Some(plan) = self.relation(type_name, relation) {
                users[plan.index as usize].push(user);
            }
        };
        match step {
            Step::Direct { objects, wildcards, usersets } => {
                for (kind, relation) in usersets {
                    takes_from(&kind.type_name, relation);
                }
                let objects = objects.iter().cloned().map(Leaf::Object);
                let wildcards = wildcards.iter().cloned().map(Leaf::Wildcard);
                let usersets =
                    usersets.iter().map(|(kind, relation)| Leaf::Userset(kind.type_name.clone(), relation.clone()));
                for leaf in objects.chain(wildcards).chain(usersets) {
                    written.entry(leaf).or_default().push(user);
                }
            }
            Step::Computed(relation) => takes_from(type_name, relation),
            Step::TupleToUserset { kinds, computed, .. } => {
                for kind in kinds {
                    takes_from(&kind.type_name, computed);
                }
            }
            Step::Any(steps) | Step::All(steps) => {
                for step in steps {
                    self.link_step(step, type_name, user, users, written);
                }
            }
            // Whom the subtraction finds is never in; but whoever is in came by the base.
            Step::Minus(base, _) => self.link_step(base, type_name, user, users, written),
        }
    }
}

/// A subject as a restriction names it.
fn target(subject: &Subject) -> (&Text, RestrictionTarget) {
    let target = match subject {
        Subject::Object(_) => RestrictionTarget::Object,
        Subject::Userset { relation, .. } => RestrictionTarget::Userset(relation.clone()),
        Subject::Wildcard { .. } => RestrictionTarget::Wildcard,
    };
    (subject.type_name(), target)
}

impl Leaf {
    fn type_name(&self) -> &str {
        match self {
            Self::Object(name) | Self::Wildcard(name) | Self::Userset(name, _) => name,
        }
    }
}

/// Adds what may stand there already: a restriction may be repeated with another condition.
fn once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn step(model: &Model, rewrite: &Rewrite, type_name: &str, relation: &RelationDefinition) -> Step {
    let each = |rewrites: &[Rewrite]| rewrites.iter().map(|one| step(model, one, type_name, relation)).collect();
    match rewrite {
        Rewrite::Direct => {
            let (mut objects, mut wildcards, mut usersets) = (Vec::new(), Vec::new(), Vec::new());
            for restriction in &relation.restrictions {
                match &restriction.target {
                    RestrictionTarget::Object => once(&mut objects, restriction.type_name.clone()),
                    RestrictionTarget::Wildcard => once(&mut wildcards, restriction.type_name.clone()),
                    RestrictionTarget::Userset(name) => once(&mut usersets, (restriction.kind(), name.clone())),
                }
            }
            Step::Direct { objects, wildcards, usersets }
        }
        Rewrite::Computed { relation } => Step::Computed(relation.clone()),
        Rewrite::TupleToUserset { tupleset, computed } => {
            let restrictions = model.relation(type_name, tupleset).map(|found| found.restrictions.as_slice());
            let mut kinds = Vec::new();
            for restriction in restrictions.unwrap_or_default() {
                let leads_on = model.relation(&restriction.type_name, computed).is_some();
                if restriction.target == RestrictionTarget::Object && leads_on {
                    once(&mut kinds, restriction.kind());
                }
            }
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
