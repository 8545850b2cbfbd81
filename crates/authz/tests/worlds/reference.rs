//! A second opinion: the meaning of a model, written down as naively as can be.
//!
//! All pairs of object and relation that a question can lead to are collected, and their values are computed over and over until nothing changes: the
//! least fixpoint in Kleene's logic. What stays unknown depends on itself alone, and is no allow. Only where the model lets nobody of the subject's kind into
//! a relation, whatever is written, a circle there is no doubt: that is false.

use std::collections::{BTreeSet, HashMap};

use authz::model::{RelationDefinition, Restriction, RestrictionTarget, Rewrite};
use authz::relation::{Object, RelationshipCondition, Subject, Text};

use super::conditions;
use super::generator::{Question, State};

/// An operator of the language that a question met on its way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Operator {
    Direct,
    Userset,
    Wildcard,
    Computed,
    TupleToUserset,
    Union,
    Intersection,
    Exclusion,
    Condition,
}

impl Operator {
    pub(crate) const ALL: [Self; 9] = [
        Self::Direct,
        Self::Userset,
        Self::Wildcard,
        Self::Computed,
        Self::TupleToUserset,
        Self::Union,
        Self::Intersection,
        Self::Exclusion,
        Self::Condition,
    ];
}

/// What came of a question.
pub(crate) struct Answer {
    /// None where it depends on itself alone.
    pub(crate) value: Option<bool>,
    /// How many objects in a row there are on the longest of the shortest ways.
    pub(crate) depth: usize,
    pub(crate) operators: BTreeSet<Operator>,
    /// Whether a condition on the way lacked something.
    pub(crate) lacks: bool,
}

impl Answer {
    pub(crate) fn allowed(&self) -> bool {
        self.value == Some(true)
    }
}

/// A state made ready for questions.
pub(crate) struct Reference<'s> {
    state: &'s State,
    subjects: HashMap<(&'s Object, &'s Text), Vec<Stored<'s>>>,
}

/// A subject that stands in a relation, and when.
#[derive(Clone, Copy)]
struct Stored<'s> {
    subject: &'s Subject,
    condition: Option<&'s RelationshipCondition>,
}

type Pair = (Object, Text);

/// The values of the pairs of one question.
struct Values<'q> {
    question: &'q Question,
    ruling_out: bool,
    order: Vec<Pair>,
    known: HashMap<Pair, (Option<bool>, usize)>,
    operators: BTreeSet<Operator>,
    lacks: bool,
    /// What was asked for since somebody last emptied this; none where nobody wants to know.
    asked: Option<BTreeSet<Pair>>,
}

impl<'s> Reference<'s> {
    pub(crate) fn new(state: &'s State) -> Self {
        let mut subjects: HashMap<(&Object, &Text), Vec<Stored<'_>>> = HashMap::new();
        for (tuple, condition) in &state.tuples {
            let stored = Stored { subject: &tuple.subject, condition: condition.as_deref() };
            subjects.entry((&tuple.object, &tuple.relation)).or_default().push(stored);
        }
        Self { state, subjects }
    }

    pub(crate) fn answer(&self, question: &Question) -> Answer {
        let answer = self.settle(question, false);
        // What the model rules out can only matter where something is unknown.
        if answer.value.is_none() { self.settle(question, true) } else { answer }
    }

    /// Whether anything that the question leads to depends on itself, known or not.
    pub(crate) fn meets_a_circle(&self, question: &Question) -> bool {
        let mut values = Values::new(question, false);
        values.meet((question.object.clone(), question.relation.clone()), 0);
        // What each pair leads to, in the order in which they are met.
        let mut leads_to: Vec<(Pair, BTreeSet<Pair>)> = Vec::new();
        while let Some(pair) = values.order.get(leads_to.len()).cloned() {
            values.asked = Some(BTreeSet::new());
            self.pair(&pair, 0, &mut values);
            leads_to.push((pair, values.asked.take().unwrap_or_default()));
        }
        // Whatever leads nowhere is taken away again and again: what can't be leads into a circle.
        loop {
            let (gone, rest): (Vec<_>, Vec<_>) = leads_to.into_iter().partition(|(_, to)| to.is_empty());
            if gone.is_empty() {
                return !rest.is_empty();
            }
            leads_to = rest;
            for (_, to) in &mut leads_to {
                to.retain(|pair| gone.iter().all(|(gone, _)| gone != pair));
            }
        }
    }

