//! Random worlds: a model, relationships, questions, and changes of all of these, drawn from one seed.
//!
//! A universe of few objects is what makes them interesting: relationships meet, groups nest and run in circles, one change touches many answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use authz::condition::Context;
use authz::model::{Model, RelationDefinition, Restriction, RestrictionTarget, Rewrite, SchemaVersion, TypeDefinition};
use authz::relation::{Object, Relationship, RelationshipCondition, Subject, Text, Tuple};
use authz::store::{InvalidationScope, OnConflict, WriteBatch};
use fastrand::Rng;

use super::conditions::{self, BEGIN, Surroundings};
use super::reference::Reference;

/// Types of those who ask. They have no relations.
const PEOPLE: [&str; 2] = ["user", "bot"];
/// Types with relations.
const THINGS: [&str; 5] = ["group", "folder", "doc", "team", "album"];
/// Relations that are written directly, at least in part.
const WRITTEN: [&str; 3] = ["member", "editor", "banned"];
/// Relations that are computed, each from the ones before it.
const COMPUTED: [&str; 3] = ["can_use", "can_see", "can_share"];
/// Leads from a thing to others.
const PARENT: &str = "parent";

/// Relationships and the model they are read by.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) model: Model,
    pub(crate) tuples: Tuples,
    pub(crate) around: Surroundings,
}

/// Relationships, each with its condition.
pub(crate) type Tuples = BTreeMap<Tuple, Option<Arc<RelationshipCondition>>>;

/// Is `subject` in `relation` to `object`?
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    pub(crate) subject: Subject,
    pub(crate) relation: Text,
    pub(crate) object: Object,
    /// For conditions.
    pub(crate) context: Context,
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.subject, self.relation, self.object)?;
        self.context.iter().try_for_each(|(name, value)| write!(f, ", {name} = {value}"))
    }
}

/// What happens to a world.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Relationships come and go, in one transaction.
    Write(WriteBatch),
    /// Another model becomes the latest one.
    Model(Model),
    /// An administrator invalidates. No answer changes.
    Invalidate(InvalidationScope),
    /// The store is deleted and created anew with other relationships; under the same id, or under another one.
    Replace { tuples: Tuples, same_id: bool },
    /// The stored properties of somebody are others, or none any more.
    Trust { object: Object, trust: Option<u8> },
    /// Time passes, and lifetimes with it. Only conditions over time may change an answer.
    Wait { ms: u64 },
}

