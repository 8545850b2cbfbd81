//! Whether a question, or a relationship, makes sense under a model.

use std::collections::HashSet;

use super::error::CheckError;
use super::list::{ListObjectsRequest, ListUsersRequest, MAX_USER_FILTERS};
use super::{CheckRequest, MAX_CONTEXTUAL_TUPLES, MAX_QUESTION_CONTEXT_BYTES, RequestProperties};
use crate::condition::Context;
use crate::evaluate::Plan;
use crate::model::{Model, RestrictionTarget, Rewrite};
use crate::relation::{Relationship, Subject, Tuple};
use crate::store::MAX_CONTEXT_BYTES;

/// Checks the names of a question, and the relationships that come with it.
pub(super) fn request(request: &CheckRequest, plan: &Plan) -> Result<(), CheckError> {
    let CheckRequest {
        store: _,
        model: _,
        subject,
        relation,
        object,
        contextual_tuples,
        context,
        properties,
        consistency: _,
    } = request;
    relation_of(plan.model(), &object.type_name, relation)?;
    subject_of(plan.model(), subject)?;
    bounded(context, properties)?;
    contextual(contextual_tuples, plan)
}

/// As [`relationship`], with the values that it brings for its condition.
pub(super) fn planned_relationship(given: &Relationship, plan: &Plan) -> Result<(), CheckError> {
    relationship(given, plan.model())?;
    let Some(condition) = &given.condition else { return Ok(()) };
    let bytes = condition.context.size_bytes();
    if bytes > MAX_CONTEXT_BYTES {
        return Err(CheckError::TooMany {
            what: "the context of a relationship, in bytes,",
            count: bytes,
            max: MAX_CONTEXT_BYTES,
        });
    }
    match plan.condition(&condition.name) {
        Some(program) => Ok(program.accepts(&condition.context)?),
        None => Err(CheckError::FaultyCondition { name: condition.name.to_string() }),
    }
}

/// Checks the names of a list of objects, and the relationships that come with it.
pub(super) fn list_objects(request: &ListObjectsRequest, plan: &Plan) -> Result<(), CheckError> {
    let ListObjectsRequest {
        store: _,
        model: _,
        subject,
        relation,
        object_type,
        contextual_tuples,
        context,
        properties,
        consistency: _,
    } = request;
    relation_of(plan.model(), object_type, relation)?;
    subject_of(plan.model(), subject)?;
    bounded(context, properties)?;
    contextual(contextual_tuples, plan)
}

/// Checks the names of a list of subjects, and the relationships that come with it.
pub(super) fn list_users(request: &ListUsersRequest, plan: &Plan) -> Result<(), CheckError> {
    let ListUsersRequest {
        store: _,
        model: _,
        object,
        relation,
        filters,
        contextual_tuples,
        context,
        properties,
        consistency: _,
    } = request;
    relation_of(plan.model(), &object.type_name, relation)?;
    if filters.len() > MAX_USER_FILTERS {
        let (what, count) = ("the list of user filters", filters.len());
        return Err(CheckError::TooMany { what, count, max: MAX_USER_FILTERS });
    }
    for filter in filters {
        match &filter.relation {
            Some(relation) => relation_of(plan.model(), &filter.type_name, relation)?,
            None => type_of(plan.model(), &filter.type_name)?,
        }
    }
    bounded(context, properties)?;
    contextual(contextual_tuples, plan)
}

/// Checks the relationships that come with a question.
pub(super) fn contextual(relationships: &[Relationship], plan: &Plan) -> Result<(), CheckError> {
    if relationships.len() > MAX_CONTEXTUAL_TUPLES {
        let count = relationships.len();
        return Err(CheckError::TooMany { what: "the list of contextual tuples", count, max: MAX_CONTEXTUAL_TUPLES });
    }
    let mut seen = HashSet::new();
    for given in relationships {
        if !seen.insert(&given.tuple) {
            let reason = "it stands twice in one question; name it once".to_owned();
            return Err(CheckError::InvalidTuple { tuple: given.tuple.to_string(), reason });
        }
        planned_relationship(given, plan)?;
    }
    Ok(())
}

/// Whether what a question brings for conditions is no more than it may be.
pub(super) fn bounded(context: &Context, properties: &RequestProperties) -> Result<(), CheckError> {
    let RequestProperties { subject, resource, action } = properties;
    let bytes: usize = [context, subject, resource, action].iter().map(|values| values.size_bytes()).sum();
    if bytes > MAX_QUESTION_CONTEXT_BYTES {
        return Err(CheckError::TooMany {
            what: "the context, in bytes,",
            count: bytes,
            max: MAX_QUESTION_CONTEXT_BYTES,
        });
    }
    Ok(())
}

