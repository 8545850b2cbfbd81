//! One relation of an object as the model computes it: one level of its tree, with the subjects that are written into it.
//!
//! The tree says how, and not who in the end: a computed relation is named and not followed, and a relationship under a condition is shown whether the
//! condition is met or not. It is read from one new snapshot and not cached.

use super::super::error::CheckError;
use super::super::{Admission, Asked, DecisionPoint, Everybody, Work, validate};
use super::origin::Origin;
use super::sorted;
use crate::evaluate::TooComplex;
use crate::evaluate::list::{Level, level};
use crate::relation::{Object, Presence, Relationship, Subject, Text, Tuple};
use crate::store::{MAX_ENUMERATED, ModelId, StoreId, TupleAnswer, TupleRead};

/// How is a relation of an object computed?
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpandRequest {
    /// In which store.
    pub store: StoreId,
    /// By which version of its model; by the latest one without.
    pub model: Option<ModelId>,
    /// The object.
    pub object: Object,
    /// The relation.
    pub relation: Text,
    /// Relationships that hold for this question only, at most [`super::super::MAX_CONTEXTUAL_TUPLES`].
    pub contextual_tuples: Vec<Relationship>,
}

/// A relation of an object, and so whoever is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Userset {
    /// The object.
    pub object: Object,
    /// The relation.
    pub relation: Text,
}

/// One level of a relation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UsersetTree {
    /// The subjects that are written into the relation, sorted.
    Users(Vec<Subject>),
    /// Whoever is in another relation of the same object.
    Computed(Userset),
    /// Whoever is in a relation of the objects that the tupleset names.
    TupleToUserset {
        /// The tupleset.
        tupleset: Userset,
        /// That relation of each of the objects, sorted.
        computed: Vec<Userset>,
    },
    /// Whoever is in any of these.
    Union(Vec<UsersetTree>),
    /// Whoever is in all of these.
    Intersection(Vec<UsersetTree>),
    /// Whoever is in `base` and not in `subtract`.
    Difference {
        /// Who is in,
        base: Box<UsersetTree>,
        /// unless they are in here.
        subtract: Box<UsersetTree>,
    },
}

impl DecisionPoint {
    /// One level of the tree of a relation.
    ///
    /// # Errors
    /// Where the question makes no sense under the model, too many subjects are written, it takes too long, or the origin fails.
    pub async fn expand(&self, request: &ExpandRequest) -> Result<UsersetTree, CheckError> {
        self.expand_admitted(request, &Everybody).await
    }

    /// As [`Self::expand`], for a caller that may be kept from the origin.
    ///
    /// # Errors
    /// As [`Self::expand`], and where the caller may not go on.
    pub async fn expand_admitted(
        &self,
        request: &ExpandRequest,
        admission: &dyn Admission,
    ) -> Result<UsersetTree, CheckError> {
        self.in_time(Box::pin(self.expanded(request, admission))).await
    }

    async fn expanded(&self, request: &ExpandRequest, admission: &dyn Admission) -> Result<UsersetTree, CheckError> {
        let ExpandRequest { store, model, object, relation, contextual_tuples } = request;
        let version = self.models.resolve(*store, *model).await?;
        validate::relation_of(version.plan.model(), &object.type_name, relation)?;
        validate::contextual(contextual_tuples, &version.plan)?;
        admission.admit(&Asked { store: *store, subject: None, action: relation, work: Work::Expand }).await?;
        let contextual = sorted(contextual_tuples);
        let level = level(&version.plan, object, relation);
        let mut origin = Origin::new(self.origin.snapshot().await?, *store, &contextual);
        let mut reads = Vec::new();
        level.reads(&mut reads);
        let answers = origin.read(&reads).await?;
        let mut found = Vec::with_capacity(reads.len());
        for (read, answer) in reads.iter().zip(answers) {
            let allows = |condition: Option<&str>| version.plan.allows(read, condition);
            found.push(subjects(read, answer, allows)?);
        }
        Ok(tree(&level, object, &mut found.into_iter()))
    }
}

/// The subjects that a look-up found.
fn subjects(
    read: &TupleRead,
    answer: TupleAnswer,
    allows: impl Fn(Option<&str>) -> bool,
) -> Result<Vec<Subject>, CheckError> {
    Ok(match (read, answer) {
        (TupleRead::Point(Tuple { subject, .. }), TupleAnswer::Found(presence)) => {
            let found = match &presence {
                Presence::Absent => false,
                Presence::Present => allows(None),
                Presence::Conditional(condition) => allows(Some(&condition.name)),
            };
            if found { vec![subject.clone()] } else { Vec::new() }
        }
        (TupleRead::Enumerate { kind, .. }, TupleAnswer::Members(members)) => {
            let members = members
                .into_iter()
                .filter(|member| allows(member.condition.as_ref().map(|condition| &*condition.name)));
            let subjects = members.map(|member| {
                let object = Object { type_name: kind.type_name.clone(), id: member.id };
                match &kind.relation {
                    Some(relation) => Subject::Userset { object, relation: relation.clone() },
                    None => Subject::Object(object),
                }
            });
            subjects.collect()
        }
        (_, TupleAnswer::TooMany) => {
            return Err(TooComplex { what: "the number of subjects of one relation", max: MAX_ENUMERATED }.into());
        }
        _ => Vec::new(),
    })
}

/// Puts what was found where it was asked for: the look-ups come in the order of [`Level::reads`].
fn tree(level: &Level, object: &Object, found: &mut impl Iterator<Item = Vec<Subject>>) -> UsersetTree {
    let own = |relation: &Text| Userset { object: object.clone(), relation: relation.clone() };
    let mut all = |levels: &[Level]| -> Vec<UsersetTree> {
        levels.iter().map(|level| tree(level, object, &mut *found)).collect()
    };
    match level {
        Level::Users(reads) => {
            let mut users: Vec<Subject> = found.take(reads.len()).flatten().collect();
            users.sort_unstable();
            UsersetTree::Users(users)
        }
        Level::Computed(name) => UsersetTree::Computed(own(name)),
        Level::TupleToUserset { tupleset, reads, computed } => {
            let objects = found.take(reads.len()).flatten().filter_map(|subject| match subject {
                Subject::Object(object) => Some(Userset { object, relation: computed.clone() }),
                Subject::Userset { .. } | Subject::Wildcard { .. } => None,
            });
            let mut objects: Vec<Userset> = objects.collect();
            objects.sort_by(|left, right| left.object.cmp(&right.object));
            UsersetTree::TupleToUserset { tupleset: own(tupleset), computed: objects }
        }
        Level::Any(parts) => UsersetTree::Union(all(parts)),
        Level::All(parts) => UsersetTree::Intersection(all(parts)),
        Level::Minus(parts) => {
            let [base, subtract] = &**parts;
            UsersetTree::Difference {
                base: Box::new(tree(base, object, found)),
                subtract: Box::new(tree(subtract, object, found)),
            }
        }
    }
}