/// Draws a world and what happens in it.
pub(crate) struct Generator {
    pub(crate) rng: Rng,
    things: Vec<&'static str>,
    /// Objects of each thing.
    objects: usize,
    /// Whether parents and nested groups form chains rather than a tangle.
    chained: bool,
    /// Whether the model has conditions.
    conditional: bool,
    /// The contexts that are asked with: few, so that questions meet in a cache.
    contexts: Vec<Context>,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring worlds.
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x7469_6572);
        let mut things = THINGS.to_vec();
        rng.shuffle(&mut things);
        things.truncate(rng.usize(3..=4));
        let objects = rng.usize(3..=6);
        let chained = rng.u8(..3) > 0;
        let conditional = rng.u8(..3) > 0;
        let mut contexts = vec![Context::default()];
        if conditional {
            contexts.extend((0..rng.usize(2..=4)).map(|_| conditions::draw_context(false, &mut rng)));
        }
        Self { rng, things, objects, chained, conditional, contexts }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())].clone()
    }

    pub(crate) fn state(&mut self) -> State {
        let model = self.model();
        let tuples = self.tuples(&model);
        let mut trust = BTreeMap::new();
        for index in 0..3 {
            if !self.one_in(3) {
                trust.insert(object(PEOPLE[0], index), self.rng.u8(..4));
            }
        }
        State { model, tuples, around: Surroundings { now: BEGIN, trust } }
    }

    pub(crate) fn tuples(&mut self, model: &Model) -> Tuples {
        let count = self.rng.usize(30..=90);
        (0..count).filter_map(|_| self.relationship(model)).map(|drawn| (drawn.tuple, drawn.condition)).collect()
    }

    /// Asks with everything that conditions may want.
    pub(crate) fn give_whole_contexts(&mut self) {
        for context in &mut self.contexts {
            *context = conditions::draw_context(true, &mut self.rng);
        }
    }

    /// A model that makes sense.
    pub(crate) fn model(&mut self) -> Model {
        loop {
            let things = self.things.clone();
            let people = PEOPLE.map(|name| TypeDefinition {
                name: name.into(),
                relations: Vec::new(),
                module: None,
                place: None,
            });
            let mut types = people.to_vec();
            for name in things {
                let relations = self.relations(name);
                types.push(TypeDefinition { name: name.into(), relations, module: None, place: None });
            }
            let mut conditions = if self.conditional { conditions::definitions() } else { Vec::new() };
            // A condition that nobody is under is a fault.
            let used = |name: &Text| {
                let relations = types.iter().flat_map(|definition: &TypeDefinition| &definition.relations);
                relations.flat_map(|relation| &relation.restrictions).any(|it| it.condition.as_ref() == Some(name))
            };
            conditions.retain(|definition| used(&definition.name));
            let model = Model { schema_version: SchemaVersion::V1_1, types, conditions };
            if model.validate().is_ok() {
                return model;
            }
        }
    }

    fn relations(&mut self, type_name: &'static str) -> Vec<RelationDefinition> {
        let mut relations = Vec::new();
        let mut parents = vec![plain(type_name)];
        for _ in 0..self.rng.usize(..=2) {
            let other = self.pick(&self.things.clone());
            parents.push(plain(other));
        }
        if self.one_in(4) {
            parents.remove(0);
        }
        parents.dedup();
        if !parents.is_empty() {
            relations.push(relation(PARENT, Rewrite::Direct, parents));
        }
        let has_parent = !relations.is_empty();
        let mut known: Vec<&'static str> = Vec::new();
        for name in WRITTEN {
            let rewrite = match self.rng.u8(..8) {
                0..=3 => Rewrite::Direct,
                4 | 5 if has_parent => Rewrite::Union(vec![Rewrite::Direct, self.by_parent()]),
                6 if !known.is_empty() => Rewrite::Union(vec![Rewrite::Direct, computed(self.pick(&known))]),
                7 if !known.is_empty() => Rewrite::Exclusion {
                    base: Box::new(Rewrite::Direct),
                    subtract: Box::new(computed(self.pick(&known))),
                },
                _ => Rewrite::Direct,
            };
            let restrictions = self.restrictions(type_name);
            relations.push(relation(name, rewrite, restrictions));
            known.push(name);
        }
        for name in COMPUTED {
            let rewrite = self.expression(&known, has_parent, 2);
            let restrictions = if has_direct(&rewrite) { self.restrictions(type_name) } else { Vec::new() };
            relations.push(relation(name, rewrite, restrictions));
            known.push(name);
        }
        relations
    }

    /// Who may be written: people above all, everybody sometimes, and often the members of something.
    fn restrictions(&mut self, type_name: &'static str) -> Vec<Restriction> {
        let mut found = vec![plain(PEOPLE[0])];
        if self.one_in(3) {
            found.push(Restriction {
                type_name: PEOPLE[0].into(),
                target: RestrictionTarget::Wildcard,
                condition: None,
            });
        }
        if self.one_in(5) {
            found.push(plain(PEOPLE[1]));
        }
        if self.one_in(12) {
            found.push(Restriction {
                type_name: PEOPLE[1].into(),
                target: RestrictionTarget::Wildcard,
                condition: None,
            });
        }
        for _ in 0..self.rng.usize(..=2) {
            let of = if self.one_in(2) { type_name } else { self.pick(&self.things.clone()) };
            let name = if self.one_in(5) { self.pick(&COMPUTED) } else { self.pick(&WRITTEN[..2]) };
            found.push(Restriction {
                type_name: of.into(),
                target: RestrictionTarget::Userset(name.into()),
                condition: None,
            });
        }
        if self.one_in(8) && found.len() > 1 {
            found.remove(0);
        }
        if self.conditional {
            for at in 0..found.len() {
                if self.one_in(3) {
                    let condition = Some(Text::from(self.pick(&conditions::NAMES)));
                    let conditional = Restriction { condition, ..found[at].clone() };
                    // Beside the one without, or in its place.
                    if self.one_in(2) { found.push(conditional) } else { found[at] = conditional }
                }
            }
        }
        let mut once: Vec<Restriction> = Vec::new();
        for restriction in found {
            if !once.contains(&restriction) {
                once.push(restriction);
            }
        }
        once
    }

    fn by_parent(&mut self) -> Rewrite {
        let name = if self.one_in(3) { self.pick(&COMPUTED) } else { self.pick(&WRITTEN) };
        Rewrite::TupleToUserset { tupleset: PARENT.into(), computed: name.into() }
    }

    fn expression(&mut self, known: &[&'static str], has_parent: bool, depth: usize) -> Rewrite {
        let leaf = depth == 0 || self.one_in(4);
        if leaf {
            return match self.rng.u8(..10) {
                0 | 1 => Rewrite::Direct,
                2..=4 if has_parent => self.by_parent(),
                _ => computed(self.pick(known)),
            };
        }
        let mut part = || self.expression(known, has_parent, depth - 1);
        let (first, second) = (part(), part());
        match self.rng.u8(..8) {
            0..=3 => {
                let mut parts = vec![first, second];
                if self.one_in(3) {
                    parts.push(self.expression(known, has_parent, depth - 1));
                }
                Rewrite::Union(parts)
            }
            4 | 5 => Rewrite::Intersection(vec![first, second]),
            _ => Rewrite::Exclusion { base: Box::new(first), subtract: Box::new(second) },
        }
    }

    fn object_of(&mut self, type_name: &str) -> Object {
        let count = if PEOPLE.contains(&type_name) { 3 } else { self.objects };
        let id = self.rng.usize(..count);
        object(type_name, id)
    }

    /// A relationship that the model allows; none where the luck of the draw was bad.
    pub(crate) fn relationship(&mut self, model: &Model) -> Option<Relationship> {
        let thing = self.pick(&self.things.clone());
        let definition = model.type_definition(thing)?;
        let written: Vec<&RelationDefinition> =
            definition.relations.iter().filter(|relation| !relation.restrictions.is_empty()).collect();
        let relation = self.pick(&written);
        let restriction = self.pick(&relation.restrictions);
        let index = self.rng.usize(..self.objects);
        let of_itself = *restriction.type_name == *thing && restriction.target != RestrictionTarget::Wildcard;
        let other = if of_itself && self.chained && !self.one_in(5) {
            // From one to the next, so that ways become long.
            object(thing, index.checked_sub(1)?)
        } else {
            self.object_of(&restriction.type_name)
        };
        let subject = match restriction.target {
            RestrictionTarget::Object => Subject::Object(other),
            RestrictionTarget::Wildcard => Subject::Wildcard { type_name: restriction.type_name },
            RestrictionTarget::Userset(name) => Subject::Userset { object: other, relation: name },
        };
        let condition = restriction.condition.as_ref().map(|name| conditions::draw(name, &mut self.rng));
        let tuple = Tuple { object: object(thing, index), relation: relation.name.clone(), subject };
        let itself = matches!(&tuple.subject, Subject::Userset { object, relation } if *object == tuple.object && *relation == tuple.relation);
        (!itself).then_some(Relationship { tuple, condition })
    }

    pub(crate) fn question(&mut self) -> Question {
        let thing = self.pick(&self.things.clone());
        let relation: &str = match self.rng.u8(..8) {
            0..=1 => self.pick(&WRITTEN),
            _ => self.pick(&COMPUTED),
        };
        let object = self.object_of(thing);
        let subject = match self.rng.u8(..24) {
            0 | 1 => {
                let of = self.pick(&self.things.clone());
                let name: &str = if self.one_in(2) { self.pick(&COMPUTED) } else { self.pick(&WRITTEN) };
                Subject::Userset { object: self.object_of(of), relation: name.into() }
            }
            2 => Subject::Wildcard { type_name: PEOPLE[0].into() },
            3 => Subject::Object(self.object_of(PEOPLE[1])),
            4 => Subject::Object({
                let thing = self.pick(&self.things.clone());
                self.object_of(thing)
            }),
            _ => Subject::Object(self.object_of(PEOPLE[0])),
        };
        let context = self.pick(&self.contexts.clone());
        Question { subject, relation: relation.into(), object, context }
    }

    /// A question that is worth asking again and again: one with a long way or an allow, rather than one that nothing leads to.
    pub(crate) fn good_question(&mut self, reference: &Reference<'_>) -> Question {
        let candidates: Vec<Question> = (0..self.rng.usize(1..=4)).map(|_| self.question()).collect();
        let worth = |question: &Question| {
            let answer = reference.answer(question);
            answer.depth + 2 * usize::from(answer.allowed())
        };
        candidates.into_iter().max_by_key(worth).expect("there is at least one")
    }

    /// What happens next; more often than by chance something that alters an answer.
    pub(crate) fn change(&mut self, state: &State, kept: &[Question]) -> Change {
        // A few of the questions will do, because the reference takes its time.
        let kept = &kept[..kept.len().min(5)];
        let reference = Reference::new(state);
        let answers: Vec<bool> = kept.iter().map(|question| reference.answer(question).allowed()).collect();
        let mut change = self.any_change(state);
        for _ in 0..self.rng.usize(..5) {
            let (Change::Write(_) | Change::Trust { .. }) = change else { break };
            let next = state.after(&change);
            let reference = Reference::new(&next);
            if kept.iter().zip(&answers).any(|(question, before)| reference.answer(question).allowed() != *before) {
                break;
            }
            change = Change::Write(self.batch(state));
        }
        change
    }

    fn any_change(&mut self, state: &State) -> Change {
        match self.rng.u32(..40) {
            0..=2 => Change::Model(self.other_model(&state.model)),
            3 => {
                let tuples = self.tuples(&state.model);
                Change::Replace { tuples, same_id: self.rng.bool() }
            }
            4 | 5 => Change::Invalidate(self.scope()),
            6 => Change::Wait { ms: self.rng.u64(1..40_000) },
            7..=9 if self.conditional => {
                let trust = (!self.one_in(4)).then(|| self.rng.u8(..4));
                Change::Trust { object: self.object_of(PEOPLE[0]), trust }
            }
            10..=13 if self.conditional => Change::Wait { ms: self.rng.u64(1..40_000) },
            _ => Change::Write(self.batch(state)),
        }
    }

    pub(crate) fn batch(&mut self, state: &State) -> WriteBatch {
        let most = if self.one_in(3) { 5 } else { 1 };
        let mut batch = WriteBatch { on_missing: OnConflict::Error, ..WriteBatch::default() };
        while batch.writes.is_empty() && batch.deletes.is_empty() {
            for _ in 0..self.rng.usize(1..=most) {
                if self.rng.bool() && !state.tuples.is_empty() {
                    let stored: Vec<&Tuple> = state.tuples.keys().collect();
                    let tuple = self.pick(&stored).clone();
                    if !batch.deletes.contains(&tuple) {
                        batch.deletes.push(tuple);
                    }
                } else if let Some(drawn) = self.relationship(&state.model)
                    && !state.tuples.contains_key(&drawn.tuple)
                    && !batch.writes.iter().any(|write| write.tuple == drawn.tuple)
                {
                    batch.writes.push(drawn);
                }
            }
        }
        batch
    }

    /// A model of the same types: another one altogether, or one in which a single relation is computed otherwise.
    fn other_model(&mut self, model: &Model) -> Model {
        let other = self.model();
        if self.one_in(3) {
            return other;
        }
        let mut changed = model.clone();
        let (at, relation) = (self.rng.usize(2..changed.types.len()), self.pick(&COMPUTED));
        let from = other.types[at].relation(relation).cloned();
        if let Some(slot) = changed.types[at].relations.iter_mut().find(|known| *known.name == *relation)
            && let Some(from) = from
        {
            *slot = from;
        }
        changed.conditions = if self.conditional { conditions::definitions() } else { Vec::new() };
        let restrictions: Vec<Restriction> = changed
            .types
            .iter()
            .flat_map(|definition| &definition.relations)
            .flat_map(|relation| relation.restrictions.clone())
            .collect();
        changed.conditions.retain(|known| restrictions.iter().any(|it| it.condition.as_ref() == Some(&known.name)));
        if changed.validate().is_ok() { changed } else { other }
    }

    fn scope(&mut self) -> InvalidationScope {
        let thing = self.pick(&self.things.clone());
        let named = match self.rng.bool() {
            true => self.object_of(thing),
            false => self.object_of(PEOPLE[0]),
        };
        let cache_type = self.pick(&["generation_rights", "user_permissions", "team_access", "project_visibility"]);
        match self.rng.u8(..12) {
            0..=2 => InvalidationScope::Subject { id: self.object_of(PEOPLE[0]).to_string() },
            3..=5 => InvalidationScope::Resource { id: named.to_string() },
            6 => InvalidationScope::Type { name: cache_type.to_owned() },
            7 => InvalidationScope::Pattern { pattern: format!("*:{named}:*") },
            8 => InvalidationScope::Pattern { pattern: format!("{cache_type}:{named}:*") },
            9 => InvalidationScope::Pattern { pattern: format!("*:{}:*:*", named.type_name) },
            10 => InvalidationScope::Pattern { pattern: format!("{cache_type}:*") },
            _ => InvalidationScope::All,
        }
    }
}