    fn settle(&self, question: &Question, ruling_out: bool) -> Answer {
        let root = (question.object.clone(), question.relation.clone());
        let mut values = Values::new(question, ruling_out);
        values.meet(root.clone(), 0);
        let mut changed = true;
        while changed {
            changed = false;
            let mut at = 0;
            while at < values.order.len() {
                let pair = values.order[at].clone();
                at += 1;
                let (before, depth) = values.known[&pair];
                if before.is_none() {
                    let size = values.order.len();
                    let value = self.pair(&pair, depth, &mut values);
                    values.known.insert(pair, (value, depth));
                    changed |= value.is_some() || values.order.len() > size;
                }
            }
        }
        let depth = values.known.values().map(|(_, depth)| *depth).max().unwrap_or(0);
        Answer { value: values.known[&root].0, depth, operators: values.operators, lacks: values.lacks }
    }

    fn pair(&self, (object, name): &Pair, depth: usize, values: &mut Values<'_>) -> Option<bool> {
        if matches!(&values.question.subject, Subject::Userset { object: own, relation } if own == object && relation == name)
        {
            return Some(true);
        }
        if values.ruling_out {
            let (mut seen, kind) = (BTreeSet::new(), &values.question.subject);
            if !self.may_hold(&object.type_name, name, kind, &mut seen) {
                return Some(false);
            }
        }
        match self.state.model.relation(&object.type_name, name) {
            Some(definition) => self.rewrite(&definition.rewrite, definition, object, depth, values),
            None => Some(false),
        }
    }

    fn rewrite(
        &self,
        rewrite: &Rewrite,
        definition: &RelationDefinition,
        object: &Object,
        depth: usize,
        values: &mut Values<'_>,
    ) -> Option<bool> {
        match rewrite {
            Rewrite::Direct => {
                let mut found = vec![Some(false)];
                values.operators.insert(Operator::Direct);
                for Stored { subject, condition } in self.stored(object, definition) {
                    found.push(match subject {
                        _ if *subject == values.question.subject => self.counts(condition, values),
                        Subject::Object(_) => Some(false),
                        Subject::Wildcard { type_name } => {
                            values.operators.insert(Operator::Wildcard);
                            match &values.question.subject {
                                Subject::Object(object) if object.type_name == *type_name => {
                                    self.counts(condition, values)
                                }
                                _ => Some(false),
                            }
                        }
                        Subject::Userset { object, relation } => {
                            values.operators.insert(Operator::Userset);
                            self.meet_under(condition, (object, relation), depth + 1, values)
                        }
                    });
                }
                union(found)
            }
            Rewrite::Computed { relation } => {
                values.operators.insert(Operator::Computed);
                values.meet((object.clone(), relation.clone()), depth)
            }
            Rewrite::TupleToUserset { tupleset, computed } => {
                values.operators.insert(Operator::TupleToUserset);
                let Some(tupleset) = self.state.model.relation(&object.type_name, tupleset) else { return Some(false) };
                let mut found = vec![Some(false)];
                for Stored { subject, condition } in self.stored(object, tupleset) {
                    if let Subject::Object(parent) = subject {
                        found.push(self.meet_under(condition, (parent, computed), depth + 1, values));
                    }
                }
                union(found)
            }
            Rewrite::Union(parts) => {
                values.operators.insert(Operator::Union);
                union(parts.iter().map(|part| self.rewrite(part, definition, object, depth, values)).collect())
            }
            Rewrite::Intersection(parts) => {
                values.operators.insert(Operator::Intersection);
                let parts = parts.iter().map(|part| not(self.rewrite(part, definition, object, depth, values)));
                not(union(parts.collect()))
            }
            Rewrite::Exclusion { base, subtract } => {
                values.operators.insert(Operator::Exclusion);
                let base = not(self.rewrite(base, definition, object, depth, values));
                let subtract = self.rewrite(subtract, definition, object, depth, values);
                not(union(vec![base, subtract]))
            }
        }
    }

    /// Whether the model lets anybody of the subject's kind into a relation.
    fn may_hold(&self, of: &Text, name: &Text, subject: &Subject, seen: &mut BTreeSet<(Text, Text)>) -> bool {
        let Some(definition) = self.state.model.relation(of, name) else { return false };
        let itself =
            matches!(subject, Subject::Userset { object, relation } if object.type_name == *of && relation == name);
        itself
            || (seen.insert((of.clone(), name.clone()))
                && self.may_hold_by(&definition.rewrite, definition, of, subject, seen))
    }

