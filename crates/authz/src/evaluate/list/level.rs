//! One level of a relation: what must be read to show how it is computed.

use crate::evaluate::plan::{Plan, Step};
use crate::relation::{Object, Subject, SubjectKind, Text, Tuple};
use crate::store::TupleRead;

/// One level of a relation, by the operators of the model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Level {
    /// Whoever is written into it.
    Users(Vec<TupleRead>),
    /// Another relation of the same object.
    Computed(Text),
    /// A relation of the objects that the tupleset names.
    TupleToUserset {
        /// The tupleset.
        tupleset: Text,
        /// What finds the objects.
        reads: Vec<TupleRead>,
        /// The relation.
        computed: Text,
    },
    /// A union.
    Any(Vec<Level>),
    /// An intersection.
    All(Vec<Level>),
    /// An exclusion: the base, and what is taken away.
    Minus(Box<[Level; 2]>),
}

/// The level of a relation; nobody where the model has no such relation.
#[must_use]
pub fn level(plan: &Plan, object: &Object, relation: &Text) -> Level {
    match plan.relation(&object.type_name, relation) {
        Some(found) => of_step(&found.step, object, relation),
        None => Level::Users(Vec::new()),
    }
}

impl Level {
    /// All look-ups, from left to right.
    pub fn reads(&self, into: &mut Vec<TupleRead>) {
        match self {
            Self::Users(reads) | Self::TupleToUserset { reads, .. } => into.extend(reads.iter().cloned()),
            Self::Computed(_) => {}
            Self::Any(parts) | Self::All(parts) => parts.iter().for_each(|part| part.reads(into)),
            Self::Minus(parts) => parts.iter().for_each(|part| part.reads(into)),
        }
    }
}

fn of_step(step: &Step, object: &Object, relation: &Text) -> Level {
    let enumerate = |relation: &Text, kind: SubjectKind| TupleRead::Enumerate {
        object: object.clone(),
        relation: relation.clone(),
        kind,
    };
    let all = |steps: &[Step]| steps.iter().map(|step| of_step(step, object, relation)).collect();
    match step {
        Step::Direct { objects, wildcards, usersets } => {
            let plain = objects
                .iter()
                .map(|type_name| enumerate(relation, SubjectKind { type_name: type_name.clone(), relation: None }));
            let everybody = wildcards.iter().map(|type_name| {
                let subject = Subject::Wildcard { type_name: type_name.clone() };
                TupleRead::Point(Tuple { object: object.clone(), relation: relation.clone(), subject })
            });
            let usersets = usersets.iter().map(|(kind, _)| enumerate(relation, kind.clone()));
            Level::Users(plain.chain(everybody).chain(usersets).collect())
        }
        Step::Computed(name) => Level::Computed(name.clone()),
        Step::TupleToUserset { tupleset, kinds, computed } => Level::TupleToUserset {
            tupleset: tupleset.clone(),
            reads: kinds.iter().map(|kind| enumerate(tupleset, kind.clone())).collect(),
            computed: computed.clone(),
        },
        Step::Any(steps) => Level::Any(all(steps)),
        Step::All(steps) => Level::All(all(steps)),
        Step::Minus(base, subtract) => {
            Level::Minus(Box::new([of_step(base, object, relation), of_step(subtract, object, relation)]))
        }
    }
}