impl State {
    /// The same after a change.
    pub(crate) fn after(&self, change: &Change) -> Self {
        let mut next = self.clone();
        match change {
            Change::Write(batch) => {
                for tuple in &batch.deletes {
                    next.tuples.remove(tuple);
                }
                next.tuples.extend(batch.writes.iter().map(|write| (write.tuple.clone(), write.condition.clone())));
            }
            Change::Model(model) => next.model = model.clone(),
            Change::Replace { tuples, .. } => {
                next.tuples = tuples.clone();
                // They went with the store.
                next.around.trust.clear();
            }
            Change::Trust { object, trust } => {
                match trust {
                    Some(trust) => next.around.trust.insert(object.clone(), *trust),
                    None => next.around.trust.remove(object),
                };
            }
            Change::Wait { ms } => next.around.now += ms,
            Change::Invalidate(_) => {}
        }
        next
    }
}

fn object(type_name: &str, index: usize) -> Object {
    Object { type_name: type_name.into(), id: format!("{}{index}", &type_name[..1]).into() }
}

fn plain(type_name: &str) -> Restriction {
    Restriction { type_name: type_name.into(), target: RestrictionTarget::Object, condition: None }
}

fn computed(name: &str) -> Rewrite {
    Rewrite::Computed { relation: name.into() }
}

fn relation(name: &str, rewrite: Rewrite, restrictions: Vec<Restriction>) -> RelationDefinition {
    RelationDefinition { name: name.into(), rewrite, restrictions, module: None, place: None }
}

fn has_direct(rewrite: &Rewrite) -> bool {
    match rewrite {
        Rewrite::Direct => true,
        Rewrite::Computed { .. } | Rewrite::TupleToUserset { .. } => false,
        Rewrite::Union(parts) | Rewrite::Intersection(parts) => parts.iter().any(has_direct),
        Rewrite::Exclusion { base, subtract } => has_direct(base) || has_direct(subtract),
    }
}