/// Whether the model lets a relationship be written, with its condition.
///
/// # Errors
/// What the model allows instead.
pub fn relationship(relationship: &Relationship, model: &Model) -> Result<(), CheckError> {
    let Relationship { tuple: Tuple { object, relation, subject }, condition } = relationship;
    relation_of(model, &object.type_name, relation)?;
    subject_of(model, subject)?;
    let refuse = |reason: String| Err(CheckError::InvalidTuple { tuple: relationship.to_string(), reason });
    let Some(definition) = model.relation(&object.type_name, relation) else { return Ok(()) };
    if definition.restrictions.is_empty() || !has_direct(&definition.rewrite) {
        return refuse(format!(
            "'{relation}' of '{}' is computed from other relations; write one of those",
            object.type_name
        ));
    }
    if matches!(subject, Subject::Userset { object: own, relation: name } if own == object && name == relation) {
        return refuse("a userset contains itself already".to_owned());
    }
    let condition = condition.as_ref().map(|condition| &condition.name);
    let fits = definition.restrictions.iter().any(|restriction| {
        restriction.type_name == *subject.type_name()
            && restriction.condition.as_ref() == condition
            && match (&restriction.target, subject) {
                (RestrictionTarget::Object, Subject::Object(_))
                | (RestrictionTarget::Wildcard, Subject::Wildcard { .. }) => true,
                (RestrictionTarget::Userset(allowed), Subject::Userset { relation, .. }) => allowed == relation,
                _ => false,
            }
    });
    if fits {
        return Ok(());
    }
    let allowed: Vec<String> = definition.restrictions.iter().map(ToString::to_string).collect();
    refuse(format!("'{relation}' of '{}' takes [{}]", object.type_name, allowed.join(", ")))
}

fn has_direct(rewrite: &Rewrite) -> bool {
    match rewrite {
        Rewrite::Direct => true,
        Rewrite::Computed { .. } | Rewrite::TupleToUserset { .. } => false,
        Rewrite::Union(children) | Rewrite::Intersection(children) => children.iter().any(has_direct),
        Rewrite::Exclusion { base, subtract } => has_direct(base) || has_direct(subtract),
    }
}

fn subject_of(model: &Model, subject: &Subject) -> Result<(), CheckError> {
    match subject {
        Subject::Userset { object, relation } => relation_of(model, &object.type_name, relation),
        Subject::Object(_) | Subject::Wildcard { .. } => type_of(model, subject.type_name()),
    }
}

fn type_of(model: &Model, name: &str) -> Result<(), CheckError> {
    if model.type_definition(name).is_some() {
        return Ok(());
    }
    let hint = nearest(name, model.types.iter().map(|definition| &*definition.name));
    Err(CheckError::UnknownType { name: name.to_owned(), hint })
}

pub(super) fn relation_of(model: &Model, type_name: &str, relation: &str) -> Result<(), CheckError> {
    type_of(model, type_name)?;
    if model.relation(type_name, relation).is_some() {
        return Ok(());
    }
    let known = model.type_definition(type_name).map(|definition| definition.relations.as_slice()).unwrap_or_default();
    let hint = nearest(relation, known.iter().map(|definition| &*definition.name));
    Err(CheckError::UnknownRelation { type_name: type_name.to_owned(), relation: relation.to_owned(), hint })
}

/// " (did you mean 'viewer'?)", or nothing where no name is near.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map_or_else(String::new, |(_, known)| format!(" (did you mean '{known}'?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model::from_dsl(
            "model\n  schema 1.1\ntype user\ntype team\n  relations\n    define member: [user, team#member]\ntype doc\n  relations\n    \
             define viewer: [user:*, team#member]\n    define can_view: viewer\n",
        )
        .unwrap()
    }

    fn refusal(object: &str, relation: &str, subject: &str) -> String {
        let tuple = Tuple::parse(object, relation, subject).unwrap();
        relationship(&tuple.into(), &model()).unwrap_err().to_string()
    }

    #[test]
    fn a_tuple_that_fits_is_taken() {
        for (object, relation, subject) in
            [("team:1", "member", "user:ann"), ("team:1", "member", "team:2#member"), ("doc:1", "viewer", "user:*")]
        {
            relationship(&Tuple::parse(object, relation, subject).unwrap().into(), &model()).unwrap();
        }
    }

    #[test]
    fn a_tuple_that_does_not_fit_is_refused_with_what_does() {
        assert_eq!(
            refusal("doc:1", "viewer", "user:ann"),
            "doc:1#viewer@user:ann is not allowed by the model: 'viewer' of 'doc' takes [user:*, team#member]"
        );
        assert!(refusal("doc:1", "can_view", "user:*").contains("is computed from other relations"));
        assert!(refusal("team:1", "member", "team:1#member").contains("contains itself"));
        assert_eq!(refusal("dok:1", "viewer", "user:*"), "type 'dok' is not in the model (did you mean 'doc'?)");
        assert_eq!(refusal("doc:1", "viewr", "user:*"), "type 'doc' has no relation 'viewr' (did you mean 'viewer'?)");
        assert!(refusal("doc:1", "viewer", "team:1#members").contains("did you mean 'member'?"));
    }
}