    fn may_hold_by(
        &self,
        rewrite: &Rewrite,
        definition: &RelationDefinition,
        of: &Text,
        subject: &Subject,
        seen: &mut BTreeSet<(Text, Text)>,
    ) -> bool {
        match rewrite {
            Rewrite::Direct => definition.restrictions.iter().any(|restriction| match (&restriction.target, subject) {
                (RestrictionTarget::Object, Subject::Object(_))
                | (RestrictionTarget::Wildcard, Subject::Object(_))
                | (RestrictionTarget::Wildcard, Subject::Wildcard { .. }) => {
                    restriction.type_name == *subject.type_name()
                }
                (RestrictionTarget::Userset(name), _) => self.may_hold(&restriction.type_name, name, subject, seen),
                (RestrictionTarget::Object, _) | (RestrictionTarget::Wildcard, Subject::Userset { .. }) => false,
            }),
            Rewrite::Computed { relation } => self.may_hold(of, relation, subject, seen),
            Rewrite::TupleToUserset { tupleset, computed } => {
                let restrictions = self.state.model.relation(of, tupleset).map(|tupleset| &tupleset.restrictions);
                restrictions
                    .into_iter()
                    .flatten()
                    .any(|parent| self.may_hold(&parent.type_name, computed, subject, seen))
            }
            Rewrite::Union(parts) | Rewrite::Intersection(parts) => {
                parts.iter().any(|part| self.may_hold_by(part, definition, of, subject, seen))
            }
            Rewrite::Exclusion { base, .. } => self.may_hold_by(base, definition, of, subject, seen),
        }
    }

    /// The value of a pair that a relationship under a condition leads to.
    fn meet_under(
        &self,
        condition: Option<&RelationshipCondition>,
        (object, relation): (&Object, &Text),
        depth: usize,
        values: &mut Values<'_>,
    ) -> Option<bool> {
        // Where the model lets nobody of the kind in, the condition has no say.
        let (mut seen, kind) = (BTreeSet::new(), &values.question.subject);
        if values.ruling_out && !self.may_hold(&object.type_name, relation, kind, &mut seen) {
            return Some(false);
        }
        match self.counts(condition, values) {
            Some(true) => values.meet((object.clone(), relation.clone()), depth),
            other => other,
        }
    }

    /// Whether a relationship under a condition counts.
    fn counts(&self, condition: Option<&RelationshipCondition>, values: &mut Values<'_>) -> Option<bool> {
        let Some(condition) = condition else { return Some(true) };
        let Question { subject, context, .. } = values.question;
        let met = conditions::meaning(condition, subject, context, &self.state.around);
        values.operators.insert(Operator::Condition);
        values.lacks |= met.is_none();
        met
    }

    /// What is written, as far as the model still allows it.
    fn stored(&self, object: &Object, definition: &RelationDefinition) -> impl Iterator<Item = Stored<'s>> {
        let restrictions: Vec<Restriction> = definition.restrictions.clone();
        let subjects = self.subjects.get(&(object, &definition.name)).cloned().unwrap_or_default();
        subjects.into_iter().filter(move |Stored { subject, condition }| {
            restrictions.iter().any(|restriction| {
                restriction.type_name == *subject.type_name()
                    && restriction.condition.as_ref() == condition.map(|condition| &condition.name)
                    && match (&restriction.target, subject) {
                        (RestrictionTarget::Object, Subject::Object(_))
                        | (RestrictionTarget::Wildcard, Subject::Wildcard { .. }) => true,
                        (RestrictionTarget::Userset(name), Subject::Userset { relation, .. }) => name == relation,
                        _ => false,
                    }
            })
        })
    }
}

impl<'q> Values<'q> {
    fn new(question: &'q Question, ruling_out: bool) -> Self {
        let (known, operators) = (HashMap::new(), BTreeSet::new());
        Self { question, ruling_out, order: Vec::new(), known, operators, lacks: false, asked: None }
    }

    /// The value of a pair so far. One that is met for the first time is unknown, and will be computed.
    fn meet(&mut self, pair: Pair, depth: usize) -> Option<bool> {
        if let Some(asked) = &mut self.asked {
            asked.insert(pair.clone());
        }
        if let Some((value, _)) = self.known.get(&pair) {
            return *value;
        }
        self.known.insert(pair.clone(), (None, depth));
        self.order.push(pair);
        None
    }
}

fn union(parts: Vec<Option<bool>>) -> Option<bool> {
    if parts.contains(&Some(true)) {
        return Some(true);
    }
    if parts.contains(&None) { None } else { Some(false) }
}

fn not(value: Option<bool>) -> Option<bool> {
    value.map(|value| !value)
}
